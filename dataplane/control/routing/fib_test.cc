// The Fib and its builder against a slow obvious twin: a list of prefixes, gone through for each lookup.
#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <iostream>
#include <map>
#include <random>

#include "dataplane/control/routing/fib_builder.h"

namespace guideway::control {
namespace {

using path::Fib;
using path::kNoRoute;
using path::RouteIndex;

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }
net::Prefix prefix(const char* address, unsigned length) { return prefix_of(ip(address), length); }

constexpr FibLimits kSmall{.blocks_v4 = 512, .blocks_v6 = 4096};

// Records what is published.
struct Worker {
  const Fib* sees = nullptr;
  unsigned publications = 0;
  unsigned waits = 0;
  std::function<void()> when_waited_for;

  std::unique_ptr<FibBuilder> builder(const FibLimits& limits = kSmall) {
    auto b = FibBuilder::create(limits, {.publish = [this](const Fib* f) { sees = f, ++publications; },
                                         .wait_until_quiescent =
                                             [this] {
                                               ++waits;
                                               if (when_waited_for) when_waited_for();
                                             }});
    INFO(b.status().ToString());
    REQUIRE(b.ok());
    return *std::move(b);
  }
};

class Twin {
 public:
  void apply(const FibEntry& e) {
    if (e.index == kNoRoute)
      entries_.erase(e.prefix);
    else
      entries_[e.prefix] = e.index;
  }
  RouteIndex lookup(const net::IpAddress& a) const {
    const std::pair<const net::Prefix, RouteIndex>* best = nullptr;
    for (const auto& e : entries_)
      if (contains(e.first, a) && (best == nullptr || e.first.length > best->first.length)) best = &e;
    return best == nullptr ? kNoRoute : best->second;
  }
  const std::map<net::Prefix, RouteIndex>& entries() const { return entries_; }

 private:
  std::map<net::Prefix, RouteIndex> entries_;
};

// Few distinct bytes, so that prefixes nest and meet.
net::IpAddress any_address(std::mt19937& random, bool v6) {
  net::IpAddress a = v6 ? ip("2001:db8::") : ip("10.0.0.0");
  for (size_t i = v6 ? 2 : 12; i < 16; ++i) {
    static constexpr std::array<uint8_t, 6> kBytes{0, 1, 10, 127, 128, 255};
    a.bytes[i] = random() % 4 == 0 ? kBytes[random() % kBytes.size()] : kBytes[0];
  }
  return a;
}

FibEntry any_entry(std::mt19937& random, bool v6) {
  const net::IpAddress a = any_address(random, v6);
  const net::Prefix p = prefix_of(a, random() % (address_bits(a) + 1));
  // Few indices: neighbouring prefixes that lead the same way must not melt into one.
  return {p, random() % 3 == 0 ? kNoRoute : RouteIndex(random() % 2 ? path::kMaxRouteIndex : 1)};
}

void check_against(const Fib& fib, const Twin& twin, std::mt19937& random, bool v6) {
  std::vector<net::IpAddress> asked;
  for (int i = 0; i < 40; ++i) asked.push_back(any_address(random, v6));
  std::vector<RouteIndex> found(asked.size());
  if (v6) {
    fib.lookup_burst(std::span<const net::IpAddress>(asked), found);
  } else {
    std::vector<net::Be32> v4;
    for (const auto& a : asked) v4.push_back(a.as_v4());
    fib.lookup_burst(std::span<const net::Be32>(v4), found);
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    INFO(net::to_string(asked[i]));
    REQUIRE(found[i] == twin.lookup(asked[i]));
    REQUIRE(fib.lookup(asked[i]) == found[i]);
  }
}

}  // namespace

TEST_CASE("lookups of both families agree with the twin over random changes") {
  const bool v6 = GENERATE(false, true);
  Worker worker;
  const auto builder = worker.builder();
  Twin twin;
  std::mt19937 random(v6 ? 6 : 4);
  for (int round = 0; round < 400; ++round) {
    std::vector<FibEntry> batch;
    for (unsigned n = 1 + random() % 8; n > 0; --n) batch.push_back(any_entry(random, v6));
    const absl::Status s = builder->apply(batch);
    INFO(s.ToString());
    REQUIRE(s.ok());
    for (const FibEntry& e : batch) twin.apply(e);
    REQUIRE(builder->size() == twin.entries().size());
    REQUIRE(worker.sees == builder->fib());
    check_against(*worker.sees, twin, random, v6);  // left and right by turns
  }
  // All gone, in one batch: the space comes back.
  std::vector<FibEntry> gone;
  for (const auto& [prefix, index] : twin.entries()) gone.push_back({prefix, kNoRoute});
  REQUIRE(builder->apply(gone).ok());
  check_against(*worker.sees, Twin{}, random, v6);
  CHECK(builder->blocks_in_use_v4() == 0);
  CHECK(builder->blocks_in_use_v6() == 0);
}

TEST_CASE("default routes, host routes and the neighbourhood of a prefix") {
  Worker worker;
  const auto builder = worker.builder();
  CHECK(worker.sees->lookup(ip("192.0.2.1")) == kNoRoute);
  const std::vector<FibEntry> entries{
      {prefix("0.0.0.0", 0), RouteIndex{1}},       {prefix("192.0.2.0", 24), RouteIndex{2}},
      {prefix("192.0.2.7", 32), RouteIndex{3}},    {prefix("::", 0), RouteIndex{4}},
      {prefix("2001:db8:1::", 64), RouteIndex{5}}, {prefix("2001:db8:1::7", 128), RouteIndex{path::kMaxRouteIndex}}};
  REQUIRE(builder->apply(entries).ok());
  CHECK(worker.sees->lookup(ip("192.0.1.255")) == RouteIndex{1});
  CHECK(worker.sees->lookup(ip("192.0.2.6")) == RouteIndex{2});
  CHECK(worker.sees->lookup(ip("192.0.2.7")) == RouteIndex{3});
  CHECK(worker.sees->lookup(ip("255.255.255.255")) == RouteIndex{1});
  CHECK(worker.sees->lookup(ip("2001:db8:2::7")) == RouteIndex{4});
  CHECK(worker.sees->lookup(ip("2001:db8:1::6")) == RouteIndex{5});
  CHECK(worker.sees->lookup(ip("2001:db8:1::7")) == RouteIndex{path::kMaxRouteIndex});
}

TEST_CASE("two halves of a block that lead the same way stay two") {
  Worker worker;
  const auto builder = worker.builder();
  const auto apply = [&](const FibEntry& e) { REQUIRE(builder->apply({&e, 1}).ok()); };
  for (const char* half : {"10.0.0.0", "10.0.0.128"}) apply({prefix(half, 25), RouteIndex{1}});
  apply({prefix("10.0.0.7", 32), RouteIndex{2}});
  apply({prefix("10.0.0.7", 32), kNoRoute});
  apply({prefix("10.0.0.128", 25), kNoRoute});
  CHECK(worker.sees->lookup(ip("10.0.0.1")) == RouteIndex{1});
  CHECK(worker.sees->lookup(ip("10.0.0.200")) == kNoRoute);
  apply({prefix("10.0.0.0", 25), kNoRoute});
  CHECK(worker.sees->lookup(ip("10.0.0.1")) == kNoRoute);
  CHECK(builder->blocks_in_use_v4() == 0);
}

TEST_CASE("the published copy is never written to") {
  Worker worker;
  const auto builder = worker.builder();
  const Fib* first = worker.sees;
  const FibEntry a{prefix("10.0.0.0", 8), RouteIndex{1}};
  worker.when_waited_for = [&] {  // the old copy is as it was, the new one is complete
    CHECK(first->lookup(ip("10.0.0.1")) == kNoRoute);
    CHECK(worker.sees->lookup(ip("10.0.0.1")) == RouteIndex{1});
  };
  REQUIRE(builder->apply({&a, 1}).ok());
  CHECK(worker.sees != first);
  CHECK(worker.publications == 2);
  CHECK(worker.waits == 1);
  REQUIRE(builder->apply({&a, 1}).ok());  // changes nothing
  CHECK(worker.publications == 2);
}

TEST_CASE("what doesn't fit is refused whole, by name") {
  Worker worker;
  const auto builder = worker.builder({.blocks_v4 = 64, .blocks_v6 = 64});
  const FibEntry before{prefix("10.0.0.0", 8), RouteIndex{9}};
  REQUIRE(builder->apply({&before, 1}).ok());
  const unsigned publications = worker.publications;

  const auto refused = [&](const std::vector<FibEntry>& batch, absl::StatusCode code, const char* named) {
    const absl::Status s = builder->apply(batch);
    CHECK(s.code() == code);
    INFO(s.ToString());
    CHECK(s.ToString().find(named) != std::string::npos);
    CHECK(worker.publications == publications);
    CHECK(builder->size() == 1);
    CHECK(worker.sees->lookup(ip("10.0.3.1")) == RouteIndex{9});
  };
  std::vector<FibEntry> hosts{{before.prefix, RouteIndex{8}}};
  for (uint32_t i = 0; i < 80; ++i)
    hosts.push_back({{net::IpAddress::v4(net::Be32(0x0a000001 + (i << 8))), 32}, RouteIndex{1}});
  refused(hosts, absl::StatusCode::kResourceExhausted, "64 /24 networks");
  std::vector<FibEntry> v6;
  for (int i = 0; i < 20; ++i) {
    net::Prefix p = prefix("2001:db8::1", 128);
    p.address.bytes[4] = static_cast<uint8_t>(i);
    v6.push_back({p, RouteIndex{1}});
  }
  refused(v6, absl::StatusCode::kResourceExhausted, "64 steps");
  refused({{prefix("10.1.0.0", 16), RouteIndex{path::kMaxRouteIndex + 1}}}, absl::StatusCode::kInvalidArgument,
          "10.1.0.0/16");

  // Both copies were left as they were: the next two batches show each of them.
  for (const RouteIndex index : {RouteIndex{1}, RouteIndex{2}}) {
    const FibEntry e{prefix("10.0.3.1", 32), index};
    REQUIRE(builder->apply({&e, 1}).ok());
    CHECK(worker.sees->lookup(ip("10.0.3.1")) == index);
    CHECK(worker.sees->lookup(ip("10.0.4.1")) == RouteIndex{9});
    CHECK(worker.sees->lookup(ip("2001:db8::1")) == kNoRoute);
  }
}

TEST_CASE("figures of the default limits", "[figures]") {
  Worker worker;
  const auto builder = worker.builder({});
  std::mt19937 random(1);
  std::vector<FibEntry> routes;
  for (int i = 0; i < 100'000; ++i)
    routes.push_back({prefix_of(net::IpAddress::v4(net::Be32(static_cast<uint32_t>(random()))), 16 + random() % 9),
                      RouteIndex(1 + random() % 100)});
  auto start = std::chrono::steady_clock::now();
  REQUIRE(builder->apply(routes).ok());
  auto took = std::chrono::steady_clock::now() - start;
  std::cout << builder->size() << " IPv4 routes at once: " << took / std::chrono::milliseconds(1) << " ms\n";
  const FibEntry one{prefix("10.11.12.13", 32), RouteIndex{7}};
  start = std::chrono::steady_clock::now();
  REQUIRE(builder->apply({&one, 1}).ok());
  took = std::chrono::steady_clock::now() - start;
  std::cout << "one more: " << took / std::chrono::microseconds(1) << " us\n";

  std::array<net::Be32, Fib::kBurst> asked;
  std::array<RouteIndex, Fib::kBurst> found;
  uint64_t sum = 0;
  constexpr int kBursts = 100'000;
  start = std::chrono::steady_clock::now();
  for (int i = 0; i < kBursts; ++i) {
    for (size_t j = 0; j < asked.size(); ++j) asked[j] = net::Be32(0x0a0b0c00U + static_cast<uint32_t>(j));
    worker.sees->lookup_burst(std::span<const net::Be32>(asked), found);
    sum += static_cast<uint32_t>(found[static_cast<size_t>(i) % found.size()]);
  }
  took = std::chrono::steady_clock::now() - start;
  std::cout << "a lookup in a burst, cached: " << static_cast<double>(took / std::chrono::nanoseconds(1)) / kBursts / 64
            << " ns\n";
  CHECK(sum > 0);
}

}  // namespace guideway::control
