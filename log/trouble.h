// What isn't as it should be, and what mends it: said to people as one sentence, to programs in parts.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace guideway::log {

struct Trouble {
  std::string subject;  // what it is about, such as "port eth0"; may be empty
  std::string text;     // what is wrong
  std::string remedy;   // what the operator does about it, or what becomes of it by itself
};
// "SUBJECT: TEXT; REMEDY", without what is empty.
std::string to_string(const Trouble& t);
// Of a status; the remedy is empty if the status isn't of failure().
Trouble trouble_of(const absl::Status& s, std::string subject = "");

// A status that brings its remedy: its message is "TEXT; REMEDY".
absl::Status failure(absl::StatusCode code, std::string_view text, std::string_view remedy);
// Likewise of a call that the kernel refused: "TEXT: No such file or directory; REMEDY". Without a remedy it is what
// usually mends that error.
absl::Status system_failure(int error, std::string_view text, std::string_view remedy = "");

// To the log; in JSON with "subject" and "remedy".
void warn(const Trouble& t);
void error(const Trouble& t);

}  // namespace guideway::log
