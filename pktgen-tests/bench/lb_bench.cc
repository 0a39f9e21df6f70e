#include "pktgen-tests/bench/lb_bench.h"

#include <algorithm>

#include "dataplane/path/parse.h"
#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

namespace {

constexpr uint32_t kPacketsPerRun = 1'000'000;

class LbBench {
 public:
  LbBench(const Scenario& s, bool huge)
      : scenario_(s),
        // nat keeps an entry for each direction.
        rig_({.connections = s.mode == path::Mode::kNat ? 1U << 21 : 1U << 20, .huge = huge, .memory_mb = 256}),
        headers_(client_headers(s)) {
    configure(rig_, s);
    teach();
  }

  double pipeline() {
    Source source(headers_, scenario_.size, rig_.pool());
    path::Worker& worker = rig_.workers()[0];
    return timed([&] {
      source.fill(rig_.rx(in_port_, 0));
      worker.round(rig_.now());
      return source.drain(rig_.tx(1 - in_port_, 0));
    });
  }

  double floor() {
    Source source(headers_, scenario_.size, rig_.pool());
    return timed([&] {
      source.fill(rig_.rx(in_port_, 0));
      rte_mbuf* mbufs[kBurst];
      const auto port = static_cast<uint16_t>(in_port_);
      burst_.count = rte_eth_rx_burst(ethdev(port), 0, mbufs, kBurst);
      for (unsigned i = 0; i < burst_.count; ++i) burst_.packets[i].mbuf = mbufs[i];
      path::parse(burst_);
      rte_eth_tx_burst(ethdev(static_cast<uint16_t>(1 - port)), 0, mbufs, static_cast<uint16_t>(burst_.count));
      return source.drain(rig_.tx(1 - in_port_, 0));
    });
  }

  uint64_t dropped() const { return dropped_; }

 private:
  // Rigs are made one after the other, each with two ports.
  uint16_t ethdev(uint16_t port) const { return rig_.ethdev(port); }

  template <typename Step>
  double timed(Step step) {
    const uint32_t bursts = kPacketsPerRun / kBurst;
    const double start = cpu_nanoseconds();
    uint64_t left = 0;
    for (uint32_t i = 0; i < bursts; ++i) left += step();
    const double took = cpu_nanoseconds() - start;
    dropped_ += uint64_t{bursts} * kBurst - left;
    return took / (bursts * kBurst);
  }

  // Every flow becomes known. In nat each begins with a SYN, and its forwarded packet tells the reply.
  void teach() {
    std::vector<Header> first = headers_;
    constexpr size_t kFlags4 = 14 + 20 + 13;
    constexpr size_t kFlags6 = 14 + 40 + 13;
    if (scenario_.tcp)
      for (Header& h : first) h[scenario_.v4 ? kFlags4 : kFlags6] = net::kTcpSyn;
    std::vector<Header> replies;
    send_all(first, [&](rte_mbuf* m) {
      if (scenario_.reply) replies.push_back(reply_to(rte_pktmbuf_mtod(m, const uint8_t*), scenario_.v4));
    });
    send_all(headers_, [](rte_mbuf*) {});  // and is established
    if (!scenario_.reply) return;
    headers_ = std::move(replies);
    in_port_ = 1;
    if (scenario_.tcp)
      for (Header& h : headers_) h[scenario_.v4 ? kFlags4 : kFlags6] = net::kTcpAck;
  }

  template <typename See>
  void send_all(const std::vector<Header>& headers, See see) {
    Source source(headers, scenario_.size, rig_.pool());
    for (size_t sent = 0; sent < headers.size(); sent += kBurst) {
      source.fill(rig_.rx(0, 0));
      rig_.workers()[0].round(rig_.now());
      source.drain(rig_.tx(1, 0), see);
    }
  }

  Scenario scenario_;
  rig::Rig rig_;
  std::vector<Header> headers_;
  unsigned in_port_ = 0;
  path::Burst burst_;
  uint64_t dropped_ = 0;
};

}  // namespace

Result run(const Scenario& scenario, unsigned runs, bool huge) {
  LbBench bench(scenario, huge);
  bench.floor();
  bench.pipeline();
  std::vector<std::pair<double, double>> pairs;
  const WholeCore whole_core =
      measure_on_whole_core(runs, pairs, [&] { return std::pair{bench.floor(), bench.pipeline()}; });
  std::vector<double> floors;
  std::vector<double> pipelines;
  for (const auto& [floor, pipeline] : pairs) {
    floors.push_back(floor);
    pipelines.push_back(pipeline);
  }
  return {.scenario = scenario.name(),
          .ns_per_packet = median(pipelines),
          .ns_min = *std::ranges::min_element(pipelines),
          .ns_max = *std::ranges::max_element(pipelines),
          .floor_ns_per_packet = median(floors),
          .whole_core = whole_core,
          .packets = uint64_t{pairs.size()} * (kPacketsPerRun / kBurst) * kBurst,
          .dropped = bench.dropped()};
}

}  // namespace guideway::bench
