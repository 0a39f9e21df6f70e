#include "pktgen-tests/bench/lb_bench.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "dataplane/path/parse.h"

namespace guideway::bench {

namespace {

constexpr unsigned kBurst = path::kBurst;
constexpr uint32_t kPacketsPerRun = 1'000'000;

// Packets as a NIC would give them: headers from a sequential list into a few recycled, cache-warm buffers, so that
// what is measured are the path's misses and not the rig's.
class Source {
 public:
  Source(const std::vector<Header>& headers, uint16_t size, rte_mempool* pool)
      : headers_(headers), size_(size), pool_(pool) {}
  ~Source() { rte_pktmbuf_free_bulk(stock_.data(), count_); }

  // A burst, received.
  void fill(rte_ring* to) {
    // The path frees what it drops: those buffers are replaced.
    while (count_ < kBurst) stock_[count_++] = rte_pktmbuf_alloc(pool_);
    for (rte_mbuf* m : std::span(stock_).first(kBurst)) {
      m->data_off = RTE_PKTMBUF_HEADROOM;
      m->data_len = size_;
      m->pkt_len = size_;
      std::memcpy(rte_pktmbuf_mtod(m, void*), headers_[next_].data(), sizeof(Header));
      if (++next_ == headers_.size()) next_ = 0;
    }
    rte_ring_sp_enqueue_bulk(to, reinterpret_cast<void**>(stock_.data()), kBurst, nullptr);
    count_ = 0;
  }

  // Takes what left; `see` looks at each.
  template <typename See>
  unsigned drain(rte_ring* from, See see) {
    const unsigned n =
        rte_ring_sc_dequeue_burst(from, reinterpret_cast<void**>(&stock_[count_]), kBurst - count_, nullptr);
    for (unsigned i = 0; i < n; ++i) see(stock_[count_ + i]);
    count_ += n;
    return n;
  }
  unsigned drain(rte_ring* from) {
    return drain(from, [](rte_mbuf*) {});
  }

 private:
  const std::vector<Header>& headers_;
  uint16_t size_;
  rte_mempool* pool_;
  size_t next_ = 0;
  std::array<rte_mbuf*, kBurst> stock_{};
  unsigned count_ = 0;
};

// The thread's own time: what a worker on a core of its own would see, also where this one is shared.
double cpu_nanoseconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

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
      path::parse(burst_, {1, 2});
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

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

}  // namespace

Result run(const Scenario& scenario, unsigned runs, bool huge) {
  LbBench bench(scenario, huge);
  bench.floor();
  bench.pipeline();
  std::vector<double> floors;
  std::vector<double> pipelines;
  for (unsigned i = 0; i < runs; ++i) {
    floors.push_back(bench.floor());
    pipelines.push_back(bench.pipeline());
  }
  return {.scenario = scenario.name(),
          .ns_per_packet = median(pipelines),
          .ns_min = *std::ranges::min_element(pipelines),
          .ns_max = *std::ranges::max_element(pipelines),
          .floor_ns_per_packet = median(floors),
          .packets = uint64_t{runs} * (kPacketsPerRun / kBurst) * kBurst,
          .dropped = bench.dropped()};
}

}  // namespace guideway::bench
