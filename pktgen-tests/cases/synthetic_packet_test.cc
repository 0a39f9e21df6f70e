// Packets as a TraceRequest describes them, against the rig's own builder and slow sums; and what is no packet.
#include "dataplane/control/synthetic_packet.h"

#include <catch2/catch.hpp>

#include <functional>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr uint32_t kMtu = 1'500;

engine::TraceRequest request(const char* source, const char* destination, Protocol protocol = Protocol::kUdp) {
  engine::TraceRequest r;
  r.set_protocol(static_cast<uint32_t>(protocol));
  r.set_source(net::bytes_of(*net::parse_ip(source)));
  r.set_destination(net::bytes_of(*net::parse_ip(destination)));
  if (protocol == Protocol::kIcmp || protocol == Protocol::kIcmpv6) return r;
  r.set_source_port(40'000);
  r.set_destination_port(80);
  return r;
}

rig::Bytes built(const engine::TraceRequest& r) {
  const auto b = control::synthetic_packet(r, *net::parse_mac(kPort0Mac), kMtu);
  INFO(b.status().message());
  REQUIRE(b.ok());
  return *b;
}

Frame from_nobody() { return Frame().ethernet("00:00:00:00:00:00", kPort0Mac); }

TEST_CASE("synthetic packets are what the rig builds", "[trace]") {
  constexpr const char* kClient = "203.0.113.7";
  constexpr const char* kClient6 = "2001:db8::7";
  const auto udp = [&] { return from_nobody().ipv4(kClient, kVip).udp(40'000, 80); };
  auto r = request(kClient, kVip);
  CHECK(rig::describe(built(r)) == rig::describe(udp().fragment(net::kIpv4DontFragment).bytes()));
  CHECK(built(r) == udp().fragment(net::kIpv4DontFragment).bytes());
  r.set_may_fragment(true);
  r.set_ttl(7);
  CHECK(built(r) == udp().ttl(7).bytes());
  CHECK(built(request(kClient6, kVip6)) == from_nobody().ipv6(kClient6, kVip6).udp(40'000, 80).bytes());
  CHECK(built(request(kClient, kVip, Protocol::kIcmp)) ==
        from_nobody().ipv4(kClient, kVip).fragment(net::kIpv4DontFragment).echo().bytes());
  CHECK(built(request(kClient6, kVip6, Protocol::kIcmpv6)) == from_nobody().ipv6(kClient6, kVip6).echo().bytes());

  // Errors quote what came back.
  r = request(kClient, kVip);
  r.set_icmp_error(engine::ICMP_ERROR_UNREACHABLE);
  Frame back = Frame().ipv4(kVip, kClient).fragment(net::kIpv4DontFragment).udp(80, 40'000);
  CHECK(built(r) == from_nobody().ipv4(kClient, kVip).fragment(net::kIpv4DontFragment).icmp_error(3, 3, back).bytes());
  r.set_icmp_error(engine::ICMP_ERROR_TOO_BIG);
  r.set_icmp_source(net::bytes_of(*net::parse_ip("198.51.100.9")));
  CHECK(built(r) == from_nobody()
                        .ipv4("198.51.100.9", kVip)
                        .fragment(net::kIpv4DontFragment)
                        .icmp_error(3, 4, back, SIZE_MAX, 1'280)
                        .bytes());
  r = request(kClient6, kVip6);
  back = Frame().ipv6(kVip6, kClient6).udp(80, 40'000);
  r.set_icmp_error(engine::ICMP_ERROR_TOO_BIG);
  CHECK(built(r) == from_nobody().ipv6(kClient6, kVip6).icmp_error(2, 0, back, SIZE_MAX, 1'280).bytes());
}

// RFC 1071 word by word: 0xffff if the checksum inside is right.
uint32_t slow_sum(const rig::Bytes& b, size_t from, size_t to, uint32_t sum = 0) {
  for (size_t i = from; i < to; i += 2) sum += static_cast<uint32_t>(b.at(i)) << 8 | (i + 1 < to ? b.at(i + 1) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

uint32_t slow_crc32c(rig::Bytes b) {
  std::fill(b.begin() + 8, b.begin() + 12, 0);
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : b) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

TEST_CASE("synthetic packets have right lengths and checksums", "[trace]") {
  constexpr size_t kEthernet = 14;
  for (const bool v4 : {true, false})
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
      for (const uint32_t size : {0U, 101U, 1'499U, 1'500U}) {
        auto r = v4 ? request("203.0.113.7", kVip, protocol) : request("2001:db8::7", kVip6, protocol);
        r.set_size(size);
        if (protocol == Protocol::kTcp) r.set_tcp_flags(net::kTcpSyn);
        if (protocol == Protocol::kSctp) r.set_sctp_chunk(net::kSctpInit);
        const rig::Bytes b = built(r);
        INFO(rig::describe(b) << ", size " << size);
        if (size != 0) CHECK(b.size() == kEthernet + size);
        const size_t l4 = kEthernet + (v4 ? 20 : 40);
        const size_t length = b.size() - l4;
        if (v4) CHECK(slow_sum(b, kEthernet, l4) == 0xffff);
        CHECK(static_cast<size_t>(v4 ? b[16] << 8 | b[17] : (b[18] << 8 | b[19]) + 40) == b.size() - kEthernet);
        if (protocol == Protocol::kSctp) {
          uint32_t crc;
          std::memcpy(&crc, &b[l4 + 8], 4);
          CHECK(crc == slow_crc32c({b.begin() + static_cast<ptrdiff_t>(l4), b.end()}));
          continue;
        }
        const auto pseudo = static_cast<uint32_t>(protocol) + static_cast<uint32_t>(length);
        CHECK(slow_sum(b, l4, b.size(), slow_sum(b, v4 ? 26 : 22, v4 ? 34 : 54, pseudo)) == 0xffff);
      }
}

TEST_CASE("synthetic fragments", "[trace]") {
  Rig rig;
  network(rig);
  for (const bool v4 : {true, false}) {
    auto r = v4 ? request("203.0.113.7", kVip) : request("2001:db8::7", kVip6);
    r.set_fragment_id(77);
    r.set_fragment(engine::TRACE_FRAGMENT_LATER);
    CHECK(rig.trace(built(r)).passes(0).end().waits());
    CHECK(rig.trace(r).passes(0).stages(0).parse().kind() == engine::TraceParsed::KIND_LATER_FRAGMENT);
    r.set_fragment(engine::TRACE_FRAGMENT_FIRST);
    for (const uint32_t size : {0U, 700U, 1'500U}) {
      r.set_size(size);
      const rig::Bytes b = built(r);
      CHECK((b.size() - 14 - (v4 ? 20 : 48)) % 8 == 0);
      CHECK(b.size() - 14 <= kMtu);
      CHECK(rig.trace(r).passes(0).stages(0).parse().kind() == engine::TraceParsed::KIND_FIRST_FRAGMENT);
    }
  }
}

TEST_CASE("what is no packet is refused, and the field named", "[trace]") {
  struct Wrong {
    const char* field;
    std::function<void(engine::TraceRequest&)> make;
  };
  const std::string v6 = net::bytes_of(*net::parse_ip("2001:db8::1"));
  const std::vector<Wrong> all{
      {"source", [](auto& r) { r.set_source("abc"); }},
      {"source", [](auto& r) { r.clear_source(); }},
      {"destination", [](auto& r) { r.set_destination(std::string(17, 'x')); }},
      {"destination", [&](auto& r) { r.set_destination(v6); }},
      {"protocol", [](auto& r) { r.set_protocol(0); }},
      {"protocol", [](auto& r) { r.set_protocol(58); }},        // IPv6's
      {"protocol", [](auto& r) { r.set_protocol(256 + 17); }},  // 17 in eight bits
      {"source_port", [](auto& r) { r.set_source_port(0); }},
      {"destination_port", [](auto& r) { r.set_destination_port(65'536); }},
      {"source_port", [](auto& r) { r.set_protocol(1); }},
      {"tcp_flags", [](auto& r) { r.set_tcp_flags(2); }},
      {"tcp_flags", [](auto& r) { r.set_tcp_flags(0x100); }},
      {"sctp_chunk", [](auto& r) { r.set_sctp_chunk(1); }},
      {"ttl", [](auto& r) { r.set_ttl(256); }},
      {"size", [](auto& r) { r.set_size(27); }},
      {"size", [](auto& r) { r.set_size(1'501); }},
      {"size", [](auto& r) { r.set_size(0xffffffff); }},
      {"fragment", [](auto& r) { r.set_fragment(static_cast<engine::TraceFragment>(9)); }},
      {"fragment",
       [](auto& r) {
         r.set_fragment(engine::TRACE_FRAGMENT_FIRST);
         r.set_icmp_error(engine::ICMP_ERROR_UNREACHABLE);
       }},
      {"fragment_id", [](auto& r) { r.set_fragment_id(1); }},
      {"fragment_id",
       [](auto& r) {
         r.set_fragment(engine::TRACE_FRAGMENT_FIRST);
         r.set_fragment_id(0x10000);
       }},
      {"icmp_error", [](auto& r) { r.set_icmp_error(static_cast<engine::IcmpError>(9)); }},
      {"icmp_source", [](auto& r) { r.set_icmp_source(r.source()); }},
      {"icmp_source",
       [&](auto& r) {
         r.set_icmp_error(engine::ICMP_ERROR_UNREACHABLE);
         r.set_icmp_source(v6);
       }},
      {"port", [](auto& r) { r.set_port("p7"); }},
      {"queue", [](auto& r) { r.set_queue(1); }},
  };
  Rig rig;
  network(rig);
  const unsigned frames = rte_mempool_avail_count(rig.pool());
  for (const Wrong& w : all) {
    auto r = request("203.0.113.7", kVip);
    w.make(r);
    const engine::Trace t = rig.trace(r);
    INFO(w.field << ": " << t.refused().why());
    CHECK(t.refused().invalid());
    CHECK(t.refused().why().starts_with(std::string(w.field) + ": "));
    CHECK(t.passes().empty());
  }
  auto r = request("2001:db8::7", kVip6);
  r.set_may_fragment(true);
  CHECK(rig.trace(r).refused().why().starts_with("may_fragment: "));
  CHECK(rte_mempool_avail_count(rig.pool()) == frames);
}

}  // namespace
}  // namespace guideway::cases
