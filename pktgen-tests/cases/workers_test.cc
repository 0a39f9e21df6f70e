// Two workers: whatever queue a packet comes in by, it finds what another worker knows of its flow.
#include <catch2/catch.hpp>

#include <set>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

unsigned real_of(const std::vector<rig::Sent>& sent) { return sent.size() == 1 ? sent[0].bytes.at(5) : 0; }

uint16_t port_at(const rig::Bytes& frame, size_t at) {
  return static_cast<uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

Frame client(bool v4, uint16_t port, uint8_t flags) {
  return Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6).tcp(port, 80, flags).payload(port % 50);
}

// Errors of both ends of the flow find its owner as well, whatever queue they come in by.
void errors(Rig& rig, bool v4, uint16_t port, uint16_t snat_port, unsigned in_queue, unsigned back_queue) {
  const char* client_address = v4 ? "10.0.0.99" : "2001:db8:0::99";
  const char* vip = v4 ? kVip : kVip6;
  const char* snat_address = v4 ? "10.0.1.200" : "2001:db8:1::200";
  const char* real = v4 ? "10.0.1.10" : "2001:db8:1::10";
  const Frame of_vip = Frame().ip(vip, client_address).tcp(80, port).payload(9);
  const Frame of_real = Frame().ip(real, snat_address).tcp(8080, snat_port).payload(9);
  const auto in = rig.send(Frame().ip(client_address, vip).icmp_error(v4 ? 11 : 3, 0, of_vip).bytes(), 0, back_queue);
  REQUIRE(in.size() == 1);
  CHECK(rig::describe(in[0].bytes) == rig::describe(Frame()
                                                        .ip(snat_address, real)
                                                        .icmp_error(v4 ? 11 : 3, 0, of_real)
                                                        .ttl(63)
                                                        .ethernet(kPort1Mac, real_mac(10))
                                                        .bytes()));
  const Frame by_client = Frame().ip(client_address, vip).tcp(port, 80).payload(9);
  const Frame by_snat = Frame().ip(snat_address, real).tcp(snat_port, 8080).payload(9);
  const auto out = rig.send(Frame().ip(real, snat_address).icmp_error(v4 ? 3 : 1, 1, by_snat).bytes(), 1, in_queue);
  REQUIRE(out.size() == 1);
  CHECK(rig::describe(out[0].bytes) == rig::describe(Frame()
                                                         .ip(vip, client_address)
                                                         .icmp_error(v4 ? 3 : 1, 1, by_client)
                                                         .ttl(63)
                                                         .ethernet(kPort0Mac, kClientMac)
                                                         .bytes()));
}

// One nat flow there and back; says its SNAT port.
uint16_t there_and_back(Rig& rig, bool v4, uint16_t port, unsigned in_queue, unsigned back_queue) {
  const char* snat_address = v4 ? "10.0.1.200" : "2001:db8:1::200";
  const char* real = v4 ? "10.0.1.10" : "2001:db8:1::10";
  uint16_t snat_port = 0;
  for (const uint8_t flags : {net::kTcpSyn, net::kTcpAck}) {
    const auto there = rig.send(client(v4, port, flags).bytes(), 0, in_queue);
    REQUIRE(there.size() == 1);
    const uint16_t used = port_at(there[0].bytes, v4 ? 34 : 54);
    if (flags == net::kTcpSyn) snat_port = used;
    const Frame translated = Frame().ip(snat_address, real).tcp(snat_port, 8080, flags).payload(port % 50).ttl(63);
    REQUIRE(there[0].port == 1);
    REQUIRE(rig::describe(there[0].bytes) ==
            rig::describe(Frame(translated).ethernet(kPort1Mac, real_mac(10)).bytes()));
  }
  const Frame answer = Frame().ip(real, snat_address).tcp(8080, snat_port, 0x12).payload(3);
  const auto back = rig.send(Frame(answer).ethernet(real_mac(10), kPort1Mac).bytes(), 1, back_queue);
  REQUIRE(back.size() == 1);
  REQUIRE(back[0].port == 0);
  const Frame expected =
      Frame().ip(v4 ? kVip : kVip6, v4 ? "10.0.0.99" : "2001:db8:0::99").tcp(80, port, 0x12).payload(3).ttl(63);
  REQUIRE(rig::describe(back[0].bytes) == rig::describe(Frame(expected).ethernet(kPort0Mac, kClientMac).bytes()));
  errors(rig, v4, port, snat_port, in_queue, back_queue);
  return snat_port;
}

void nat(Rig& rig) {
  network(rig);
  rig.gateway(snat());
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}, 8080));
  rig.service(service(kVip6, 80, Protocol::kTcp, Mode::kNat, {"2001:db8:1::10"}, 8080));
}

void check_shared(Rig& rig) {
  rig.pass(0);
  for (unsigned w = 0; w < rig.workers().count(); ++w) {
    const path::Counters& c = rig.workers()[w].counters();
    INFO("worker " << w);
    CHECK(c.connections4.read() > 20);
    CHECK(c.connections6.read() > 20);
  }
}

TEST_CASE("nat with two workers, whatever queue packets come in by", "[workers]") {
  Rig rig({.workers = 2});
  nat(rig);
  std::set<uint16_t> snat_ports;
  for (uint16_t port = 1'000; port < 1'100; ++port) {
    snat_ports.insert(there_and_back(rig, true, port, port % 2, port / 2 % 2));
    there_and_back(rig, false, port, port % 2, port / 2 % 2);
  }
  CHECK(snat_ports.size() == 100);
  check_shared(rig);
}

// All traffic enters by one queue, and the second worker has none to send by either.
TEST_CASE("nat with two workers and ports of one queue", "[workers]") {
  Rig rig({.workers = 2, .queues = 1});
  nat(rig);
  for (uint16_t port = 1'000; port < 1'100; ++port) {
    there_and_back(rig, true, port, 0, 0);
    there_and_back(rig, false, port, 0, 0);
  }
  check_shared(rig);
  CHECK(rig.workers()[0].counters().handed_over.read() > 100);
  CHECK(rig.workers()[1].counters().handed_over.read() == 0);
}

TEST_CASE("three workers, ports of two queues", "[workers]") {
  Rig rig({.workers = 3, .queues = 2});
  nat(rig);
  for (uint16_t port = 1'000; port < 1'150; ++port) {
    there_and_back(rig, true, port, port % 2, port / 2 % 2);
    there_and_back(rig, false, port, port % 2, port / 2 % 2);
  }
  check_shared(rig);
}

// ---- flows that were handed on for an SNAT port

constexpr uint16_t kFlows = 16;
constexpr uint32_t kId = 7;

rig::Bytes piece(uint16_t port, size_t at) {
  return Frame().ip("10.0.0.99", kVip).udp(port, 53).payload(88).piece(kId + port, at, 48).bytes();
}

// All SNAT ports are one worker's, as their block says.
void dns(Rig& rig, uint16_t block) {
  network(rig);
  rig.gateway(snat(block, block + 63));
  rig.service(service(kVip, 53, Protocol::kUdp, Mode::kNat, {"10.0.1.10"}));
}

TEST_CASE("all fragments of a new nat flow go where its SNAT port is, in one burst", "[workers]") {
  for (const uint16_t block : {20'032, 20'096}) {
    Rig rig({.workers = 2});
    dns(rig, block);
    for (uint16_t port = 0; port < kFlows; ++port) {
      INFO(block << " " << port);
      for (const size_t at : {0U, 48U}) rig.enqueue(piece(port, at), 0, port % 2);
      CHECK(rig.run().size() == 2);
    }
  }
}

// Of a flow that its owner has handed on that knows no real.
TEST_CASE("what leads to the next worker leads nobody astray once its service is another", "[workers]") {
  for (const uint16_t block : {20'032, 20'096})
    for (const Mode mode : {Mode::kNat, Mode::kDsrIpip}) {
      INFO(block << " mode " << static_cast<int>(mode));
      Rig rig({.workers = 2});
      dns(rig, block);
      for (uint16_t port = 0; port < kFlows; ++port) CHECK(rig.send(piece(port, 0), 0, port % 2).size() == 1);
      rig.remove(service(kVip, 53, Protocol::kUdp, Mode::kNat, {}).name);
      rig.service(service("192.0.2.99", 53, Protocol::kUdp, mode, {"10.0.1.10"}));  // takes the row
      rig.service(service(kVip, 53, Protocol::kUdp, mode, {"10.0.1.10"}));
      for (uint16_t port = 0; port < kFlows; ++port) {
        const Frame datagram = Frame().ip("10.0.0.99", kVip).udp(port, 53).payload(9);
        const Frame answer = Frame().ip(kVip, "10.0.0.99").udp(53, port).payload(9);
        rig.enqueue(piece(port, 48), 0, port % 2);
        rig.enqueue(Frame().ip("10.0.0.99", kVip).icmp_error(11, 0, answer).bytes(), 0, port % 2);
        rig.enqueue(datagram.bytes(), 0, port % 2);
        rig.run();
        CHECK(rig.send(datagram.bytes(), 0, port % 2).size() == 1);
      }
    }
}

// ---- the exception table

control::ServiceSpec web(std::initializer_list<std::string_view> reals) {
  return service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, reals);
}

unsigned send(Rig& rig, uint16_t port, uint8_t flags, unsigned queue) {
  return real_of(rig.send(Frame().ip("10.0.0.99", kVip).tcp(port, 80, flags).bytes(), 0, queue));
}

unsigned moved_slots(Rig& rig) {
  const path::Tables& t = *rig.publisher().tables().load();
  unsigned n = 0;
  for (uint32_t i = 0; i < 251; ++i)
    n += (t.slots[t.services[path::ServiceIndex{0}].table_offset + i] & path::kSlotMoved) != 0;
  return n;
}

// Ports whose flows real B has got once it stands beside A.
std::vector<uint16_t> ports_of_b(size_t count) {
  Rig rig;
  network(rig);
  rig.service(web({"10.0.1.10", "10.0.1.11"}));
  std::vector<uint16_t> ports;
  for (uint16_t port = 1'000; ports.size() < count; ++port)
    if (send(rig, port, net::kTcpSyn, 0) == 11) ports.push_back(port);
  return ports;
}

TEST_CASE("a connection off its slot keeps its real at another worker", "[workers]") {
  const auto ports = ports_of_b(4);
  Rig rig({.workers = 2});
  network(rig);
  rig.service(web({"10.0.1.10"}));
  for (const uint16_t port : {ports[0], ports[1]}) {
    REQUIRE(send(rig, port, net::kTcpSyn, 0) == 10);
    REQUIRE(send(rig, port, net::kTcpAck, 0) == 10);
  }
  rig.service(web({"10.0.1.10", "10.0.1.11"}));
  CHECK(moved_slots(rig) > 50);
  rig.sweep();
  CHECK(rig.publisher().exceptions().size() == 2);
  CHECK(moved_slots(rig) <= 2);

  CHECK(send(rig, ports[0], net::kTcpAck, 1) == 10);
  CHECK(send(rig, ports[1], net::kTcpSyn, 1) == 11);  // a new connection of the same ports
  CHECK(send(rig, ports[2], net::kTcpAck, 1) == 11);  // and one that has no exception

  // Its backends may change further.
  rig.service(web({"10.0.1.11", "10.0.1.12"}));
  rig.sweep();
  CHECK(send(rig, ports[0], net::kTcpAck, 0) == 10);
  CHECK(send(rig, ports[0], net::kTcpAck, 1) == 10);

  for (const unsigned queue : {0U, 1U})
    for (const uint16_t port : ports) send(rig, port, net::kTcpRst, queue);
  rig.pass(5);
  rig.sweep();
  CHECK(rig.publisher().exceptions().size() == 0);
  CHECK(moved_slots(rig) == 0);
  CHECK(rig.publisher().real_rows() == 2);
  CHECK(send(rig, ports[0], net::kTcpAck, 1) != 10);
}

// A connection of real A, whose slot is B's once that stands beside A.
void connect_off_slot(Rig& rig) {
  const uint16_t port = ports_of_b(1)[0];
  network(rig);
  rig.service(web({"10.0.1.10"}));
  REQUIRE(send(rig, port, net::kTcpSyn, 0) == 10);
  rig.service(web({"10.0.1.10", "10.0.1.11"}));
}

TEST_CASE("a full exception table is said until there is room", "[workers]") {
  Rig rig({.workers = 2});
  connect_off_slot(rig);
  net::FlowKey6 other{};
  for (uint32_t n = 0; n < 2 * control::kMaxExceptions; ++n) {  // a place may be left where one key has found none
    std::memcpy(other.source.bytes.data(), &n, sizeof n);
    rig.publisher().exceptions().put(other, path::RealIndex{0});
  }
  rig.sweep();
  CHECK(rig.sweeper().overflowed());
  // It has forgotten those that no connection has.
  rig.service(web({"10.0.1.10", "10.0.1.11", "10.0.1.12"}));
  rig.sweep_part(1);
  CHECK(rig.sweeper().overflowed());
  rig.sweep_rest();
  CHECK_FALSE(rig.sweeper().overflowed());
  CHECK(rig.publisher().exceptions().size() == 1);
}

TEST_CASE("a real that comes back has its connections on their slots again", "[workers]") {
  Rig rig({.workers = 2});
  connect_off_slot(rig);
  rig.sweep();
  CHECK(rig.publisher().exceptions().size() == 1);
  rig.service(web({"10.0.1.10"}));
  rig.sweep();
  CHECK(rig.publisher().exceptions().size() == 0);
  CHECK(moved_slots(rig) == 0);
}

}  // namespace
}  // namespace guideway::cases
