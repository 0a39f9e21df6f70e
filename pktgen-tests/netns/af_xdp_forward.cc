// The smallest engine for a test of the af_xdp port: what comes in by one interface goes out by the other.
//
//   af_xdp_forward BPFFS INTERFACE_A[:QUEUES] MAC_A INTERFACE_B[:QUEUES] MAC_B ADDRESS...
//
// Packets to the addresses are steered to it on both; what it sends by an interface goes to that interface's MAC. On
// SIGTERM it stops, prints what happened as key=value lines and detaches. Exit code 1 with a sentence if it can't
// start.
#include <rte_eal.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "dataplane/control/af_xdp_port.h"
#include "dataplane/control/packet_memory.h"
#include "net/headers.h"

namespace {

using namespace guideway;

std::atomic<bool> stopping{false};

struct Side {
  std::unique_ptr<control::AfXdpPort> port;
  std::vector<path::AfXdpQueue> queues;
  net::MacAddress next_hop;
};

bool start_eal() {
  std::vector<std::string> arguments{
      "af_xdp_forward", "--no-huge",      "--no-shconf",   "-m", "64", "--no-pci", "--log-level",
      "*:error",        "--no-telemetry", "--lcores=0@0-1"};
  std::vector<char*> raw;
  for (std::string& a : arguments) raw.push_back(a.data());
  return rte_eal_init(static_cast<int>(raw.size()), raw.data()) >= 0;
}

bool open_side(Side& side, const std::string& spec, const char* mac, const char* bpffs, uint16_t index,
               const path::FrameMemory& memory, const xdp::KernelTables& tables) {
  const size_t colon = spec.find(':');
  control::AfXdpPortOptions options{spec.substr(0, colon), std::nullopt, bpffs, index};
  if (colon != std::string::npos) options.queues = static_cast<unsigned>(std::stoul(spec.substr(colon + 1)));
  auto port = control::AfXdpPort::load(options, tables);
  absl::Status s = port.status();
  if (s.ok()) s = (*port)->attach();
  if (s.ok()) s = (*port)->open_queues(memory);
  if (!s.ok()) {
    std::cerr << "af_xdp_forward: " << s.message() << '\n';
    return false;
  }
  side.port = *std::move(port);
  side.queues = side.port->queues();
  side.next_hop = net::parse_mac(mac).value();
  for (const auto& [text, remedy] : side.port->warnings()) std::cerr << "warning: " << text << "; " << remedy << '\n';
  return true;
}

void forward(Side& from, Side& to, size_t queue) {
  std::array<rte_mbuf*, 64> burst;
  const unsigned n = from.queues[queue].receive(burst);
  for (unsigned i = 0; i < n; ++i) {
    auto* ethernet = rte_pktmbuf_mtod(burst[i], net::EthernetHeader*);
    ethernet->source = to.port->interface().mac;
    ethernet->destination = to.next_hop;
  }
  path::AfXdpQueue& out = to.queues[queue % to.queues.size()];
  const unsigned sent = out.send({burst.data(), n});
  if (sent < n) rte_pktmbuf_free_bulk(burst.data() + sent, n - sent);
}

void run(Side& a, Side& b) {
  while (!stopping.load(std::memory_order_relaxed)) {
    for (size_t q = 0; q < a.queues.size(); ++q) forward(a, b, q);
    for (size_t q = 0; q < b.queues.size(); ++q) forward(b, a, q);
    for (path::AfXdpQueue& q : a.queues) q.flush();
    for (path::AfXdpQueue& q : b.queues) q.flush();
  }
}

void report(const char* name, Side& side) {
  path::AfXdpCounters sum;
  for (const path::AfXdpQueue& q : side.queues) {
    sum.received += q.counters().received;
    sum.sent += q.counters().sent;
    sum.unsendable += q.counters().unsendable;
    sum.no_frames += q.counters().no_frames;
    sum.doorbells += q.counters().doorbells;
  }
  std::cout << name << ".mode=" << xdp::to_string(side.port->program().mode()) << '\n'
            << name << ".adopted=" << side.port->program().adopted() << '\n'
            << name << ".zero_copy=" << side.port->zero_copy() << '\n'
            << name << ".queues=" << side.queues.size() << '\n'
            << name << ".received=" << sum.received << '\n'
            << name << ".sent=" << sum.sent << '\n'
            << name << ".unsendable=" << sum.unsendable << '\n'
            << name << ".no_frames=" << sum.no_frames << '\n'
            << name << ".doorbells=" << sum.doorbells << '\n';
  const xdp::DropCounters drops = *side.port->program().drops();
  std::cout << name << ".dropped=" << std::accumulate(drops.begin(), drops.end(), uint64_t{0}) << '\n';
  for (unsigned q = 0; q < side.queues.size(); ++q) {
    const xdp_statistics s = *side.port->statistics(q);
    std::cout << name << ".kernel." << q << "=rx_dropped " << s.rx_dropped << ", rx_ring_full " << s.rx_ring_full
              << ", fill_ring_empty " << s.rx_fill_ring_empty_descs << ", tx_invalid " << s.tx_invalid_descs << '\n';
  }
}

// The addresses that are named are steered here by both programs.
absl::Status steer(xdp::KernelTables& tables, const std::vector<xdp::AddressEntry>& addresses, Side& a, Side& b) {
  absl::Status s = tables.set_addresses(addresses);
  for (Side* side : {&a, &b})
    if (s.ok()) s = side->port->program().take_over();
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) return 2;
  std::signal(SIGTERM, [](int) { stopping = true; });
  if (!start_eal()) return 1;
  auto memory = control::PacketMemory::create("packets", 4 * control::kFramesPerQueue + 1024, 0, true);
  if (!memory.ok()) {
    std::cerr << "af_xdp_forward: " << memory.status().message() << '\n';
    return 1;
  }
  auto tables = xdp::KernelTables::create();
  if (!tables.ok()) {
    std::cerr << "af_xdp_forward: " << tables.status().message() << '\n';
    return 1;
  }
  const unsigned before = memory->free_frames();
  {
    Side a, b;
    if (!open_side(a, argv[2], argv[3], argv[1], 0, memory->frames(), **tables)) return 1;
    if (!open_side(b, argv[4], argv[5], argv[1], 1, memory->frames(), **tables)) {
      (void)a.port->detach();
      return 1;
    }
    std::vector<xdp::AddressEntry> addresses;
    for (int i = 6; i < argc; ++i) {
      xdp::AddressEntry entry{{}, {0, 0, GW_ADDRESS_DEDICATED}};
      std::memcpy(entry.key.bytes, net::parse_ip(argv[i]).value().bytes.data(), sizeof entry.key.bytes);
      addresses.push_back(entry);
    }
    if (const absl::Status s = steer(**tables, addresses, a, b); !s.ok()) {
      std::cerr << "af_xdp_forward: " << s.message() << '\n';
      return 1;
    }
    std::cout << "ready" << std::endl;
    run(a, b);
    report("a", a);
    report("b", b);
    if (!a.port->detach().ok() || !b.port->detach().ok()) return 1;
  }
  std::cout << "memory=" << (memory->huge() ? "huge pages" : "plain pages") << '\n'
            << "free_before=" << before << '\n'
            << "free_after=" << memory->free_frames() << '\n';
  return 0;
}
