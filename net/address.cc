#include "net/address.h"

#include <arpa/inet.h>

#include <cstdio>

namespace guideway::net {

std::optional<IpAddress> parse_ip(std::string_view text) {
  char buf[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof buf || text.find('\0') != text.npos) return std::nullopt;
  std::memcpy(buf, text.data(), text.size());
  buf[text.size()] = '\0';
  IpAddress a;
  uint32_t v4;
  if (inet_pton(AF_INET, buf, &v4) == 1) return IpAddress::v4(Be32::from_wire(v4));
  // A mapped address written as IPv6 would pass for IPv4, which its writer can't have meant.
  if (inet_pton(AF_INET6, buf, a.bytes.data()) == 1 && !a.is_v4()) return a;
  return std::nullopt;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  MacAddress m;
  for (size_t i = 0; i < 6; ++i) {
    const int high = digit(text[3 * i]);
    const int low = digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':')) return std::nullopt;
    m.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return m;
}

std::string to_string(const IpAddress& a) {
  char buf[INET6_ADDRSTRLEN];
  if (a.is_v4())
    inet_ntop(AF_INET, a.bytes.data() + 12, buf, sizeof buf);
  else
    inet_ntop(AF_INET6, a.bytes.data(), buf, sizeof buf);
  return buf;
}

std::string to_string(const MacAddress& m) {
  char buf[18];
  const auto& b = m.bytes;
  std::snprintf(buf, sizeof buf, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  return buf;
}

std::string to_string(const IpAddress& a, uint16_t port) {
  const std::string host = to_string(a);
  return (a.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

std::optional<IpAddress> ip_of_bytes(std::string_view bytes) {
  IpAddress a;
  if (bytes.size() == 4) {
    uint32_t wire;
    std::memcpy(&wire, bytes.data(), 4);
    return IpAddress::v4(Be32::from_wire(wire));
  }
  if (bytes.size() != 16) return std::nullopt;
  std::memcpy(a.bytes.data(), bytes.data(), 16);
  return a;
}

std::string bytes_of(const IpAddress& a) {
  const auto* all = reinterpret_cast<const char*>(a.bytes.data());
  return a.is_v4() ? std::string(all + 12, 4) : std::string(all, 16);
}

}  // namespace guideway::net
