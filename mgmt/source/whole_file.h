// Files that are read and written in one piece.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <string>
#include <system_error>

#include "mgmt/event_loop.h"

namespace guideway::mgmt {

inline constexpr size_t kMaxFileBytes = size_t{256} << 20;

// The file's bytes, of one that isn't larger than that; the error is a sentence.
absl::StatusOr<std::string> read_whole_file(const std::string& path);

// The names of what the directory has. What is wrong, or nothing.
std::error_code for_each_file(const std::string& directory, const std::function<void(const std::string& name)>& visit);

// Creates a directory of the state, and those above it; an error if it can't be written to.
absl::Status make_state_directory(const std::string& path);
// Likewise; ours for as long as what is returned is kept, and an error while another daemon has it.
absl::StatusOr<Fd> take_state_directory(const std::string& path);

enum class Flush : bool { kNo, kYes };
// Creates or empties it, for its owner and group; `kYes`: it is on the disk when this returns. The error is a sentence.
absl::Status write_whole_file(const std::string& path, const std::string& bytes, Flush flush);

}  // namespace guideway::mgmt
