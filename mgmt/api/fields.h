// Fields of requests as what they mean; else a bad_request() that names the field.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "mgmt/bad_request.h"
#include "net/address.h"

namespace guideway::mgmt {

inline absl::StatusOr<net::IpAddress> to_address(const std::string& text, const std::string& field) {
  if (const auto a = net::parse_ip(text)) return *a;
  return bad_request(field, "'" + shortened(text, 40) + "' is no address, as 192.0.2.10 or 2001:db8::1");
}

inline absl::StatusOr<uint16_t> to_port(uint32_t port, const std::string& field) {
  if (port > 65'535) return bad_request(field, "a port is at most 65535");
  return static_cast<uint16_t>(port);
}

}  // namespace guideway::mgmt
