// What the API tells, fit for a terminal: names in manifests may be of any bytes. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace guideway::mgmt {

// All strings in it, as log::printable() has them; what is of type bytes stays.
void make_printable(google::protobuf::Message& message);
template <typename Message>
Message printable(Message message) {
  make_printable(message);
  return message;
}
// Text of several lines, which stay lines.
std::string printable_lines(const std::string& text);

}  // namespace guideway::mgmt
