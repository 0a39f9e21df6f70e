// What stands pinned on the BPF file system for one interface: <bpffs>/<interface>/{link, one name per map}.
// Files and their shapes only; attaching is the loader's.
#pragma once

#include <absl/status/statusor.h>
#include <bpf/libbpf.h>

#include <filesystem>
#include <string>

#include "xdp/fd.h"

namespace guideway::xdp {

bool is_bpf_file_system(const std::filesystem::path& directory);

// Whether it is a directory on a BPF file system, or can be made on one. An error names the mount to make.
absl::Status can_pin_in(const std::filesystem::path& directory);
// Makes it, if it isn't there.
absl::Status make_bpf_directory(const std::filesystem::path& directory);

// The pins of an interface. bpffs reserves dots in names, and interface names hold no colon: "eth0.7" is "eth0:7".
std::filesystem::path pins_of(const std::filesystem::path& bpffs, const std::string& ifname);

enum class PinnedMap { kNone, kReused, kOther };  // of another shape

// Lets `map` be the one pinned at `path` if there is one of the same shape. Call between opening and loading the
// object.
absl::StatusOr<PinnedMap> reuse_pinned_map(bpf_map* map, const std::filesystem::path& path);

// Pins, in the place of what was pinned there.
absl::Status pin(int fd, const std::filesystem::path& path);

// Removes every pin of the interface, and `bpffs` itself if nothing is left in it.
void remove_pins(const std::filesystem::path& bpffs, const std::string& ifname);

}  // namespace guideway::xdp
