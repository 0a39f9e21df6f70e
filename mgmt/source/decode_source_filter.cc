// guideway.io/v1alpha1 SourceFilter: whose packets are dropped first of all. Ours, so an unknown field is an error; but
// of a long list one wrong line takes nothing of the rest away.
#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

constexpr uint32_t kToldLines = 20;  // that are wrong

// Why the text is no CIDR; empty: it is, and `out` is that.
std::string read_cidr(std::string_view text, net::Prefix& out) {
  const auto prefix = net::parse_prefix(text);
  if (!prefix) return "must be a prefix such as 192.0.2.0/24 or 2001:db8::/32, and is left out";
  if (prefix->address != *net::parse_ip(text.substr(0, text.find('/'))))
    return "has bits below its length, and is left out: write " + net::to_string(*prefix);
  out = *prefix;
  return {};
}

std::optional<SourceRate> read_rate(ObjectReader& r, Field f) {
  if (f.empty()) return std::nullopt;
  r.only(f, {"packetsPerSecond", "burst", "ipv4PrefixLength", "ipv6PrefixLength"});
  const auto number = [&](const char* name, uint32_t most, uint32_t fallback) {
    return static_cast<uint32_t>(r.number(f[name], 1, most).value_or(fallback));
  };
  SourceRate rate;
  rate.line = f.line();
  if (f["packetsPerSecond"].empty()) r.error(f["packetsPerSecond"], "is missing: how many may come from each prefix");
  rate.packets_per_second = number("packetsPerSecond", kMaxRateLimit, 0);
  rate.burst = number("burst", kMaxRateLimit, 0);
  rate.ipv4_length = number("ipv4PrefixLength", 32, rate.ipv4_length);
  rate.ipv6_length = number("ipv6PrefixLength", 128, rate.ipv6_length);
  return rate;
}

}  // namespace

SourceFilter decode_source_filter(ObjectReader& r) {
  SourceFilter s;
  const Field spec = r.root()["spec"];
  r.only(r.root(), {"apiVersion", "kind", "metadata", "spec", "status"});
  r.only(spec, {"deniedCIDRs", "sourceRateLimit"});
  s.rate = read_rate(r, spec["sourceRateLimit"]);
  const Field cidrs = spec["deniedCIDRs"];
  r.limited(cidrs);
  uint32_t wrong = 0;
  r.list(cidrs, [&](Field f, uint32_t) {
    net::Prefix prefix;
    std::string why = f.is_scalar() ? read_cidr(f.value(), prefix) : "must be a text, and is left out";
    if (why.empty())
      s.denied.push_back(prefix);
    else if (++wrong <= kToldLines)
      r.note(f, std::move(why));
  });
  if (wrong > kToldLines)
    r.note(cidrs, "has " + std::to_string(wrong - kToldLines) + " more that are wrong and left out");
  return s;
}

}  // namespace guideway::mgmt
