// What takes several steps: a real's state and a connection's age decide what becomes of a packet (reference, "What a
// real's state does to a packet"), and a service's change of mode.
#include <catch2/catch.hpp>

#include <algorithm>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr const char* kA = "10.0.1.10";
constexpr const char* kB = "10.0.1.11";
constexpr uint8_t kAck = net::kTcpAck;

enum class State { kReady, kWeight0, kTerminating, kGone };
constexpr std::array kStates{State::kReady, State::kWeight0, State::kTerminating, State::kGone};

control::ServiceSpec spec(Protocol protocol, Mode mode, std::initializer_list<std::string_view> reals) {
  return service(kVip, 80, protocol, mode, reals);
}

// `what` it does to its connection: TCP's flags, or SCTP's chunk.
Frame with_ports(Frame f, Protocol protocol, uint16_t from, uint16_t to, uint8_t what) {
  if (protocol == Protocol::kTcp) return f.tcp(from, to, what);
  return protocol == Protocol::kSctp ? f.sctp(from, to, what) : f.udp(from, to).payload(9);
}

Frame packet(Protocol protocol, uint16_t port, uint8_t what = 0) {
  return with_ports(Frame().ip("10.0.0.99", kVip), protocol, port, 80, what);
}

// Real n of 10.0.1.<n>, by the MAC address that the packet left to; 0: it was dropped.
unsigned real_of(const std::vector<rig::Sent>& sent) { return sent.size() == 1 ? sent[0].bytes.at(5) : 0; }

// A flow that real A took while it was alone; now B is there as well, and the flow's Maglev slot is B's.
class Scene {
 public:
  Scene(Protocol protocol, Mode mode) : protocol_(protocol), mode_(mode), port_(port_of_b(protocol)) {
    network(rig);
    rig.gateway(snat());
    rig.service(spec(protocol, mode, {kA}));
  }
  unsigned send(uint8_t what = 0) {
    const auto sent = rig.send(packet(protocol_, port_, what).bytes());
    if (sent.size() == 1)
      snat_port_ = static_cast<uint16_t>(sent[0].bytes.at(14 + 20) << 8 | sent[0].bytes.at(14 + 21));
    return real_of(sent);
  }
  // In nat: what real A answers to what it has got. True if it leaves to the client.
  bool answer(uint8_t what) {
    const Frame f = Frame().ethernet(real_mac(10), kPort1Mac).ip(kA, "10.0.1.200");
    const auto sent = rig.send(with_ports(f, protocol_, 80, snat_port_, what).bytes(), 1);
    return sent.size() == 1 && sent[0].port == 0;
  }
  void send_all(const std::vector<uint8_t>& flags) {
    for (const uint8_t f : flags) REQUIRE(send(f) == 10);
  }
  void becomes(State state) {
    auto s = spec(protocol_, mode_, {kA, kB});
    if (state == State::kWeight0) s.reals[0].weight = 0;
    if (state == State::kTerminating) s.reals[0].terminating = true;
    if (state == State::kGone) s.reals.erase(s.reals.begin());
    rig.service(s);
  }
  void enqueue(uint8_t flags = 0) { rig.enqueue(packet(protocol_, port_, flags).bytes()); }
  uint32_t connections() {
    rig.pass(0);
    return static_cast<uint32_t>(rig.workers()[0].counters().connections4.read());
  }

  Rig rig;

 private:
  static uint16_t port_of_b(Protocol protocol) {
    Rig both;
    network(both);
    both.service(spec(protocol, Mode::kDsrIpip, {kA, kB}));
    for (uint16_t port = 40'000;; ++port)
      if (real_of(both.send(packet(protocol, port, net::kTcpSyn).bytes())) == 11) return port;
  }
  Protocol protocol_;
  Mode mode_;
  uint16_t port_;
  uint16_t snat_port_ = 0;  // of the last packet that left
};

struct Row {
  const char* description;
  Protocol protocol;
  std::vector<uint8_t> before;  // the flow's packets, as TCP flags
  uint8_t in;
  std::array<unsigned, 4> real;  // by the state that A is in by then
};

constexpr uint8_t kSyn = net::kTcpSyn;
constexpr uint8_t kFin = net::kTcpFin | net::kTcpAck;
constexpr uint8_t kRst = net::kTcpRst;

const std::vector<Row> kRows{
    {"a SYN without an entry", Protocol::kTcp, {}, kSyn, {11, 11, 11, 11}},
    {"a SYN, entry in setup", Protocol::kTcp, {kSyn}, kSyn, {11, 11, 11, 11}},
    {"a SYN, entry closing", Protocol::kTcp, {kSyn, kAck, kFin}, kSyn, {11, 11, 11, 11}},
    {"a SYN, entry reset", Protocol::kTcp, {kSyn, kAck, kRst}, kSyn, {11, 11, 11, 11}},
    {"a SYN, entry established", Protocol::kTcp, {kSyn, kAck}, kSyn, {10, 11, 11, 11}},
    {"the handshake's end", Protocol::kTcp, {kSyn}, kAck, {10, 10, 10, 10}},
    {"an established connection", Protocol::kTcp, {kSyn, kAck}, kAck, {10, 10, 10, 10}},
    {"its FIN", Protocol::kTcp, {kSyn, kAck}, kFin, {10, 10, 10, 10}},
    {"its reset", Protocol::kTcp, {kSyn, kAck}, kRst, {10, 10, 10, 10}},
    {"what follows a FIN", Protocol::kTcp, {kSyn, kAck, kFin}, kAck, {10, 10, 10, 10}},
    {"UDP without an entry", Protocol::kUdp, {}, 0, {11, 11, 11, 11}},
    {"UDP of an entry", Protocol::kUdp, {0}, 0, {10, 10, 10, 11}},
};

TEST_CASE("what a real's state does to a packet", "[states]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kDsrL2, Mode::kNat})
    for (const Row& row : kRows)
      for (const State state : kStates) {
        INFO(row.description << ", mode " << static_cast<int>(mode) << ", state " << static_cast<int>(state));
        Scene s(row.protocol, mode);
        s.send_all(row.before);
        s.becomes(state);
        CHECK(s.send(row.in) == row.real[static_cast<size_t>(state)]);
        // One flow, however it came to be: one entry, or one for each direction.
        CHECK(s.connections() == (mode == Mode::kNat ? 2 : 1));
      }
}

// What a flow sends, and how long it is remembered then.
struct Age {
  Protocol protocol;
  std::vector<uint8_t> packets;
  unsigned seconds;
};

TEST_CASE("a connection idles out by its state", "[states]") {
  const std::vector<Age> ages{{Protocol::kUdp, {0}, 30},
                              {Protocol::kTcp, {kSyn}, 30},
                              {Protocol::kTcp, {kSyn, kAck}, 7'440},
                              {Protocol::kTcp, {kSyn, kAck, kFin}, 60},
                              {Protocol::kTcp, {kSyn, kAck, kFin, kAck}, 60},
                              {Protocol::kTcp, {kSyn, kAck, kRst}, 5},
                              {Protocol::kTcp, {kSyn, kAck, kFin, kRst}, 5}};
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat})
    for (const Age& age : ages)
      for (const bool late : {false, true}) {
        INFO(age.packets.size() << " packets, " << age.seconds << " s, mode " << static_cast<int>(mode) << ", late "
                                << late);
        Scene s(age.protocol, mode);
        s.send_all(age.packets);
        s.becomes(State::kReady);
        s.rig.pass(late ? age.seconds : age.seconds - 1);
        CHECK(s.connections() == (late ? 0U : mode == Mode::kNat ? 2U : 1U));
        // Without its entry, nat can't join a connection midway.
        const bool lost = late && mode == Mode::kNat && age.protocol == Protocol::kTcp;
        CHECK(s.send(kAck) == (lost ? 0U : late ? 11U : 10U));
      }
}

struct Step {
  bool by_server;
  uint8_t what;
};
Step client(uint8_t what) { return {false, what}; }
Step server(uint8_t what) { return {true, what}; }

TEST_CASE("what a server sends ends its connection as well", "[states]") {
  const Step open = client(kSyn), opened = server(kSyn | kAck), joined = client(kAck);
  const Step init = client(net::kSctpInit), init_ack = server(2), cookie_echo = client(10), cookie_ack = server(11);
  struct Talk {
    Protocol protocol;
    std::vector<Step> steps;
    unsigned seconds;
  };
  const std::vector<Talk> talks{
      {Protocol::kTcp, {open, opened}, 30},
      {Protocol::kTcp, {open, server(kRst | kAck)}, 5},
      {Protocol::kTcp, {open, opened, joined, server(kAck)}, 7'440},
      {Protocol::kTcp, {open, opened, joined, server(kFin)}, 60},
      {Protocol::kTcp, {open, opened, joined, server(kFin), client(kAck)}, 60},
      {Protocol::kTcp, {open, opened, joined, client(kFin), server(kAck)}, 60},
      {Protocol::kTcp, {open, opened, joined, server(kRst)}, 5},
      {Protocol::kTcp, {open, opened, joined, client(kFin), server(kRst)}, 5},
      {Protocol::kSctp, {init, init_ack}, 30},
      {Protocol::kSctp, {init, server(net::kSctpAbort)}, 5},
      {Protocol::kSctp, {init, init_ack, cookie_echo, cookie_ack}, 7'440},
      {Protocol::kSctp, {init, init_ack, cookie_echo, cookie_ack, server(net::kSctpShutdown)}, 60},
      {Protocol::kSctp, {init, init_ack, cookie_echo, cookie_ack, server(net::kSctpShutdownAck)}, 60},
      {Protocol::kSctp, {init, init_ack, cookie_echo, cookie_ack, server(net::kSctpShutdownComplete)}, 5},
      {Protocol::kSctp, {init, init_ack, cookie_echo, cookie_ack, server(net::kSctpAbort)}, 5},
  };
  for (const Talk& talk : talks) {
    INFO("protocol " << static_cast<int>(talk.protocol) << ", the last of " << talk.steps.size() << " packets "
                     << static_cast<int>(talk.steps.back().what) << ", " << talk.seconds << " s");
    Scene s(talk.protocol, Mode::kNat);
    for (const Step& step : talk.steps) REQUIRE((step.by_server ? s.answer(step.what) : s.send(step.what) == 10));
    s.rig.pass(talk.seconds - 1);
    CHECK(s.connections() == 2);
    s.rig.pass(1);
    CHECK(s.connections() == 0);
  }
}

TEST_CASE("idle timeouts are the gateway's, for standing connections too", "[states]") {
  control::GatewaySpec g = snat();
  const auto set = [&](path::ConnectionState state, path::Tick seconds) {
    g.idle_timeouts[static_cast<size_t>(state)] = seconds;
  };
  set(path::ConnectionState::kUdp, 300);
  set(path::ConnectionState::kSetup, 7);
  set(path::ConnectionState::kEstablished, 600);
  set(path::ConnectionState::kClosing, 20);
  const std::vector<Age> ages{{Protocol::kUdp, {0}, 300},
                              {Protocol::kTcp, {kSyn}, 7},
                              {Protocol::kTcp, {kSyn, kAck}, 600},
                              {Protocol::kTcp, {kSyn, kAck, kFin}, 20}};
  for (const Age& age : ages) {
    INFO(age.seconds << " s");
    Scene s(age.protocol, Mode::kNat);
    s.send_all(age.packets);
    s.rig.gateway(g);
    s.rig.pass(age.seconds - 1);
    CHECK(s.connections() == 2);
    s.rig.pass(1);
    CHECK(s.connections() == 0);
  }
}

// ---- several packets of a flow in one burst

std::vector<unsigned> reals_of(const std::vector<rig::Sent>& sent) {
  std::vector<unsigned> reals;
  for (const auto& s : sent) reals.push_back(real_of({s}));
  return reals;
}

TEST_CASE("packets that begin a flow anew in one burst go one way", "[states]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat})
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      INFO("mode " << static_cast<int>(mode) << ", protocol " << static_cast<int>(protocol));
      Scene s(protocol, mode);
      s.send_all({kSyn});
      s.becomes(State::kGone);
      for (int i = 0; i < 3; ++i) s.enqueue(kSyn);
      const auto sent = s.rig.run();
      CHECK(reals_of(sent) == std::vector<unsigned>{11, 11, 11});
      for (const auto& other : sent) CHECK(rig::describe(other.bytes) == rig::describe(sent[0].bytes));
      CHECK(s.connections() == (mode == Mode::kNat ? 2 : 1));
      s.rig.pass(7'440);
      CHECK(s.connections() == 0);
    }
}

TEST_CASE("no entry is freed twice when a burst's new decisions fail", "[states]") {
  Rig rig;
  network(rig);
  rig.gateway(snat(20'000, 20'000));
  rig.service(spec(Protocol::kUdp, Mode::kNat, {kA}));
  rig.send(packet(Protocol::kUdp, 1).bytes());
  rig.service(spec(Protocol::kUdp, Mode::kNat, {kB}));
  rig.send(packet(Protocol::kUdp, 2).bytes());  // takes the one port towards B
  for (int i = 0; i < 3; ++i) rig.enqueue(packet(Protocol::kUdp, 1).bytes());
  CHECK(rig.run().empty());
  CHECK(rig.drops(DropReason::NO_SNAT_PORT) == 3);
  rig.pass(0);
  CHECK(rig.workers()[0].counters().connections4.read() == 2);
}

// A stage after `learn` still reads the entry of the connection's last packets. A small table with holes, so that a
// freed slot isn't the next one to be taken; whose flow lands where is random, hence the many tries.
TEST_CASE("the last packets of a connection and the SYN of the next in one burst", "[states]") {
  for (int tries = 0; tries < 40; ++tries) {
    Rig rig({.connections = 20});
    network(rig);
    rig.gateway(snat());
    rig.service(spec(Protocol::kUdp, Mode::kNat, {kA}));
    rig.service(spec(Protocol::kTcp, Mode::kNat, {kA}));
    for (uint16_t port = 1; port <= 6; ++port) rig.send(packet(Protocol::kUdp, port).bytes());
    rig.send(packet(Protocol::kTcp, 1, kSyn).bytes());
    const auto acknowledged = rig.send(packet(Protocol::kTcp, 1, kAck).bytes());
    REQUIRE(real_of(acknowledged) == 10);
    rig.pass(30);
    for (const uint8_t flags : {kAck, kRst, kSyn}) rig.enqueue(packet(Protocol::kTcp, 1, flags).bytes());
    const auto sent = rig.run();
    REQUIRE(sent.size() == 3);
    REQUIRE(rig::describe(sent[0].bytes) == rig::describe(acknowledged[0].bytes));
    for (const auto& p : sent) REQUIRE(p.bytes.at(14 + 15) == 200);
    // The new connection becomes one like any other.
    CHECK(real_of(rig.send(packet(Protocol::kTcp, 1, kAck).bytes())) == 10);
    rig.pass(7'439);
    CHECK(real_of(rig.send(packet(Protocol::kTcp, 1, kAck).bytes())) == 10);
  }
}

// ---- rows of what is removed

TEST_CASE("a removed real's row is used again once no connection names it", "[states]") {
  Scene s(Protocol::kTcp, Mode::kDsrIpip);
  s.send_all({kSyn, kAck});
  s.becomes(State::kGone);
  s.rig.sweep();
  CHECK(s.rig.publisher().real_rows() == 2);
  s.rig.service(spec(Protocol::kTcp, Mode::kDsrIpip, {kB, "10.0.1.12"}));
  CHECK(s.send(kAck) == 10);
  CHECK(s.rig.publisher().real_rows() == 3);
  s.rig.pass(7'440);
  s.rig.sweep();
  CHECK(s.rig.publisher().real_rows() == 2);
}

TEST_CASE("a real that comes back gets its row and its connections back", "[states]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat})
    for (const bool swept : {false, true}) {
      INFO("mode " << static_cast<int>(mode) << ", swept " << swept);
      Scene s(Protocol::kUdp, mode);
      s.send_all({0});
      s.becomes(State::kGone);
      if (swept) s.rig.sweep();
      s.becomes(State::kReady);
      s.rig.sweep();
      CHECK(s.rig.publisher().real_rows() == 2);
      CHECK(s.send() == 10);
      s.becomes(State::kGone);
      CHECK(s.send() == 11);
      s.rig.pass(30);
      s.rig.sweep();
      CHECK(s.rig.publisher().real_rows() == 1);
      s.becomes(State::kReady);
      s.rig.sweep();
      CHECK(s.rig.publisher().real_rows() == 2);
    }
}

// The walk that began before it came back may have passed by connections that were begun since.
TEST_CASE("a real that came and went during a sweep isn't the sweep's to free", "[states]") {
  Scene s(Protocol::kUdp, Mode::kDsrIpip);
  s.becomes(State::kGone);
  s.rig.sweep_part(s.rig.workers()[0].connections().v4.buckets() + 1);
  s.becomes(State::kReady);
  s.rig.service(spec(Protocol::kUdp, Mode::kDsrIpip, {kA}));
  s.send_all({0});
  s.becomes(State::kGone);
  s.rig.sweep_rest();
  CHECK(s.rig.publisher().real_rows() == 2);
}

TEST_CASE("a removed service's connections end with it, and its rows are used again", "[states]") {
  Scene s(Protocol::kTcp, Mode::kNat);
  s.send_all({kSyn, kAck});
  s.rig.remove(spec(Protocol::kTcp, Mode::kNat, {}).name);
  CHECK(s.send(kAck) == 0);
  CHECK(net::to_string(s.rig.dropped()) == net::to_string(DropReason::NO_VIP));
  s.rig.sweep();
  CHECK(s.rig.publisher().real_rows() == 1);
  s.rig.pass(7'440);
  s.rig.sweep();
  CHECK(s.rig.publisher().real_rows() == 0);
}

// ---- a service's mode

TEST_CASE("a change of mode applies to connections, which keep their real", "[states]") {
  for (const bool gone : {false, true}) {
    INFO("gone " << gone);
    Scene s(Protocol::kTcp, Mode::kDsrIpip);
    s.send_all({kSyn, kAck});
    s.becomes(gone ? State::kGone : State::kReady);
    auto l2 = spec(Protocol::kTcp, Mode::kDsrL2, {kA, kB});
    if (gone) l2.reals.erase(l2.reals.begin());
    s.rig.service(l2);
    for (int i = 0; i < 2; ++i) {
      const auto sent = s.rig.send(packet(Protocol::kTcp, 1, kAck).bytes());
      CHECK(real_of(sent) != 0);  // another flow, so that tables were read anew
    }
    CHECK(s.send(kAck) == 10);
    CHECK(s.send(kAck) == 10);
  }
}

// The real must not see two connections, nor the first one's answer be lost.
TEST_CASE("a SYN sent again keeps its SNAT port", "[states]") {
  Rig rig;
  network(rig);
  rig.gateway(snat());
  rig.service(spec(Protocol::kTcp, Mode::kNat, {kA, kB}));
  constexpr size_t kSourcePort = 14 + 20;
  for (uint16_t port = 1; port <= 20; ++port) {
    const auto first = rig.send(packet(Protocol::kTcp, port, kSyn).bytes());
    const auto again = rig.send(packet(Protocol::kTcp, port, kSyn).bytes());
    REQUIRE(first.size() == 1);
    REQUIRE(again.size() == 1);
    CHECK(rig::describe(first[0].bytes) == rig::describe(again[0].bytes));
    CHECK(first[0].bytes.at(kSourcePort) * 256 + first[0].bytes.at(kSourcePort + 1) >= 20'000);
  }
}

TEST_CASE("from nat to direct server return and back", "[states]") {
  Scene s(Protocol::kTcp, Mode::kNat);
  s.send_all({kSyn, kAck});
  s.rig.service(spec(Protocol::kTcp, Mode::kDsrIpip, {kA, kB}));
  CHECK(s.send(kAck) == 10);
  CHECK(s.connections() == 1);
  s.rig.service(spec(Protocol::kTcp, Mode::kNat, {kA, kB}));
  CHECK(s.send(kAck) == 0);
  CHECK(net::to_string(s.rig.dropped()) == net::to_string(DropReason::NO_CONNECTION));
  CHECK(s.send(kSyn) == 10);
  CHECK(s.connections() == 2);
}

// ---- a service's source ranges

TEST_CASE("source ranges that change are asked of standing connections too", "[states]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat}) {
    INFO("mode " << static_cast<int>(mode));
    Scene s(Protocol::kTcp, mode);
    s.send_all({kSyn, kAck});
    auto only = spec(Protocol::kTcp, mode, {kA, kB});
    only.source_ranges = {rig::prefix("10.9.0.0/16")};
    s.rig.service(only);
    for (const uint8_t flags : {kAck, kSyn, kAck}) {
      CHECK(s.send(flags) == 0);
      CHECK(net::to_string(s.rig.dropped()) == net::to_string(DropReason::SOURCE_DENIED));
    }
    only.source_ranges.push_back(rig::prefix("10.0.0.0/24"));
    s.rig.service(only);
    CHECK(s.send(kAck) == 10);
    CHECK(s.send(kFin) == 10);
    // The FIN was its entry's as well: what follows ends within a minute.
    s.rig.pass(60);
    CHECK(s.connections() == 0);
  }
}

// ---- several ways

TEST_CASE("flows to a routed real spread over its next hops, each keeping to one", "[states]") {
  Rig rig;
  network(rig);
  rig.route("10.9.0.0/16", {{1, kA}, {1, kB}, {1, "10.0.1.12"}});
  rig.service(spec(Protocol::kTcp, Mode::kDsrIpip, {"10.9.0.7"}));
  std::map<unsigned, unsigned> flows;
  for (uint16_t port = 1; port <= 600; ++port) {
    const unsigned way = real_of(rig.send(packet(Protocol::kTcp, port, kSyn).bytes()));
    ++flows[way];
    REQUIRE(real_of(rig.send(packet(Protocol::kTcp, port, kAck).bytes())) == way);
  }
  CHECK(flows.size() == 3);
  for (const auto& [way, n] : flows) CHECK(n > 140);
}

}  // namespace
}  // namespace guideway::cases
