// What libbpf would write to the terminal goes with the errors instead.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace guideway::xdp {

// From here on its warnings are kept; the last one is told by the next load_error of this thread.
void keep_complaints();

// Of something that libbpf or the kernel refused with errno `error`: says `what`, and names the privileges or the
// feature of the kernel if it is one of those that is missing.
absl::Status load_error(int error, const std::string& what);
// Likewise, of a program: where no privilege is missing, EACCES is the verifier's answer.
absl::Status program_error(int error, const std::string& what);
// Of a map: "can't DOING the map NAME".
absl::Status map_error(int error, std::string_view doing, std::string_view name);

}  // namespace guideway::xdp
