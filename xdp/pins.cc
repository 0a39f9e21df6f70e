// Pinned maps and links on the BPF file system.
#include "xdp/pins.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "log/trouble.h"

namespace guideway::xdp {
namespace {

constexpr const char* kClear = "remove it, or give another --bpffs";

bool same_shape(const bpf_map* map, const bpf_map_info& info) {
  return bpf_map__type(map) == info.type && bpf_map__key_size(map) == info.key_size &&
         bpf_map__value_size(map) == info.value_size && bpf_map__max_entries(map) == info.max_entries &&
         bpf_map__map_flags(map) == info.map_flags;
}

}  // namespace

bool is_bpf_file_system(const std::filesystem::path& directory) {
  struct statfs fs{};
  return statfs(directory.c_str(), &fs) == 0 && static_cast<unsigned long>(fs.f_type) == BPF_FS_MAGIC;
}

absl::Status make_bpf_directory(const std::filesystem::path& directory) {
  if (absl::Status s = can_pin_in(directory); !s.ok()) return s;
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return log::system_failure(errno, absl::StrCat("can't make the directory ", directory.string()));
}

absl::Status can_pin_in(const std::filesystem::path& directory) {
  std::error_code ignored;
  const bool exists = std::filesystem::exists(directory, ignored);
  if (is_bpf_file_system(exists ? directory : directory.parent_path())) return absl::OkStatus();
  return log::failure(
      absl::StatusCode::kFailedPrecondition, absl::StrCat(directory.string(), " isn't on a BPF file system"),
      absl::StrCat("mount one: mkdir -p ", directory.string(), " && mount -t bpf bpf ", directory.string()));
}

std::filesystem::path pins_of(const std::filesystem::path& bpffs, const std::string& ifname) {
  std::string name = ifname;
  std::replace(name.begin(), name.end(), '.', ':');
  return bpffs / name;
}

absl::StatusOr<PinnedMap> reuse_pinned_map(bpf_map* map, const std::filesystem::path& path) {
  const Fd pinned{bpf_obj_get(path.c_str())};
  if (!pinned) {
    if (errno == ENOENT) return PinnedMap::kNone;
    return log::system_failure(errno, absl::StrCat("can't open the pinned map ", path.string()), kClear);
  }
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(pinned.get(), &info, &length) != 0 || !same_shape(map, info)) return PinnedMap::kOther;
  if (const int error = bpf_map__reuse_fd(map, pinned.get()); error != 0)
    return log::system_failure(-error, absl::StrCat("can't take over the pinned map ", path.string()), kClear);
  return PinnedMap::kReused;
}

absl::Status pin(int fd, const std::filesystem::path& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return log::system_failure(errno, absl::StrCat("can't replace the pin ", path.string()), kClear);
  if (bpf_obj_pin(fd, path.c_str()) == 0) return absl::OkStatus();
  return log::system_failure(errno, absl::StrCat("can't pin ", path.string()),
                             absl::StrCat("see that ", path.parent_path().string(),
                                          " is there and the engine's to write, or give another --bpffs"));
}

void remove_pins(const std::filesystem::path& bpffs, const std::string& ifname) {
  std::error_code ignored;
  std::filesystem::remove_all(pins_of(bpffs, ifname), ignored);
  rmdir(bpffs.c_str());  // fails where others' pins are left, or where it is the mount itself: as it should
}

}  // namespace guideway::xdp
