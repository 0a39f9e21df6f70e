#include "log/trouble.h"

#include <absl/strings/cord.h>

#include <cerrno>
#include <cstring>

#include "log/log.h"

namespace guideway::log {
namespace {

constexpr std::string_view kRemedy = "guideway/remedy";  // of a status's payloads

absl::string_view view(std::string_view s) { return {s.data(), s.size()}; }

std::string_view usual_remedy(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "let its user do that: owner and mode of the file, or the capabilities of its unit";
    case ENOMEM:
      return "free some memory, or raise the limits of its unit (MemoryMax=, LimitMEMLOCK=)";
    case ENOBUFS:
    case EAGAIN:
      return "free some memory, then start it again";
    case ENOSPC:
    case EDQUOT:
      return "make room there";
    case EMFILE:
      return "raise its limit of open files (LimitNOFILE=)";
    case ENFILE:
      return "raise the host's limit of open files: sysctl fs.file-max";
    case ENOENT:
    case ENOTDIR:
      return "see that it is there: something else has taken it away, or it was never made";
    case EEXIST:
    case EBUSY:
    case EADDRINUSE:
      return "something else has it: stop that, or choose another place";
    case EROFS:
      return "choose a place that can be written";
    case ENODEV:
      return "see whether the interface is still there: ip link";
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
      return "this kernel may be too old for it: guideway doctor says what it lacks";
    default:
      return "start it again; if it goes on, report it with this line and the kernel's (dmesg)";
  }
}

void write_as(spdlog::level::level_enum level, const Trouble& t) {
  write(level, to_string(t), {{"subject", t.subject}, {"remedy", t.remedy}});
}

}  // namespace

std::string to_string(const Trouble& t) {
  std::string s = t.subject;
  if (!s.empty()) s += ": ";
  s += t.text;
  if (!t.remedy.empty()) s += "; " + t.remedy;
  return s;
}

absl::Status failure(absl::StatusCode code, std::string_view text, std::string_view remedy) {
  absl::Status s(code, to_string({"", std::string(text), std::string(remedy)}));
  s.SetPayload(view(kRemedy), absl::Cord(view(remedy)));
  return s;
}

absl::Status system_failure(int error, std::string_view text, std::string_view remedy) {
  const std::string whole = std::string(text) + ": " + std::strerror(error);
  return failure(absl::ErrnoToStatusCode(error), whole, remedy.empty() ? usual_remedy(error) : remedy);
}

Trouble trouble_of(const absl::Status& s, std::string subject) {
  Trouble t{std::move(subject), std::string(s.message()), ""};
  const auto remedy = s.GetPayload(view(kRemedy));
  if (!remedy) return t;
  const std::string end = "; " + std::string(*remedy);
  if (!t.text.ends_with(end)) return t;
  t.remedy = std::string(*remedy);
  t.text.resize(t.text.size() - end.size());
  return t;
}

void warn(const Trouble& t) { write_as(spdlog::level::warn, t); }
void error(const Trouble& t) { write_as(spdlog::level::err, t); }

}  // namespace guideway::log
