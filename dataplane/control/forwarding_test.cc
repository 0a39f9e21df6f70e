// What the workers' Fib leads to, as the kernel's routes and neighbours change: eth1 and eth2 are ports.
#include "dataplane/control/forwarding.h"

#include <catch2/catch.hpp>

#include <map>

#include "dataplane/control/eal_for_test.h"

namespace guideway::control {
namespace {

using Action = Event::Action;

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }
net::Prefix prefix(const char* text) { return *net::parse_prefix(text); }

struct Ground {
  Ground() {
    start_eal();
    for (const int i : {1, 2})
      rib.apply({Action::kAdd,
                 Link{.ifindex = i, .name = "eth" + std::to_string(i), .mtu = 1500, .up = true, .lower_up = true}});
    auto p = Publisher::create({.workers = 1,
                                .limits = {},
                                .rib = &rib,
                                .tally = tally.get(),
                                .ports = {{.index = 0, .ifindex = 1, .mac = {}, .declared = {}},
                                          {.index = 1, .ifindex = 2, .mac = {}, .declared = {}}},
                                .keep = [](const auto&, bool) {}},
                               reclaimer);
    REQUIRE(p.ok());
    publisher = std::move(*p);
    forwarding = *Forwarding::create(rib, *publisher, reclaimer, {});
    tell({Action::kAdd, Route{.prefix = prefix("10.0.0.0/24"), .hops = {{1, {}, 1}}, .source = {}}});
  }
  void tell(const Event& event) {
    rib.apply(event);
    const Changes changes = rib.take_changes();
    publisher->routes_changed(changes);
    REQUIRE(forwarding->update(changes).ok());
  }
  void neighbor(const char* address) {
    tell({Action::kReplace, Neighbor{.key = {1, ip(address)}, .mac = {{2}}, .usable = true}});
  }
  path::RouteIndex lead(const char* address) const { return forwarding->fib().fib()->lookup(ip(address).as_v4()); }

  Rib rib;
  std::unique_ptr<Tally> tally = *Tally::create(1);
  Reclaimer reclaimer{1};
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Forwarding> forwarding;
};

}  // namespace

TEST_CASE("a neighbour's host route goes with the route around it") {
  Ground g;
  const Event longer{Action::kAdd,
                     Route{.prefix = prefix("10.0.0.0/25"), .hops = {{2, ip("192.0.2.9"), 1}}, .source = {}}};
  const Event gone{Action::kRemove, longer.what};
  g.neighbor("10.0.0.5");
  const path::RouteIndex own = g.lead("10.0.0.5");
  CHECK(own != g.lead("10.0.0.6"));
  g.tell(longer);
  CHECK(g.lead("10.0.0.5") == g.lead("10.0.0.6"));

  g.neighbor("10.0.0.7");  // while it isn't led there
  CHECK(g.lead("10.0.0.7") == g.lead("10.0.0.6"));
  g.tell(gone);
  CHECK(g.lead("10.0.0.200") == g.lead("10.0.0.6"));
  for (const char* known : {"10.0.0.5", "10.0.0.7"}) CHECK(g.lead(known) != g.lead("10.0.0.6"));
}

TEST_CASE("reals go by the routes that they lie in, the longest first") {
  Ground g;
  REQUIRE_FALSE(g.publisher->apply({.gateway = {},
                                    .services = {{.name = "a",
                                                  .vip = {ip("192.0.2.1"), net::Be16{80}, 6, 0},
                                                  .table_size = 251,
                                                  .reals = {{ip("10.0.0.5"), 80, 1, false},
                                                            {ip("10.0.0.200"), 80, 1, false},
                                                            {ip("2001:db8::5"), 80, 1, false}}}},
                                    .removals = {}}));
  const auto routes = [&] {
    std::map<std::string, path::RouteIndex> all;
    for (uint32_t i = 0; i < 3; ++i) {
      const path::Real& real = g.publisher->tables().load()->reals[path::RealIndex{i}];
      all[net::to_string(real.address)] = real.route;
    }
    return all;
  };
  const auto first = routes();
  const Event longer{Action::kAdd,
                     Route{.prefix = prefix("10.0.0.0/25"), .hops = {{2, ip("192.0.2.9"), 1}}, .source = {}}};
  g.tell(longer);
  auto now = routes();
  CHECK(now["10.0.0.5"] != first.at("10.0.0.5"));
  CHECK(now["10.0.0.200"] == first.at("10.0.0.200"));
  const path::RouteIndex none = now["2001:db8::5"];
  g.tell({Action::kAdd, Route{.prefix = prefix("::/0"), .hops = {{2, ip("fe80::9"), 1}}, .source = {}}});
  CHECK(routes()["2001:db8::5"] != none);
  g.tell({Action::kRemove, longer.what});
  now = routes();
  CHECK(now["10.0.0.5"] != now["10.0.0.200"]);  // each is a neighbour of its own
  CHECK(now["10.0.0.200"] == first.at("10.0.0.200"));

  // Without its link nothing is left of it.
  g.tell({Action::kReplace, Link{.ifindex = 1, .name = "eth1", .mtu = 1500, .up = false}});
  CHECK(routes()["10.0.0.5"] == routes()["10.0.0.200"]);
}

}  // namespace guideway::control
