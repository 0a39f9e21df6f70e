#include "mgmt/source/object_reader.h"

#include <algorithm>
#include <charconv>

#include "mgmt/model/names.h"

namespace guideway::mgmt {
namespace {

constexpr size_t kMostIgnored = 10;  // that are told, of an object

}  // namespace

void ObjectReader::limited(Field at, std::string field) {
  if (at.empty()) return;
  std::string path = at.path(root_.index());
  if (field.empty()) field = path;
  limited_[std::move(field)] = {std::move(path), at.line()};
}

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

std::optional<net::IpAddress> ObjectReader::address(Field f, std::string_view text) {
  const auto a = f.is_scalar() ? net::parse_ip(text) : std::nullopt;
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

std::optional<net::Prefix> ObjectReader::prefix(Field f, std::string_view text) {
  if (f.is_scalar())
    if (const auto p = net::parse_prefix(trimmed(text))) return p;
  error(f, "must be a prefix such as 192.0.2.0/24 or 2001:db8::/32");
  return std::nullopt;
}

uint32_t ObjectReader::duration(Field f) {
  if (f.empty()) return 0;
  std::string_view rest = f.value();
  uint64_t seconds = 0;
  bool fine = f.is_scalar() && !rest.empty();
  while (fine && !rest.empty()) {
    uint32_t n = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const uint32_t unit = rest.starts_with('h') ? 3600 : rest.starts_with('m') ? 60 : rest.starts_with('s') ? 1 : 0;
    fine = ec == std::errc{} && unit != 0 && (seconds += uint64_t{n} * unit) <= kMaxIdleSeconds;
    if (fine) rest.remove_prefix(1);
  }
  if (fine && seconds != 0) return static_cast<uint32_t>(seconds);
  error(f, "must be a time such as 30s, 5m or 2h, of at most " + std::to_string(kMaxIdleSeconds) + "s");
  return 0;
}

std::optional<bool> ObjectReader::announce(Field f) {
  if (f.empty()) return std::nullopt;
  const std::string how = text(f);
  if (how == "l2") return true;
  if (how == "none") return false;
  error(f, "must be l2 or none");
  return std::nullopt;
}

std::string_view ObjectReader::trimmed(std::string_view s) {
  while (s.starts_with(' ')) s.remove_prefix(1);
  while (s.ends_with(' ')) s.remove_suffix(1);
  return s;
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
  const bool fine = is_name(value, longest);
  if (!fine) error(f, "must be a name: " + name_rule(longest));
  return fine;
}

std::string ObjectReader::time(Field f) {
  std::string t = text(f);
  if (t.find_first_not_of("0123456789-:.TZ+") == std::string::npos) return t;
  error(f, "must be a time such as 2026-01-31T12:00:00Z");
  return {};
}

void ObjectReader::expect_map(Field f) {
  if (!f.empty() && !f.is_map()) error(f, "must be a map");
}

void ObjectReader::expect_known(Field f, std::initializer_list<std::string_view> known) {
  std::string list;
  for (const std::string_view k : known) {
    if (f.key() == k) return;
    list += (list.empty() ? "" : ", ") + std::string(k);
  }
  error(f, "is unknown; known here: " + list);
}

void ObjectReader::only(Field map, std::initializer_list<std::string_view> known) {
  expect_map(map);
  if (map.is_map()) map.each([&](Field f) { expect_known(f, known); });
}

void ObjectReader::known(Field map, std::initializer_list<std::string_view> known) {
  if (!map.is_map()) return;
  map.each([&](Field f) {
    if (std::ranges::find(known, f.key()) != known.end()) return;
    if (ignored_.size() == kMostIgnored || !ignored_.emplace(f.key()).second) return;
    note(f, "is no field that Kubernetes is known to have here, and is ignored: is it misspelt?");
  });
}

void ObjectReader::only_of_ours(Field annotations, std::initializer_list<std::string_view> known) {
  if (!annotations.is_map()) return;
  annotations.each([&](Field f) {
    if (f.key().starts_with(kAnnotationPrefix)) expect_known(f, known);
  });
}

}  // namespace guideway::mgmt
