// Fields of requests as what they mean, and addresses back into text. What is wrong is gathered, so that one
// bad_request() names all of it; what such a field gives means nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/bad_request.h"
#include "mgmt/model/names.h"
#include "net/address.h"

namespace guideway::mgmt {

using Violations = std::vector<FieldViolation>;

inline net::IpAddress read_address(const std::string& text, const std::string& field, Violations& wrong) {
  if (const auto a = net::parse_ip(text)) return *a;
  wrong.push_back({field, "'" + shortened(text, 40) + "' is no address, as 192.0.2.10 or 2001:db8::1"});
  return {};
}

// Back again; empty for what the engine doesn't tell.
inline std::string text_of(const std::string& bytes) {
  const auto a = net::ip_of_bytes(bytes);
  return a ? net::to_string(*a) : std::string();
}

inline uint16_t read_port(uint32_t port, const std::string& field, Violations& wrong) {
  if (port > 65'535) wrong.push_back({field, "a port is at most 65535"});
  return static_cast<uint16_t>(port);
}

// Empty is fine.
inline void check_name(std::string_view text, size_t longest, const std::string& field, Violations& wrong) {
  if (!is_name(text, longest)) wrong.push_back({field, "is no name: " + name_rule(longest)});
}

// `asked`: 0 leaves it to us.
inline uint32_t rows_of_page(uint32_t asked) {
  constexpr uint32_t kRows = 100;
  constexpr uint32_t kMaxRows = 1'000;
  return asked == 0 ? kRows : std::min(asked, kMaxRows);
}

inline constexpr const char* kWrongPageToken =
    "is none that a page ended with: leave it out to begin with the first page";

}  // namespace guideway::mgmt
