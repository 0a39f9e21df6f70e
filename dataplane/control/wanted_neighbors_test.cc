// Which neighbours the kernel is asked for, how many, and for how long.
#include "dataplane/control/wanted_neighbors.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <set>
#include <thread>

#include "dataplane/path/glean.h"

namespace guideway::control {
namespace {

using Action = Event::Action;
using namespace std::chrono_literals;

net::IpAddress ip(const std::string& text) { return *net::parse_ip(text); }

struct Ground {
  Ground() {
    rib.apply({Action::kAdd, Link{.ifindex = 1, .name = "eth1", .mtu = 1500, .up = true, .lower_up = true}});
    rib.apply({Action::kAdd, Route{.prefix = prefix_of(ip("10.0.0.0"), 16), .hops = {{1, {}, 1}}, .source = {}}});
    rib.apply({Action::kAdd,
               Route{.prefix = prefix_of(ip("10.9.0.0"), 16), .hops = {{1, ip("10.0.0.254"), 1}}, .source = {}}});
  }
  void answers(const std::string& address) {
    rib.apply({Action::kReplace, Neighbor{.key = {1, ip(address)}, .mac = {{2}}, .usable = true}});
  }

  Rib rib;
  std::set<NeighborKey> kept;
  WantedNeighbors wanted{rib, [this](const NeighborKey& key, bool keep) {
                           if (keep)
                             CHECK(kept.insert(key).second);
                           else
                             CHECK(kept.erase(key) == 1);
                         }};
  WantedNeighbors::Time now{};
};

}  // namespace

TEST_CASE("only hosts on a link are asked for, each once") {
  Ground g;
  g.wanted.want(ip("10.0.0.7"), g.now);
  g.wanted.want(ip("10.0.0.7"), g.now);
  g.wanted.want(ip("10.9.0.7"), g.now);
  g.wanted.want(ip("172.16.0.1"), g.now);
  CHECK(g.kept == std::set<NeighborKey>{{1, ip("10.0.0.7")}});
}

TEST_CASE("who doesn't answer is given up soon, who does is kept for long") {
  Ground g;
  g.wanted.want(ip("10.0.0.7"), g.now);
  g.wanted.want(ip("10.0.0.8"), g.now);
  g.answers("10.0.0.8");
  g.wanted.age(g.now + 3s);
  CHECK(g.kept.size() == 2);
  g.wanted.age(g.now + 4s);
  CHECK(g.kept == std::set<NeighborKey>{{1, ip("10.0.0.8")}});
  g.wanted.age(g.now + 599s);
  CHECK(g.kept.size() == 1);
  g.wanted.age(g.now + 600s);
  CHECK(g.kept.empty());
  g.wanted.want(ip("10.0.0.7"), g.now + 601s);
  CHECK(g.kept.size() == 1);
}

TEST_CASE("no more are wanted than the limit") {
  Ground g;
  for (unsigned i = 0; i < 2'000; ++i)
    g.wanted.want(ip("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1)), g.now);
  CHECK(g.kept.size() == WantedNeighbors::kLimit);
  g.wanted.age(g.now + 4s);
  CHECK(g.kept.empty());
}

TEST_CASE("the ring passes addresses on in order, and forgets what it has no room for") {
  path::Glean glean;
  CHECK(!glean.take());
  for (unsigned i = 0; i < 100; ++i) {
    glean.tell(ip("10.0.0." + std::to_string(i)));
    glean.tell(ip("10.0.0." + std::to_string(i)));  // the same again isn't told twice
  }
  for (unsigned i = 0; i < path::Glean::kSize; ++i) CHECK(glean.take() == ip("10.0.0." + std::to_string(i)));
  CHECK(!glean.take());
  glean.tell(ip("10.0.0.63"));
  CHECK(glean.take() == ip("10.0.0.63"));
}

TEST_CASE("the ring's ends may be on two threads") {
  path::Glean glean;
  constexpr uint32_t kLast = 1'000'000;
  std::atomic<bool> done{false};
  std::thread worker([&] {
    for (uint32_t i = 1; i <= kLast; ++i) glean.tell(net::IpAddress::v4(net::Be32{i}));
    done = true;
  });
  net::IpAddress last = net::IpAddress::v4(net::Be32{0});
  unsigned taken = 0;
  bool in_order = true;
  for (bool more = true; more;) {
    more = !done;
    while (const auto address = glean.take()) {
      in_order = in_order && last < *address;
      last = *address;
      ++taken;
    }
  }
  worker.join();
  CHECK(in_order);
  CHECK(taken >= path::Glean::kSize);
}

}  // namespace guideway::control
