#include "dataplane/control/desired.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "dataplane/control/contract/values.h"
#include "net/headers.h"

namespace guideway::control {

namespace {

// As much as an IP packet's length can say.
constexpr uint32_t kMaxMtu = 65'535;

std::string more_than(uint32_t most) { return "more than " + std::to_string(most); }
std::string within(uint32_t least, uint32_t most) {
  return " within " + std::to_string(least) + " to " + std::to_string(most);
}

// Sets `out`, or says what is wrong with the real.
std::optional<std::pair<const char*, const char*>> decode_real(const engine::Real& m, const ServiceSpec& service,
                                                               lb::Real& out) {
  const auto a = net::ip_of_bytes(m.address());
  if (!a) return {{"address", kAddressShape}};
  // An outer header may be of another family than the packet inside.
  if (a->is_v4() != service.vip.address.is_v4() && !path::encapsulates(service.mode))
    return {{"address", "it is of another family than the VIP, which only dsr-ipip and dsr-gue can bridge"}};
  if (m.port() > 65'535) return {{"port", "a port is at most 65535"}};
  if ((m.port() == 0) != (service.vip.port == path::kAnyPort))
    return {{"port", "a real has port 0 where its service has, and only there"}};
  if (service.mode != path::Mode::kNat && m.port() != service.vip.port.host())
    return {{"port", "direct server return can't translate ports: it must be the VIP's"}};
  if (m.weight() > lb::kMaxWeight) return {{"weight", "a weight is at most 65535"}};
  if (m.state() != engine::Real::STATE_READY && m.state() != engine::Real::STATE_TERMINATING)
    return {{"state", "neither ready nor terminating"}};
  out = {*a, static_cast<uint16_t>(m.port()), m.weight(), m.state() == engine::Real::STATE_TERMINATING};
  return std::nullopt;
}

}  // namespace

Checked<ServiceSpec> decode(const engine::Service& m) {
  ServiceSpec s{.name = m.name(), .vip = {}, .mode = {}, .table_size = {}, .reals = {}};
  const auto refuse = [&](std::string field, std::string why) {
    return Refusal{m.name(), std::move(field), std::move(why)};
  };
  if (m.name().empty()) return refuse("name", "a service has a name");
  const auto vip = net::ip_of_bytes(m.address());
  if (!vip) return refuse("address", kAddressShape);
  if (m.port() > 65'535) return refuse("port", "a port is at most 65535");
  if (m.protocol() != static_cast<uint32_t>(net::Protocol::kTcp) &&
      m.protocol() != static_cast<uint32_t>(net::Protocol::kUdp) &&
      m.protocol() != static_cast<uint32_t>(net::Protocol::kSctp))
    return refuse("protocol", "neither TCP (6), UDP (17) nor SCTP (132)");
  s.vip = {*vip, net::Be16{static_cast<uint16_t>(m.port())}, static_cast<uint8_t>(m.protocol()), 0};
  const auto forwarding = mode_of(m.mode());
  if (!forwarding) return refuse("mode", "not a forwarding mode that this engine knows");
  s.mode = *forwarding;
  s.table_size = m.table_size() == 0 ? lb::kDefaultTableSize : m.table_size();
  if (!lb::is_table_size(s.table_size))
    return refuse("table_size", "not a prime" + within(lb::kMinTableSize, lb::kMaxTableSize));
  if (static_cast<uint32_t>(m.reals_size()) > lb::kMaxReals)
    return refuse("reals", more_than(lb::kMaxReals) + " reals");
  if (m.mtu() != 0 && (m.mtu() < path::kMinServiceMtu || m.mtu() > kMaxMtu))
    return refuse("mtu", "not" + within(path::kMinServiceMtu, kMaxMtu));
  s.mtu = static_cast<uint16_t>(m.mtu());
  if (m.affinity_seconds() > path::kMaxIdle) return refuse("affinity_seconds", more_than(path::kMaxIdle));
  s.affinity_seconds = m.affinity_seconds();
  if (m.source_ranges_size() > static_cast<int>(lb::kMaxSourceRanges))
    return refuse("source_ranges", more_than(lb::kMaxSourceRanges) + " source ranges");
  for (int i = 0; i < m.source_ranges_size(); ++i) {
    const auto p = prefix_of(m.source_ranges(i).address(), m.source_ranges(i).length());
    if (!p) return refuse("source_ranges[" + std::to_string(i) + "]", "not a prefix of 4 or 16 bytes");
    s.source_ranges.push_back(*p);
  }
  s.source_ranges_deny = m.source_ranges_deny();
  s.announce = m.announce();
  if (m.rate_limit() > kMaxRateLimit) return refuse("rate_limit", more_than(kMaxRateLimit));
  s.rate_limit = m.rate_limit();
  std::set<std::pair<net::IpAddress, uint16_t>> seen;
  for (int i = 0; i < m.reals_size(); ++i) {
    const std::string field = "reals[" + std::to_string(i) + "]";
    lb::Real real;
    if (const auto wrong = decode_real(m.reals(i), s, real)) return refuse(field + "." + wrong->first, wrong->second);
    if (!seen.emplace(real.address, real.port).second) return refuse(field, "named twice");
    s.reals.push_back(real);
  }
  return s;
}

Checked<GatewaySpec> decode(const engine::Gateway& m) {
  GatewaySpec g;
  const auto refuse = [](std::string field, std::string why) {
    return Refusal{"gateway", std::move(field), std::move(why)};
  };
  if (m.snat_size() > static_cast<int>(path::kMaxSnatAddresses))
    return refuse("snat", more_than(path::kMaxSnatAddresses) + " SNAT addresses");
  for (int i = 0; i < m.snat_size(); ++i) {
    const auto& s = m.snat(i);
    const std::string field = "snat[" + std::to_string(i) + "]";
    const auto a = net::ip_of_bytes(s.address());
    if (!a) return refuse(field + ".address", kAddressShape);
    for (const path::SnatAddress& other : g.snat)
      if (other.address == *a) return refuse(field + ".address", "named twice");
    if (s.port_min() == 0 || s.port_max() > 65'535 || s.port_min() > s.port_max())
      return refuse(field + ".port_min", "the ports are no range within 1 to 65535");
    g.snat.push_back({*a, static_cast<uint16_t>(s.port_min()), static_cast<uint16_t>(s.port_max())});
    g.dedicated.push_back(s.dedicated());
    if (s.announce() && !s.dedicated())
      return refuse(field + ".announce", "the host answers for an address that is its own");
    g.announced.push_back(s.announce());
  }
  const auto source = [&](const std::string& bytes, uint32_t length, bool v4, std::optional<net::Prefix>& out) {
    if (bytes.empty()) return true;
    out = prefix_of(bytes, length == 0 ? (v4 ? 32 : 128) : length);
    return out && out->address.is_v4() == v4;
  };
  if (!source(m.encap_source_ipv4(), m.encap_prefix_ipv4(), true, g.encap_source4))
    return refuse("encap_source_ipv4", "not an IPv4 address or prefix");
  if (!source(m.encap_source_ipv6(), m.encap_prefix_ipv6(), false, g.encap_source6))
    return refuse("encap_source_ipv6", "not an IPv6 address or prefix");
  g.hash_seed = m.hash_seed();
  const auto idle = [&](uint32_t seconds, path::ConnectionState state) {
    if (seconds != 0) g.idle_timeouts[static_cast<size_t>(state)] = static_cast<path::Tick>(seconds);
    return seconds <= path::kMaxIdle;
  };
  const engine::IdleTimeouts& t = m.idle_timeouts();
  if (!idle(t.established(), path::ConnectionState::kEstablished) || !idle(t.setup(), path::ConnectionState::kSetup) ||
      !idle(t.closing(), path::ConnectionState::kClosing) || !idle(t.udp(), path::ConnectionState::kUdp))
    return refuse("idle_timeouts", more_than(path::kMaxIdle) + " seconds");
  if (m.new_flow_rate() != 0) g.new_flow_rate = m.new_flow_rate();
  if (m.icmp_rate() != 0) g.icmp_rate = m.icmp_rate();
  if (m.has_source_rate()) {
    const engine::SourceRate& r = m.source_rate();
    if (r.packets_per_second() == 0 || r.packets_per_second() > kMaxRateLimit || r.burst() > kMaxRateLimit)
      return refuse("source_rate", "not" + within(1, kMaxRateLimit) + " packets");
    if (r.ipv4_length() == 0 || r.ipv4_length() > 32 || r.ipv6_length() == 0 || r.ipv6_length() > 128)
      return refuse("source_rate", "no lengths of prefixes");
    g.source_rate = {r.packets_per_second(), r.burst(), r.ipv4_length(), r.ipv6_length()};
  }
  return g;
}

Checked<DeniedPart> decode(const engine::DeniedSources& m) {
  DeniedPart part{.number = m.part()};
  const auto refuse = [&](const char* field, std::string why) {
    return Refusal{kDeniedEntry, "part " + std::to_string(m.part()) + "." + field, std::move(why)};
  };
  if (m.part() >= net::kPrefixParts) return refuse("part", "not" + within(0, net::kPrefixParts - 1));
  for (const auto& [field, bytes, size] :
       {std::tuple{"ipv4", std::string_view(m.ipv4()), size_t{5}}, {"ipv6", std::string_view(m.ipv6()), size_t{17}}}) {
    if (bytes.size() % size != 0) return refuse(field, "not of " + std::to_string(size) + " bytes each");
    for (size_t at = 0; at < bytes.size(); at += size) {
      const auto address = net::ip_of_bytes(bytes.substr(at, size - 1));
      const auto length = static_cast<uint8_t>(bytes[at + size - 1]);
      if (!address || address->is_v4() != (size == 5) || length > net::address_bits(*address) ||
          net::prefix_of(*address, length).address != *address)
        return refuse(field, "not a prefix of this family, with zeros beyond its length");
      part.prefixes.push_back({*address, length});
      if (net::part_of(part.prefixes.back()) != part.number)
        return refuse(field, net::to_string(part.prefixes.back()) + " stands in another part");
    }
  }
  std::ranges::sort(part.prefixes);
  part.prefixes.erase(std::unique(part.prefixes.begin(), part.prefixes.end()), part.prefixes.end());
  return part;
}

}  // namespace guideway::control
