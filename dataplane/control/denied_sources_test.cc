#include "dataplane/control/denied_sources.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <map>
#include <random>
#include <span>

namespace guideway::control {
namespace {

net::Prefix prefix(const std::string& text) { return net::parse_prefix(text).value(); }
net::IpAddress address(const std::string& text) { return net::parse_ip(text).value(); }

// All parts that these prefixes stand in; `empty` ones too.
std::vector<DeniedPart> parts_of(const std::vector<net::Prefix>& prefixes, const std::set<uint32_t>& empty = {}) {
  std::map<uint32_t, std::set<net::Prefix>> parts;
  for (const uint32_t n : empty) parts[n];
  for (const net::Prefix& p : prefixes) parts[net::part_of(p)].insert(p);
  std::vector<DeniedPart> all;
  for (const auto& [n, set] : parts) all.push_back({n, {set.begin(), set.end()}});
  return all;
}

// What XDP programs would find there, by the map that tells them the lengths.
bool programs_deny(const xdp::KernelTables& tables, const gw_filter& filter, const net::IpAddress& source) {
  const int v6 = source.is_v4() ? 0 : 1;
  const auto words = source.words();
  for (uint32_t i = 0; i < filter.counts[v6]; ++i) {
    const gw_denied_length& l = filter.lengths[v6][i];
    const __u64 masked[2] = {words[0] & l.mask[0], words[1] & l.mask[1]};
    const uint64_t hash = gw_denied_hash(l.seed, masked, v6);
    for (uint32_t way = 0; way < GW_DENIED_WAY; ++way) {
      const uint64_t* line = tables.denied.as<uint64_t>() + (hash + way) % GW_DENIED_LINES * size_t{GW_DENIED_PLACES};
      if (std::find(line, line + GW_DENIED_PLACES, hash) != line + GW_DENIED_PLACES) return true;
      if (line[GW_DENIED_PLACES - 1] == 0) break;
    }
  }
  return false;
}

TEST_CASE("the programs' set follows what is desired, and says nothing more when it is empty") {
  if (geteuid() != 0) return;
  auto tables = xdp::KernelTables::create();
  REQUIRE(tables.ok());
  DeniedSources denied(tables->get());
  std::mt19937_64 random(5);
  const auto some_prefix = [&] {
    if (random() % 2 == 0)
      return net::prefix_of(net::IpAddress::v4(net::Be32{0x0a000000 | static_cast<uint32_t>(random() & 0x3f) << 8}),
                            20 + static_cast<unsigned>(random() % 8));
    net::IpAddress a = address("2001:db8::");
    a.bytes[5] = static_cast<uint8_t>(random() & 0x3f);
    return net::prefix_of(a, 40 + static_cast<unsigned>(random() % 8));
  };
  std::set<net::Prefix> wanted;
  for (unsigned round = 0; round < 200; ++round) {
    std::set<uint32_t> touched;
    const bool full = round % 10 == 0;
    for (unsigned i = 0; i < random() % 40; ++i) {
      const net::Prefix p = some_prefix();
      touched.insert(net::part_of(p));
      if (random() % 3 != 0)
        wanted.insert(p);
      else
        wanted.erase(p);
    }
    std::vector<net::Prefix> named;
    for (const net::Prefix& p : wanted)
      if (full || touched.contains(net::part_of(p))) named.push_back(p);
    const std::vector<DeniedPart> parts = parts_of(named, touched);
    REQUIRE_FALSE(denied.check(full, parts));
    denied.take(full, parts);
    while (denied.step()) {
    }
    CHECK(denied.trouble().ok());
    CHECK(denied.prefixes() == wanted.size());
    const auto filter = (*tables)->filter();
    REQUIRE(filter.ok());
    for (unsigned i = 0; i < 50; ++i) {
      const net::IpAddress source = some_prefix().address;
      const bool found = std::ranges::any_of(wanted, [&](const net::Prefix& p) { return net::contains(p, source); });
      REQUIRE(denied.denies(source) == found);
      REQUIRE(programs_deny(**tables, *filter, source) == found);
    }
  }
  denied.take(true, {});
  while (denied.step()) {
  }
  CHECK(denied.prefixes() == 0);
  CHECK(denied.lengths(true) + denied.lengths(false) == 0);
  const std::span words((*tables)->denied.as<uint64_t>(), size_t{GW_DENIED_LINES} * GW_DENIED_PLACES);
  CHECK(std::ranges::all_of(words, [](uint64_t h) { return h == 0; }));
}

TEST_CASE("more prefixes or lengths than there is room for are refused, and so is a part named twice") {
  DeniedSources denied(nullptr);
  std::vector<net::Prefix> lengths;
  for (unsigned n = 0; n <= GW_MAX_DENIED_LENGTHS; ++n)
    lengths.push_back(net::prefix_of(address("2001:db8::"), 40 + n));
  CHECK(denied.check(true, parts_of(lengths))->field == "ipv6");
  lengths.pop_back();
  REQUIRE_FALSE(denied.check(false, parts_of(lengths)));
  denied.take(false, parts_of(lengths));
  CHECK(denied.check(false, parts_of({prefix("2001:db8:1::/32"), prefix("2001:d00::/24")})));
  CHECK_FALSE(denied.check(true, parts_of({prefix("2001:db8:1::/32"), prefix("2001:d00::/24")})));
  CHECK(denied.trouble().message() == "no port has an XDP program, which is what drops; give the engine a port af_xdp");

  std::vector<DeniedPart> many{{0, std::vector(kMaxDeniedPrefixes, prefix("192.0.2.0/24"))}};  // they are only counted
  CHECK_FALSE(denied.check(true, many));
  many[0].prefixes.push_back(prefix("2001:db8::/32"));
  CHECK(denied.check(true, many));
  const std::vector<DeniedPart> twice = {{7, {}}, {7, {}}};
  CHECK(denied.check(false, twice)->field == "part 7");
}

TEST_CASE("a part is read whole, or refused by its field") {
  const net::Prefix four = prefix("192.0.2.0/24");
  const net::Prefix six = prefix("2001:db8::/32");
  const auto part = [](const net::Prefix& p, const std::string& tail = {}) {
    engine::DeniedSources m;
    m.set_part(net::part_of(p));
    (p.address.is_v4() ? *m.mutable_ipv4() : *m.mutable_ipv6()) =
        net::bytes_of(p.address) + static_cast<char>(p.length) + tail;
    return m;
  };
  const auto refused = [](const engine::DeniedSources& m) {
    const auto decoded = decode(m);
    const auto* r = std::get_if<Refusal>(&decoded);
    return r == nullptr ? std::string() : r->field.substr(r->field.find('.') + 1);
  };
  CHECK(std::get<DeniedPart>(decode(part(four))).prefixes == std::vector{four});
  CHECK(std::get<DeniedPart>(decode(part(six))).prefixes == std::vector{six});
  CHECK(refused(part(four, "x")) == "ipv4");
  CHECK(refused(part(six, "x")) == "ipv6");
  net::Prefix wrong = four;
  wrong.length = 33;
  CHECK(refused(part(wrong)) == "ipv4");
  wrong = {address("192.0.2.1"), 24};
  CHECK(refused(part(wrong)) == "ipv4");
  engine::DeniedSources other = part(four);
  other.set_part((other.part() + 1) % net::kPrefixParts);
  CHECK(refused(other) == "ipv4");
  other.set_part(net::kPrefixParts);
  CHECK(refused(other) == "part");
  engine::DeniedSources mapped = part(six);
  mapped.set_ipv6(std::string(10, '\0') + "\xff\xff" + std::string(5, '\0'));
  CHECK(refused(mapped) == "ipv6");
}

}  // namespace
}  // namespace guideway::control
