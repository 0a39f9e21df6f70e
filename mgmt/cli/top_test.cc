#include "mgmt/cli/top.h"

#include <catch2/catch.hpp>

namespace guideway::mgmt {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::steady_clock::time_point kStart{std::chrono::hours(1)};

v1::Counters counters(uint64_t packets, uint64_t bytes, uint64_t replies, uint64_t connections, uint64_t live) {
  v1::Counters c;
  c.set_packets(packets);
  c.set_bytes(bytes);
  c.set_reply_packets(replies);
  c.set_connections(connections);
  c.set_live_connections(live);
  return c;
}

// What two Services, with one and two backends, count; taken at a time.
struct Gateway {
  void add_vip(const std::string& name, const v1::Counters& c) {
    auto& v = *sample.services.response.add_services();
    v.set_namespace_("demo");
    v.set_name(name);
    v.set_vip("198.51.100.1");
    v.set_port(80);
    v.set_state(v1::VipRow::STATE_PROGRAMMED);
    *v.mutable_counters() = c;
  }
  void add_backend(const std::string& name, const std::string& address, const v1::Counters& c) {
    auto& b = *sample.backends.response.add_backends();
    b.set_namespace_("demo");
    b.set_name(name);
    b.set_vip("198.51.100.1");
    b.set_vip_port(80);
    b.set_address(address);
    b.set_port(8080);
    b.set_state(v1::BackendRow::STATE_READY);
    *b.mutable_counters() = c;
  }
  void add_drop(const std::string& reason, uint64_t packets) {
    auto& d = *sample.drops.response.add_drops();
    d.set_reason(reason);
    d.set_packets(packets);
  }
  Sample at(milliseconds after) {
    for (auto* time : {&sample.services.at, &sample.backends.at, &sample.drops.at}) *time = kStart + after;
    return sample;
  }
  Sample sample;
};

Sample first(milliseconds after = milliseconds(0)) {
  Gateway g;
  g.add_vip("web", counters(1'000, 100'000, 500, 10, 3));
  g.add_vip("dns", counters(50, 5'000, 0, 50, 40));
  g.add_backend("web", "10.0.0.1", counters(600, 60'000, 300, 6, 2));
  g.add_backend("web", "10.0.0.2", counters(400, 40'000, 200, 4, 1));
  g.add_backend("dns", "10.0.0.1", counters(50, 5'000, 0, 50, 40));
  g.add_drop("no_vip", 7);
  g.add_drop("no_backend", 3);
  return g.at(after);
}

Sample second(milliseconds after) {
  Gateway g;
  g.add_vip("web", counters(1'300, 130'000, 600, 12, 2));
  g.add_vip("dns", counters(850, 9'000, 0, 850, 800));
  g.add_backend("web", "10.0.0.1", counters(600, 60'000, 300, 6, 0));
  g.add_backend("web", "10.0.0.2", counters(700, 70'000, 300, 6, 2));
  g.add_backend("dns", "10.0.0.1", counters(850, 9'000, 0, 850, 800));
  g.add_drop("no_vip", 7);
  g.add_drop("no_backend", 23);
  g.add_drop("loop", 4);
  return g.at(after);
}

TEST_CASE("top: rates by the true time between two samples", "[top]") {
  const cli::Top top = rates_between(first(), second(milliseconds(2'000)), TopSort::kPackets);
  CHECK(top.seconds() == Approx(2));
  REQUIRE(top.vips_size() == 2);
  const cli::TopVip& web = top.vips(1);
  CHECK(web.name() == "web");
  CHECK(web.rates().packets_per_second() == Approx(200));  // 300 and 100 replies in two seconds
  CHECK(web.rates().bits_per_second() == Approx(120'000));
  CHECK(web.rates().connections_per_second() == Approx(1));
  CHECK(web.rates().live_connections() == 2);
  REQUIRE(web.backends_size() == 2);
  CHECK(web.backends(0).address() == "10.0.0.2");  // the busier one first
  CHECK(web.backends(0).rates().packets_per_second() == Approx(200));
  CHECK(web.backends(1).rates().packets_per_second() == 0);
  REQUIRE(top.drops_size() == 2);
  CHECK(top.drops(0).reason() == "no_backend");
  CHECK(top.drops(0).packets_per_second() == Approx(10));
  CHECK(top.drops(1).reason() == "loop");
}

TEST_CASE("top: each order", "[top]") {
  for (const auto& [sort, name] : {std::pair{TopSort::kPackets, "dns"},
                                   {TopSort::kBits, "web"},
                                   {TopSort::kConnections, "dns"},
                                   {TopSort::kLive, "dns"}}) {
    INFO(kTopSorts[static_cast<size_t>(sort)]);
    CHECK(rates_between(first(), second(milliseconds(1'000)), sort).vips(0).name() == name);
  }
}

TEST_CASE("top: an engine that began anew counts from zero", "[top]") {
  const cli::Top top = rates_between(second(milliseconds(0)), first(milliseconds(500)), TopSort::kPackets);
  REQUIRE(top.vips_size() == 2);
  CHECK(top.vips(0).name() == "web");
  CHECK(top.vips(0).rates().packets_per_second() == Approx((1'000 + 500) / 0.5));
  CHECK(top.drops(0).reason() == "no_backend");
  CHECK(top.drops(0).packets_per_second() == Approx(6));
}

TEST_CASE("top: what has no counters now or had none before has no rates", "[top]") {
  Sample before = first();
  Sample now = second(milliseconds(1'000));
  before.services.response.mutable_services(0)->clear_counters();
  now.backends.response.mutable_backends(1)->clear_counters();
  const cli::Top top = rates_between(before, now, TopSort::kPackets);
  REQUIRE(top.vips(1).name() == "web");
  CHECK_FALSE(top.vips(1).has_rates());
  CHECK(top.vips(1).backends(0).address() == "10.0.0.1");
  CHECK(top.vips(1).backends(0).has_rates());
  CHECK_FALSE(top.vips(1).backends(1).has_rates());
}

TEST_CASE("top: as text", "[top]") {
  cli::Top top = rates_between(first(), second(milliseconds(1'000)), TopSort::kPackets);
  REQUIRE(top.vips(1).name() == "web");
  top.mutable_vips()->DeleteSubrange(0, 1);
  CHECK(show_table(top, {}) ==
        "VIP / BACKEND         SERVICE    PACKETS/S   BITS/S   CONN/S   LIVE   STATE\n"
        "198.51.100.1:80/TCP   demo/web   400         240k     2        2      Programmed\n"
        "  10.0.0.2:8080                  400         240k     2        2      ready\n"
        "  10.0.0.1:8080                  0           0        0        0      ready\n");
  CHECK(show_drops(top, {}) == "Drops/s: no_backend 20, loop 4\n");
  CHECK(show_drops(top, {.colours = true}) == "Drops/s: \x1b[33mno_backend 20, loop 4\x1b[0m\n");
  top.clear_drops();
  CHECK(show_drops(top, {}) == "Drops/s: none\n");
  for (const auto& [n, text] : {std::pair{0.0, "0"},
                                {7.0, "7"},
                                {0.5, "0.50"},
                                {12.34, "12.3"},
                                {99.96, "100"},
                                {999.4, "999"},
                                {999.6, "1.00k"},
                                {12'345.0, "12.3k"},
                                {9'876'543'210.0, "9.88G"},
                                {1e18, "1000000T"}})
    CHECK(short_number(n) == text);
}

}  // namespace
}  // namespace guideway::mgmt
