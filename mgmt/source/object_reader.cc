#include "mgmt/source/object_reader.h"

#include <algorithm>
#include <charconv>

namespace guideway::mgmt {

std::string ObjectReader::text(Field f, std::string_view fallback) {
  if (f.empty()) return std::string(fallback);
  if (!f.is_scalar()) {
    error(f, "must be a text");
    return std::string(fallback);
  }
  return std::string(f.value());
}

bool ObjectReader::boolean(Field f, bool fallback) {
  if (f.empty()) return fallback;
  if (f.is_scalar() && !f.quoted()) {
    if (f.value() == "true") return true;
    if (f.value() == "false") return false;
  }
  error(f, "must be true or false, without quotes");
  return fallback;
}

std::optional<uint64_t> ObjectReader::number(Field f, uint64_t min, uint64_t max) {
  if (f.empty()) return std::nullopt;
  const std::string_view v = f.value();
  uint64_t n = 0;
  const auto [end, ec] = std::from_chars(v.data(), v.data() + v.size(), n);
  if (f.is_scalar() && ec == std::errc{} && end == v.data() + v.size() && n >= min && n <= max) return n;
  error(f, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

std::optional<net::IpAddress> ObjectReader::address(Field f) {
  const std::string_view v = f.value();
  const auto a = f.is_scalar() ? net::parse_ip(v) : std::nullopt;
  if (!a) {
    error(f, "must be an IPv4 or IPv6 address, without a prefix length or zone");
    return std::nullopt;
  }
  const uint8_t first = a->is_v4() ? a->bytes[12] : a->bytes[0];
  net::IpAddress loopback6;
  loopback6.bytes[15] = 1;
  const bool multicast = a->is_v4() ? first >= 224 : first == 0xff;
  const bool loopback = a->is_v4() ? first == 127 : *a == loopback6;
  const bool zero = a->is_v4() ? first == 0 : a->is_zero();
  if (multicast || loopback || zero) {
    error(f, "must be a unicast address that isn't loopback");
    return std::nullopt;
  }
  return a;
}

net::Protocol ObjectReader::protocol(Field f) {
  const std::string p = text(f, "TCP");
  if (p == "TCP") return net::Protocol::kTcp;
  if (p == "UDP") return net::Protocol::kUdp;
  if (p == "SCTP") return net::Protocol::kSctp;
  error(f, "must be TCP, UDP or SCTP");
  return net::Protocol::kTcp;
}

bool ObjectReader::valid_name(Field f, std::string_view value, size_t longest) {
  const bool fine = value.size() <= longest && std::all_of(value.begin(), value.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                             c == '.' || c == '_';
                    });
  if (!fine) error(f, "must be a name of letters, digits, '-' and '.', at most " + std::to_string(longest) + " long");
  return fine;
}

void ObjectReader::expect_map(Field f) {
  if (!f.empty() && !f.is_map()) error(f, "must be a map");
}

}  // namespace guideway::mgmt
