#include "lb/source_ranges.h"

#include <catch2/catch.hpp>

#include <random>

namespace guideway::lb {
namespace {

net::Prefix prefix(const char* address, unsigned length) { return net::prefix_of(*net::parse_ip(address), length); }
bool holds(const std::vector<net::Prefix>& prefixes, const char* address) {
  return lb::holds(source_ranges(prefixes), *net::parse_ip(address));
}

TEST_CASE("a prefix holds its first and its last address and no other", "[source_ranges]") {
  const std::vector<net::Prefix> p{prefix("10.1.16.0", 20), prefix("2001:db8::", 33)};
  CHECK(holds(p, "10.1.16.0"));
  CHECK(holds(p, "10.1.31.255"));
  CHECK_FALSE(holds(p, "10.1.15.255"));
  CHECK_FALSE(holds(p, "10.1.32.0"));
  CHECK(holds(p, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
  CHECK_FALSE(holds(p, "2001:db8:8000::"));
  CHECK_FALSE(holds({}, "10.1.16.0"));
}

TEST_CASE("all of one family isn't all of the other", "[source_ranges]") {
  CHECK(holds({prefix("0.0.0.0", 0)}, "255.255.255.255"));
  CHECK_FALSE(holds({prefix("0.0.0.0", 0)}, "::1"));
  CHECK(holds({prefix("::", 0)}, "2001:db8::1"));
  CHECK_FALSE(holds({prefix("::", 0)}, "10.0.0.1"));
}

TEST_CASE("ranges agree with asking every prefix", "[source_ranges]") {
  std::mt19937 random(3);
  const auto address = [&](bool v4) {
    net::IpAddress a = v4 ? net::IpAddress::v4(net::Be32{static_cast<uint32_t>(random())}) : net::IpAddress{};
    if (!v4)
      for (auto& b : a.bytes) b = static_cast<uint8_t>(random());
    return a;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<net::Prefix> prefixes;
    for (unsigned n = random() % 20; n > 0; --n) {
      const bool v4 = random() % 2 == 0;
      prefixes.push_back(net::prefix_of(address(v4), random() % 10));
    }
    const auto ranges = source_ranges(prefixes);
    for (int i = 0; i < 100; ++i) {
      const net::IpAddress a = address(random() % 2 == 0);
      const bool twin = std::ranges::any_of(prefixes, [&](const net::Prefix& p) { return net::contains(p, a); });
      CHECK(lb::holds(ranges, a) == twin);
    }
  }
}

}  // namespace
}  // namespace guideway::lb
