#include "pktgen-tests/bench/flood_bench.h"

#include <map>

#include "net/checksum.h"
#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

namespace {

constexpr uint32_t kEstablished = 1'000;
constexpr uint32_t kSynsPerRun = 1'000'000 / kBurst * kBurst;
constexpr uint16_t kFirstPort = 1'024;
constexpr size_t kPortOffset4 = 14 + 20;
constexpr size_t kPortOffset6 = 14 + 40;

// Makes each packet's flow one that was never there, in as few instructions as can be.
class Unique {
 public:
  explicit Unique(bool v4) : v4_(v4) {}
  void operator()(uint8_t* frame) {
    if (++port_ == 0) {
      port_ = kFirstPort;
      ++client_;
    }
    const uint16_t port = net::Be16{port_}.wire();
    std::memcpy(frame + (v4_ ? kPortOffset4 : kPortOffset6), &port, 2);
    // Both halves of an IPv4 address change so that its header's checksum stays right: from 63.255.0.0 downwards.
    const uint16_t half[2] = {net::Be16{static_cast<uint16_t>(0x3fff - client_)}.wire(), net::Be16{client_}.wire()};
    v4_ ? std::memcpy(frame + 14 + 12, half, 4) : std::memcpy(frame + 14 + 20, half + 1, 2);
  }

 private:
  bool v4_;
  uint16_t port_ = kFirstPort;
  uint16_t client_ = 0;
};

class FloodBench {
 public:
  FloodBench(bool v4, bool huge)
      : scenario_{.v4 = v4, .size = v4 ? uint16_t{64} : uint16_t{74}, .flows = kEstablished},
        rig_({.connections = 1U << 20, .huge = huge, .memory_mb = 256}),
        established_(client_headers(scenario_)),
        unique_(v4) {
    configure(rig_, scenario_);
    std::vector<Header> syn = established_;
    for (Header& h : syn) h[(v4 ? kPortOffset4 : kPortOffset6) + 13] = net::kTcpSyn;
    template_ = {syn.front()};
    const uint16_t halves[2] = {net::Be16{0x3fff}.wire(), 0};
    if (v4) {  // the checksum that Unique keeps right
      auto* ip = reinterpret_cast<net::Ipv4Header*>(template_.front().data() + 14);
      std::memcpy(&ip->source, halves, 4);
      ip->checksum = {};
      ip->checksum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(net::sum_of(*ip))));
    }
    ask(syn);
    first_ = ask(established_);
    move_some();
  }

  double flood() {
    rig_.pass(1);
    Source source(template_, scenario_.size, rig_.pool());
    path::Worker& worker = rig_.workers()[0];
    uint64_t left = 0;
    const double start = cpu_nanoseconds();
    for (uint32_t i = 0; i < kSynsPerRun; i += kBurst) {
      source.fill(rig_.rx(0, 0), unique_);
      worker.round(rig_.now());
      left += source.drain(rig_.tx(1, 0));
    }
    const double took = cpu_nanoseconds() - start;
    result_.dropped += kSynsPerRun - left;
    for (const auto& [flow, real] : ask(established_))
      if (first_.at(flow) != real) lost_.insert_or_assign(flow, real);
    return took / kSynsPerRun;
  }

  Flood result(std::vector<double> ns) {
    result_.ns_per_packet = median(ns);
    result_.ns_min = *std::ranges::min_element(ns);
    result_.ns_max = *std::ranges::max_element(ns);
    result_.syns = ns.size() * kSynsPerRun;
    result_.established = kEstablished;
    result_.kept = static_cast<uint32_t>(kEstablished - lost_.size());
    return result_;
  }

 private:
  using Flow = std::string;  // inner addresses and ports, as bytes
  using Real = std::string;  // outer destination

  // Sends each packet once; where the gateway sends it.
  std::map<Flow, Real> ask(const std::vector<Header>& headers) {
    const size_t ip = scenario_.v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
    const size_t address = scenario_.v4 ? 4 : 16;
    std::map<Flow, Real> answers;
    Source source(headers, scenario_.size, rig_.pool());
    for (size_t sent = 0; sent < headers.size(); sent += kBurst) {
      source.fill(rig_.rx(0, 0));
      rig_.workers()[0].round(rig_.now());
      source.drain(rig_.tx(1, 0), [&](rte_mbuf* m) {
        const auto* outer = rte_pktmbuf_mtod(m, const uint8_t*) + 14;
        const auto* inner = outer + ip;
        answers[{inner + ip - 2 * address, inner + ip + 4}] = {outer + ip - address, outer + ip};
      });
    }
    return answers;
  }

  // A tenth of the reals drains: connections of theirs stay where they are by their entries alone, for no sweep has
  // noted them as exceptions.
  void move_some() {
    control::ServiceSpec spec = rig_.publisher().services().begin()->second;
    std::map<Real, bool> drained;
    for (size_t i = 0; i < spec.reals.size(); i += 10) {
      spec.reals[i].weight = 0;
      const auto& bytes = spec.reals[i].address.bytes;
      drained[{bytes.begin() + (scenario_.v4 ? 12 : 0), bytes.end()}] = true;
    }
    rig_.service(spec);
    for (const auto& [flow, real] : first_) result_.off_slot += drained.contains(real) ? 1 : 0;
  }

  Scenario scenario_;
  rig::Rig rig_;
  std::vector<Header> established_;
  std::vector<Header> template_;
  Unique unique_;
  std::map<Flow, Real> first_;
  std::map<Flow, Real> lost_;
  Flood result_;
};

}  // namespace

Flood run_flood(unsigned runs, bool v4, bool huge) {
  FloodBench bench(v4, huge);
  std::vector<double> ns;
  const WholeCore whole_core = measure_on_whole_core(runs, ns, [&] { return bench.flood(); });
  Flood flood = bench.result(ns);
  flood.whole_core = whole_core;
  return flood;
}

}  // namespace guideway::bench
