#include "xdp/complaints.h"

#include <absl/strings/str_cat.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "xdp/kernel_features.h"
#include "xdp/pins.h"

namespace guideway::xdp {

namespace {

thread_local std::string last_complaint;

int keep(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  vsnprintf(line, sizeof line, format, arguments);
  last_complaint = line;
  while (!last_complaint.empty() && last_complaint.back() == '\n') last_complaint.pop_back();
  return 0;
}

}  // namespace

void keep_complaints() {
  [[maybe_unused]] static const libbpf_print_fn_t before = libbpf_set_print(keep);
  last_complaint.clear();
}

// CAP_PERFMON is what lets a program add a length from the packet to a pointer, and spares it barriers against Spectre.
absl::Status load_error(int error, const std::string& what) {
  std::string complaint = std::exchange(last_complaint, {});
  if (!complaint.empty()) complaint = absl::StrCat(" (", complaint, ")");
  // Also what the verifier answers; then the complaint is its own.
  if (error == EPERM || error == EACCES)
    return absl::PermissionDeniedError(absl::StrCat(
        what, " isn't permitted: it needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON, so start the engine as root",
        complaint));
  if (error == EINVAL)
    if (const std::string missing = missing_feature(); !missing.empty()) {
      utsname name{};
      uname(&name);
      return absl::UnimplementedError(absl::StrCat(what, " failed, for this kernel (", name.release, ") lacks ",
                                                   missing,
                                                   ": ports af_xdp:... need one that has it, as Debian 12's does"));
    }
  return system_error(error, absl::StrCat(what, " failed", complaint));
}

}  // namespace guideway::xdp
