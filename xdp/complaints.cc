#include "xdp/complaints.h"

#include <absl/strings/str_cat.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "log/trouble.h"
#include "xdp/kernel_features.h"

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

std::string take_complaint() {
  const std::string complaint = std::exchange(last_complaint, {});
  return complaint.empty() ? complaint : absl::StrCat(" (", complaint, ")");
}

bool has_capabilities() {
  capng_get_caps_process();
  const auto has = [](unsigned capability) { return capng_have_capability(CAPNG_EFFECTIVE, capability) != 0; };
  return has(CAP_NET_ADMIN) && (has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON)));
}

std::string kernel_release() {
  utsname name{};
  uname(&name);
  return name.release;
}

}  // namespace

void keep_complaints() {
  [[maybe_unused]] static const libbpf_print_fn_t before = libbpf_set_print(keep);
  last_complaint.clear();
}

absl::Status program_error(int error, const std::string& what) {
  if (error != EACCES || !has_capabilities()) return load_error(error, what);
  return log::failure(absl::StatusCode::kUnimplemented,
                      absl::StrCat(what, " failed, for this kernel (", kernel_release(),
                                   ") takes the program for unsafe", take_complaint()),
                      "use another kernel, such as Debian 12's, and report this as a bug");
}

// CAP_PERFMON is what lets a program add a length from the packet to a pointer, and spares it barriers against Spectre.
absl::Status load_error(int error, const std::string& what) {
  const std::string complaint = take_complaint();
  if (error == EPERM || error == EACCES)
    return log::failure(
        absl::StatusCode::kPermissionDenied,
        absl::StrCat(what, " isn't permitted: it needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON", complaint),
        "start the engine as root");
  if (error == EINVAL)
    if (const std::string missing = missing_feature(); !missing.empty())
      return log::failure(absl::StatusCode::kUnimplemented,
                          absl::StrCat(what, " failed, for this kernel (", kernel_release(), ") lacks ", missing),
                          "ports af_xdp:... need one that has it, as Debian 12's does");
  return log::system_failure(error, absl::StrCat(what, " failed", complaint));
}

absl::Status map_error(int error, std::string_view doing, std::string_view name) {
  return log::system_failure(error, "can't " + std::string(doing) + " the map " + std::string(name),
                             "free some memory, then restart guideway-engine");
}

}  // namespace guideway::xdp
