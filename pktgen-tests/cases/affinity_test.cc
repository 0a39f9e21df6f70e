// Session affinity against its slow twin: a map of clients, and the rules of the reference one by one.
#include <catch2/catch.hpp>

#include <map>
#include <random>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr unsigned kTimeout = 100;  // seconds

enum class State { kReady, kDraining, kTerminating, kGone };

// Real n of 10.0.1.<n>, by the MAC address that the packet left to; 0: it was dropped.
unsigned real_of(const std::vector<rig::Sent>& sent) { return sent.size() == 1 ? sent[0].bytes.at(5) : 0; }

class Walk {
 public:
  Walk(uint32_t seed, Mode mode, bool v4) : random_(seed), mode_(mode), v4_(v4), rig_({.workers = 2}) {
    network(rig_);
    rig_.gateway(snat());
    configure();
  }
  void step() {
    switch (below(12)) {
      case 0:
        return change_a_real();
      case 1:
        return pass(below(kTimeout / 2));
      case 2:
        return rig_.sweep();
      default:
        return connect(below(6));
    }
  }
  void pass(unsigned seconds) {
    now_ += seconds;
    rig_.pass(seconds);
  }

 private:
  struct Client {
    unsigned real = 0;
    uint64_t since = 0;  // its last new connection
  };
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool ready(unsigned real) const { return real != 0 && states_.at(real) == State::kReady; }

  void configure() {
    auto s = service(v4_ ? kVip : kVip6, 80, Protocol::kTcp, mode_, {});
    s.affinity_seconds = kTimeout;
    for (const auto& [n, state] : states_) {
      if (state == State::kGone) continue;
      const std::string address = (v4_ ? "10.0.1." : "2001:db8:1::") + std::to_string(n);
      s.reals.push_back(
          {net::parse_ip(address).value(), 80, state == State::kDraining ? 0U : 1U, state == State::kTerminating});
    }
    rig_.service(s);
  }
  void change_a_real() {
    states_[10 + below(3)] = static_cast<State>(below(4));
    states_[10 + below(3)] = State::kReady;  // or nobody is left, and the rules are others
    configure();
  }
  Frame packet(uint32_t client, uint16_t port, uint8_t flags) const {
    const std::string source = (v4_ ? "10.9.0." : "2001:db8:9::") + std::to_string(client + 1);
    return Frame().ip(source, v4_ ? kVip : kVip6).tcp(port, 80, flags);
  }
  // A new connection comes in by any queue, and its second packet by another.
  void connect(uint32_t n) {
    const uint16_t port = next_port_++;
    const unsigned real = real_of(rig_.send(packet(n, port, net::kTcpSyn).bytes(), 0, below(2)));
    INFO("client " << n << " at " << now_ << " s");
    REQUIRE(ready(real));
    Client& client = clients_[n];
    if (ready(client.real) && now_ - client.since < kTimeout) {
      CHECK(real == client.real);
    }
    client = {real, now_};
    CHECK(real_of(rig_.send(packet(n, port, net::kTcpAck).bytes(), 0, below(2))) == real);
  }

  std::mt19937 random_;
  Mode mode_;
  bool v4_;
  Rig rig_;
  uint64_t now_ = 0;
  uint16_t next_port_ = 1'000;
  std::map<unsigned, State> states_{{10, State::kReady}, {11, State::kReady}, {12, State::kReady}};
  std::map<uint32_t, Client> clients_;
};

TEST_CASE("a client keeps its real as the twin says", "[affinity]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat})
    for (const bool v4 : {true, false})
      for (uint32_t seed = 1; seed <= 3; ++seed) {
        INFO("mode " << static_cast<int>(mode) << ", IPv4 " << v4 << ", seed " << seed);
        Walk walk(seed, mode, v4);
        for (int i = 0; i < 400; ++i) walk.step();
      }
}

// Clients whose real is Maglev's by their address alone, or they would move when their time is up.
TEST_CASE("a client is forgotten some time after its last new connection", "[affinity]") {
  Rig rig({.workers = 2});
  network(rig);
  auto s = service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"});
  s.affinity_seconds = kTimeout;
  rig.service(s);
  const auto connect = [&](unsigned client, uint16_t port) {
    return real_of(
        rig.send(Frame().ip("10.9.0." + std::to_string(client), kVip).tcp(port, 80).syn().bytes(), 0, port % 2));
  };
  for (unsigned client = 1; client <= 20; ++client) REQUIRE(connect(client, 1) == 10);
  s.reals.push_back({net::parse_ip("10.0.1.11").value(), 80, 1, false});
  rig.service(s);
  for (const unsigned seconds : {0U, kTimeout - 1, kTimeout - 1}) {
    rig.pass(seconds);
    for (unsigned client = 1; client <= 20; ++client) CHECK(connect(client, static_cast<uint16_t>(2 + seconds)) == 10);
  }
  rig.pass(kTimeout);
  unsigned moved = 0;
  for (unsigned client = 1; client <= 20; ++client) moved += connect(client, 500) == 11;
  CHECK(moved > 3);
  CHECK(moved < 17);
}

// Connections of one client to a service whose affinity is switched on and off, with two workers.
struct Switched {
  explicit Switched(Mode mode, control::GatewaySpec gateway = snat()) : rig({.workers = 2}) {
    network(rig);
    rig.gateway(gateway);
    spec = service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10", "10.0.1.11", "10.0.1.12"});
    rig.service(spec);
  }
  void affinity(uint32_t seconds) {
    spec.affinity_seconds = seconds;
    rig.service(spec);
    rig.sweep();
  }
  unsigned send(uint16_t port, uint8_t flags, unsigned queue) {
    return real_of(rig.send(Frame().ip("10.9.0.1", kVip).tcp(port, 80, flags).bytes(), 0, queue));
  }

  Rig rig;
  control::ServiceSpec spec;
};

TEST_CASE("switching affinity on and off leaves connections with their reals", "[affinity]") {
  for (const Mode mode : {Mode::kDsrL2, Mode::kNat}) {
    INFO("mode " << static_cast<int>(mode));
    Switched s(mode);
    std::map<uint16_t, unsigned> reals;
    const auto open = [&](uint16_t first) {
      for (uint16_t port = first; port < first + 50; ++port) {
        reals[port] = s.send(port, net::kTcpSyn, 0);
        s.send(port, net::kTcpAck, 0);
      }
    };
    open(1);
    for (const uint32_t seconds : {kTimeout, 0U}) {
      s.affinity(seconds);
      for (const auto& [port, real] : reals)
        for (const unsigned queue : {0U, 1U}) CHECK(s.send(port, net::kTcpAck, queue) == real);
      open(static_cast<uint16_t>(1'000 + seconds));
    }
  }
}

// All SNAT ports are one worker's: half of the flows were handed on to it by their owner.
TEST_CASE("switching affinity leaves connections with a worker that isn't their owner", "[affinity]") {
  for (const uint16_t block : {20'032, 20'096}) {
    Switched s(Mode::kNat, snat(block, block + 63));
    std::map<uint16_t, unsigned> reals;
    for (uint16_t port = 1; port <= 50; ++port) {
      reals[port] = s.send(port, net::kTcpSyn, port % 2);
      REQUIRE(reals[port] != 0);
      s.send(port, net::kTcpAck, port % 2);
    }
    for (const uint32_t seconds : {kTimeout, 0U}) {
      s.affinity(seconds);
      for (const auto& [port, real] : reals) CHECK(s.send(port, net::kTcpAck, port % 2) == real);
    }
  }
}

// The client's affinity has another worker own its connections: what the first one still has of them leads nobody
// astray.
TEST_CASE("a connection that begins anew after affinity was switched has its new real alone", "[affinity]") {
  for (const Mode mode : {Mode::kDsrL2, Mode::kNat}) {
    INFO("mode " << static_cast<int>(mode));
    Switched s(mode);
    for (const uint32_t seconds : {0U, kTimeout, 0U}) {
      s.affinity(seconds);
      for (uint16_t port = 1; port <= 50; ++port) {
        const unsigned queue = port % 2;
        const unsigned real = s.send(port, net::kTcpSyn, queue);
        CHECK(real != 0);
        for (const uint8_t flags : {net::kTcpAck, net::kTcpFin, net::kTcpAck})
          CHECK(s.send(port, flags, queue) == real);
      }
    }
  }
}

}  // namespace
}  // namespace guideway::cases
