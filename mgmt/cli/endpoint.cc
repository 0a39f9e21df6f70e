#include "mgmt/cli/endpoint.h"

#include <charconv>

namespace guideway::mgmt {

bool split_endpoint(const std::string& text, std::string* address, uint32_t* port) {
  size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  *address = text;
  if (text.starts_with('[') && bracket != std::string::npos) {
    *address = text.substr(1, bracket - 1);
    if (bracket + 1 == text.size()) return true;
    colon = bracket + 1;
    if (text[colon] != ':') return false;
  } else if (colon == std::string::npos || text.find(':') != colon) {
    return true;  // no port
  } else {
    *address = text.substr(0, colon);
  }
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, *port);
  return error == std::errc() && rest == end && *port > 0 && *port <= 65'535 && !address->empty();
}

}  // namespace guideway::mgmt
