// Drops that take more than one packet: rings and tables that run full.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

Frame syn(uint16_t port) { return Frame().ip("10.0.0.99", "192.0.2.10").tcp(port, 80).syn(); }

// Nobody takes what leaves: the port's queue runs full.
uint64_t tx_full() {
  Rig rig;
  network(rig);
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  for (uint16_t port = 1; port <= 1'100; ++port) {
    rig.enqueue(syn(port).bytes());
    rig.workers()[0].round(rig.now());
  }
  rig.run();
  return rig.drops(DropReason::TX_FULL);
}

// Two workers, of which the one that owns half of the flows never runs.
uint64_t handover_full() {
  Rig rig({.workers = 2});
  network(rig);
  rig.gateway(snat());
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
  for (uint16_t port = 1; port <= 12'000; ++port) {
    rig.enqueue(syn(port).bytes());
    rig.workers()[0].round(rig.now());
  }
  rig.run();
  return rig.drops(DropReason::HANDOVER_FULL);
}

// Each nat flow takes two entries of a table of 64; those in setup would give way.
uint64_t connections_full() {
  Rig rig({.connections = 64});
  network(rig);
  rig.gateway(snat());
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
  for (uint16_t port = 1; port <= 100; ++port) {
    rig.send(syn(port).bytes());
    rig.send(syn(port).flags(net::kTcpAck).bytes());
  }
  return rig.drops(DropReason::CONNECTIONS_FULL);
}

// A burst that would become 27 times as many packets.
uint64_t no_buffer() {
  Rig rig;
  network(rig);
  rig.mtu(1, 140);
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  for (unsigned i = 0; i < path::kBurst; ++i) rig.enqueue(syn(40'000).payload(2'000).bytes());
  rig.run();
  return rig.drops(DropReason::NO_BUFFER);
}

// One new flow a second, and those that were before it are established.
uint64_t flood_guard() {
  Rig rig;
  network(rig);
  auto g = snat();
  g.new_flow_rate = 1;
  rig.gateway(g);
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
  rig.pass(0);
  for (uint16_t port = 1; port <= 3; ++port) {
    rig.send(syn(port).bytes());
    rig.send(syn(port).flags(net::kTcpAck).bytes());
  }
  return rig.drops(DropReason::FLOOD_GUARD);
}

Frame later_fragment(uint32_t id) {
  return Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).payload(100).piece(id, 40, 40);
}

// Later fragments whose first ones never come: 64 wait, for 50 ms.
uint64_t lonely_fragments(DropReason reason) {
  Rig rig;
  network(rig);
  rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  for (uint32_t id = 0; id < 65; ++id) rig.send(later_fragment(id).bytes());
  for (unsigned ms = 0; ms < 50; ++ms) rig.workers()[0].housekeep(rig.now());
  return rig.drops(reason);
}

}  // namespace

std::vector<Pressure> pressures() {
  return {{"a transmit queue that nobody empties", DropReason::TX_FULL, tx_full},
          {"a worker that doesn't take what it is handed", DropReason::HANDOVER_FULL, handover_full},
          {"more nat flows than entries", DropReason::CONNECTIONS_FULL, connections_full},
          {"more pieces than a burst has places for", DropReason::NO_BUFFER, no_buffer},
          {"more new nat flows than are admitted", DropReason::FLOOD_GUARD, flood_guard},
          {"fragments without their first", DropReason::FRAGMENT_TIMEOUT,
           [] { return lonely_fragments(DropReason::FRAGMENT_TIMEOUT); }},
          {"more fragments without their first than may wait", DropReason::FRAGMENTS_FULL,
           [] { return lonely_fragments(DropReason::FRAGMENTS_FULL); }}};
}

}  // namespace guideway::cases
