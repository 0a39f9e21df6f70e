#include "net/prefix.h"

#include <charconv>

namespace guideway::net {

std::optional<Prefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned length = address_bits(*address);
  if (slash != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, length);
    if (error != std::errc{} || rest != end || length > address_bits(*address)) return std::nullopt;
  }
  return prefix_of(*address, length);
}

}  // namespace guideway::net
