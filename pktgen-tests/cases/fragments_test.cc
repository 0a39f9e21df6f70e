// Fragments, in whatever order and by whatever queue they come: against a twin that says what leaves, and when.
#include "dataplane/path/fragments.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

using path::Fragments;

constexpr size_t kPayload = 88;  // with UDP's header 96 bytes: four pieces of 24
constexpr size_t kPiece = 24;

void dns(Rig& rig, Mode mode) {
  network(rig);
  rig.gateway(snat());
  rig.service(service(kVip, 53, Protocol::kUdp, mode, {"10.0.1.10"}));
  rig.service(service(kVip6, 53, Protocol::kUdp, mode, {"2001:db8:1::10"}));
}

Frame datagram(bool v4, uint16_t port) {
  return Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6).udp(port, 53).payload(kPayload);
}
rig::Bytes piece(bool v4, uint16_t port, uint32_t id, size_t n) {
  return datagram(v4, port).piece(id, n * kPiece, kPiece).bytes();
}

// What leaves for it in nat.
std::string translated(bool v4, uint16_t snat_port, uint32_t id, size_t n) {
  return rig::describe(Frame()
                           .ip(v4 ? "10.0.1.200" : "2001:db8:1::200", v4 ? "10.0.1.10" : "2001:db8:1::10")
                           .udp(snat_port, 53)
                           .payload(kPayload)
                           .ttl(63)
                           .ethernet(kPort1Mac, real_mac(10))
                           .piece(id, n * kPiece, kPiece)
                           .bytes());
}

// Which pieces leave once this one has come: all that were early, behind the first.
class Twin {
 public:
  std::vector<std::pair<uint32_t, size_t>> comes(uint32_t id, size_t n) {
    if (n != 0 && !known_.contains(id)) {
      waiting_[id].push_back(n);
      return {};
    }
    std::vector<std::pair<uint32_t, size_t>> out{{id, n}};
    if (n == 0 && known_.insert(id).second)
      for (const size_t early : waiting_[id]) out.emplace_back(id, early);
    return out;
  }

 private:
  std::set<uint32_t> known_;
  std::map<uint32_t, std::vector<size_t>> waiting_;
};

// One datagram for each order, each of a flow of its own.
void every_order(Rig& rig, bool v4, unsigned queues) {
  std::vector<size_t> order{0, 1, 2, 3};
  uint32_t id = 1;
  do {
    Twin twin;
    std::vector<size_t> left;
    std::vector<size_t> expected;
    uint16_t snat_port = 0;
    std::vector<std::string> bytes;
    for (const size_t n : order) {
      for (const rig::Sent& s : rig.send(piece(v4, static_cast<uint16_t>(1'000 + id), id, n), 0, (id + n) % queues)) {
        const size_t at = v4 ? 34 : 62;
        if (bytes.empty()) snat_port = static_cast<uint16_t>(s.bytes.at(at) << 8 | s.bytes.at(at + 1));
        bytes.push_back(rig::describe(s.bytes));
      }
      for (const auto& [_, what] : twin.comes(id, n)) expected.push_back(what);
      INFO(id << " " << n);
      REQUIRE(net::to_string(rig.dropped()) == "none");
      REQUIRE(bytes.size() == expected.size());
    }
    for (size_t i = 0; i < expected.size(); ++i) CHECK(bytes[i] == translated(v4, snat_port, id, expected[i]));
    ++id;
  } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("fragments in every order, nat", "[fragments]") {
  for (const unsigned workers : {1U, 2U, 3U}) {
    Rig rig({.workers = workers});
    dns(rig, Mode::kNat);
    for (const bool v4 : {true, false}) {
      INFO(workers << (v4 ? " IPv4" : " IPv6"));
      every_order(rig, v4, workers);
    }
  }
}

// Datagrams of one flow that are all under way at once, their pieces shuffled and some lost.
TEST_CASE("fragments of many datagrams against a twin, DSR", "[fragments]") {
  std::mt19937 random(7);
  for (unsigned run = 0; run < 20; ++run) {
    Rig rig;
    dns(rig, Mode::kDsrL2);
    Twin twin;
    std::vector<std::pair<uint32_t, size_t>> all;
    for (uint32_t id = 0; id < 12; ++id)
      for (size_t n = 0; n < 4; ++n)
        if (random() % 8 != 0) all.emplace_back(id, n);
    std::ranges::shuffle(all, random);
    for (const auto& [id, n] : all) {
      const auto sent = rig.send(piece(true, 5'353, id, n));
      const auto expected = twin.comes(id, n);
      REQUIRE(sent.size() == expected.size());
      for (size_t i = 0; i < sent.size(); ++i)
        CHECK(rig::describe(sent[i].bytes) ==
              rig::describe(datagram(true, 5'353)
                                .piece(expected[i].first, expected[i].second * kPiece, kPiece)
                                .ethernet(kPort1Mac, real_mac(10))
                                .bytes()));
    }
  }
}

TEST_CASE("all fragments of a new nat flow in one burst", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kNat);
  for (size_t n = 0; n < 4; ++n) rig.enqueue(piece(true, 5'353, 7, n));
  CHECK(rig.run().size() == 4);
}

void milliseconds(Rig& rig, unsigned n) {
  for (unsigned i = 0; i < n; ++i) rig.workers()[0].housekeep(rig.now());
}

TEST_CASE("a fragment waits 50 ms for its first, and no longer", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kDsrIpip);
  CHECK(rig.send(piece(true, 5'353, 7, 1)).empty());
  milliseconds(rig, Fragments::kWait - 1);
  CHECK(rig.send(piece(true, 5'353, 7, 0)).size() == 2);
  CHECK(rig.send(piece(true, 5'353, 8, 1)).empty());
  milliseconds(rig, Fragments::kWait);
  CHECK(rig.drops(DropReason::FRAGMENT_TIMEOUT) == 1);
  CHECK(rig.send(piece(true, 5'353, 8, 0)).size() == 1);
}

TEST_CASE("a datagram is known for a while", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kDsrIpip);
  for (const auto& [after, leaves] : {std::pair{Fragments::kLife - 1, size_t{1}}, {Fragments::kLife, size_t{0}}}) {
    CHECK(rig.send(piece(true, 5'353, after, 0)).size() == 1);
    milliseconds(rig, after);
    CHECK(rig.send(piece(true, 5'353, after, 1)).size() == leaves);
  }
}

// As on a core that the worker doesn't have for itself.
TEST_CASE("a datagram is forgotten by the clock, a fragment waits in turns", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kDsrIpip);
  CHECK(rig.send(piece(true, 5'353, 7, 0)).size() == 1);
  rig.workers()[0].housekeep(rig.now(), Fragments::kLife);
  CHECK(rig.send(piece(true, 5'354, 7, 1)).empty());  // another datagram of the same id waits for its own first
  rig.workers()[0].housekeep(rig.now(), Fragments::kWait);
  CHECK(rig.send(piece(true, 5'354, 7, 0)).size() == 2);
}

TEST_CASE("the room where fragments wait, and the table, have limits", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kDsrIpip);
  const unsigned free = rte_mempool_avail_count(rig.pool());
  for (uint32_t id = 0; id < Fragments::kWaiting; ++id) rig.send(piece(true, 5'353, id, 1));
  CHECK(rig.drops(DropReason::FRAGMENTS_FULL) == 0);
  rig.send(piece(true, 5'353, 999, 1));
  CHECK(rig.drops(DropReason::FRAGMENTS_FULL) == 1);
  milliseconds(rig, Fragments::kWait);
  CHECK(rig.drops(DropReason::FRAGMENT_TIMEOUT) == Fragments::kWaiting);
  CHECK(rte_mempool_avail_count(rig.pool()) == free);

  for (uint32_t id = 0; id < Fragments::kDatagrams; ++id) CHECK(rig.send(piece(false, 5'353, id, 0)).size() == 1);
  CHECK(rig.send(piece(false, 5'353, 5'000, 0)).empty());
  CHECK(rig.drops(DropReason::FRAGMENTS_FULL) == 2);
  CHECK(rig.send(piece(false, 5'353, 0, 1)).size() == 1);
  milliseconds(rig, Fragments::kWait);  // the oldest is as old as anybody waits, and makes room
  CHECK(rig.send(piece(false, 5'353, 5'000, 0)).size() == 1);
  CHECK(rig.send(piece(false, 5'353, 5'000, 1)).size() == 1);
  CHECK(rig.send(piece(false, 5'353, 0, 1)).empty());
}

TEST_CASE("an id that comes again is the new datagram's", "[fragments]") {
  Rig rig;
  dns(rig, Mode::kNat);
  rig.service(service(kVip, 53, Protocol::kUdp, Mode::kNat, {"10.0.1.10", "10.0.1.11"}));
  const auto real_of = [](const std::vector<rig::Sent>& sent) { return sent.size() == 1 ? sent[0].bytes.at(5) : 0; };
  uint16_t other = 2'000;  // a flow of the other real
  const int first = real_of(rig.send(piece(true, 1'000, 1, 0)));
  while (real_of(rig.send(piece(true, other, 100U + other, 0))) == first) ++other;
  CHECK(real_of(rig.send(piece(true, 1'000, 7, 0))) == first);
  CHECK(real_of(rig.send(piece(true, 1'000, 7, 1))) == first);
  CHECK(real_of(rig.send(piece(true, other, 7, 0))) != first);
  CHECK(real_of(rig.send(piece(true, other, 7, 1))) != first);
}

}  // namespace
}  // namespace guideway::cases
