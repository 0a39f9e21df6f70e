#include "pktgen-tests/bench/churn_bench.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <random>
#include <thread>

#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kServices = 100;
constexpr unsigned kReals = 10;  // of each
constexpr uint32_t kFlows = 100'000;
constexpr uint32_t kSweepStep = 8'192;  // buckets, as the engine steps
constexpr size_t kAway = 25;            // endpoints that terminate at a time, and as many that are gone

std::string vip(unsigned service) { return "192.0.2." + std::to_string(service + 1); }

std::vector<Header> flows_of_all_services() {
  std::vector<Header> headers(kFlows);
  for (uint32_t i = 0; i < kFlows; ++i) {
    rig::Frame f;
    f.ip("11.0." + std::to_string(i / 250 % 250) + "." + std::to_string(i % 250 + 1), vip(i % kServices));
    const rig::Bytes b = f.tcp(static_cast<uint16_t>(1'024 + i * 40'503U % 60'000), 80).bytes();
    std::memcpy(headers[i].data(), b.data(), std::min(b.size(), sizeof(Header)));
  }
  std::shuffle(headers.begin(), headers.end(), std::mt19937(1));
  return headers;
}

// Plays the cluster: endpoints of all services take turns to terminate, to go and to come back, as pods do in rollouts.
class Cluster {
 public:
  Cluster() {
    for (unsigned s = 0; s < kServices; ++s) {
      control::ServiceSpec spec{
          .name = "svc-" + std::to_string(s),
          .vip = {net::parse_ip(vip(s)).value(), net::Be16{80}, static_cast<uint8_t>(net::Protocol::kTcp), 0},
          .mode = path::Mode::kDsrIpip,
          .table_size = lb::kDefaultTableSize,
          .reals = {}};
      for (unsigned r = 0; r < kReals; ++r) spec.reals.push_back(real(s, r));
      specs_.push_back(spec);
    }
  }

  const std::vector<control::ServiceSpec>& specs() const { return specs_; }

  // One endpoint changes; the service that it is of.
  const control::ServiceSpec& change() {
    if (gone_.size() >= kAway) return back();
    if (terminating_.size() >= kAway) return go();
    const Endpoint e{next_ % kServices, next_ / kServices % kReals};
    ++next_;
    terminating_.push_back(e);
    find(e)->terminating = true;
    return specs_[e.service];
  }

 private:
  struct Endpoint {
    unsigned service;
    unsigned real;
  };
  static lb::Real real(unsigned service, unsigned r) {
    return {net::parse_ip("10.9." + std::to_string(service) + "." + std::to_string(r + 1)).value(), 80, 1, false};
  }
  std::vector<lb::Real>::iterator find(Endpoint e) {
    const lb::Real wanted = real(e.service, e.real);
    auto& reals = specs_[e.service].reals;
    return std::find_if(reals.begin(), reals.end(), [&](const lb::Real& r) { return r.address == wanted.address; });
  }
  const control::ServiceSpec& go() {
    const Endpoint e = terminating_.front();
    terminating_.pop_front();
    gone_.push_back(e);
    specs_[e.service].reals.erase(find(e));
    return specs_[e.service];
  }
  const control::ServiceSpec& back() {
    const Endpoint e = gone_.front();
    gone_.pop_front();
    specs_[e.service].reals.push_back(real(e.service, e.real));
    return specs_[e.service];
  }

  std::vector<control::ServiceSpec> specs_;
  std::deque<Endpoint> terminating_;
  std::deque<Endpoint> gone_;
  unsigned next_ = 0;
};

struct Run {
  double ns_per_packet = 0;
  uint64_t packets = 0;
  double p999_us = 0;
  uint64_t changes = 0;
  uint64_t walks = 0;
};

class ChurnBench {
 public:
  explicit ChurnBench(const ChurnOptions& o)
      : options_(o),
        rig_({.connections = 1U << 20, .huge = o.huge, .memory_mb = 256}),
        headers_(flows_of_all_services()) {
    rig_.neighbor(1, "10.0.1.254", "02:00:00:00:01:fe");
    rig_.route("10.9.0.0/16", {{1, "10.0.1.254"}});
    rounds_.reserve(static_cast<size_t>(o.seconds * 2e6));
    begin_anew();
    teach();
  }

  Run at_rest() {
    return run([&](const std::atomic<bool>& stop) {
      while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return Run{};
    });
  }

  Run under_changes() {
    Cluster cluster;
    const Run r = run([&](const std::atomic<bool>& stop) { return change(cluster, stop); });
    begin_anew();
    return r;
  }

  uint64_t dropped() const { return dropped_; }

 private:
  // Every run finds what the first found.
  void begin_anew() {
    const Cluster cluster;
    for (const auto& s : cluster.specs()) rig_.service(s);
    rig_.sweep();
  }

  // The worker has the last core to itself, control the others.
  template <typename Control>
  Run run(Control control) {
    std::atomic<bool> stop = false;
    std::atomic<bool> started = false;
    Run worker_run;
    std::thread worker([&] {
      stay_on(true);
      worker_run = forward(started);
      stop = true;
    });
    stay_on(false);
    while (!started) std::this_thread::yield();
    Run r = control(stop);
    worker.join();
    r.ns_per_packet = worker_run.ns_per_packet;
    r.packets = worker_run.packets;
    r.p999_us = worker_run.p999_us;
    return r;
  }

  static void stay_on(bool last) {
    const unsigned cores = std::thread::hardware_concurrency();
    cpu_set_t set;
    CPU_ZERO(&set);
    for (unsigned c = 0; c < cores; ++c)
      if (cores == 1 || (c == cores - 1) == last) CPU_SET(c, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }

  // As Worker::run, with packets.
  Run forward(std::atomic<bool>& started) {
    path::Worker& worker = rig_.workers()[0];
    rte_rcu_qsbr* qsbr = rig_.reclaimer().qsbr();
    Source source(headers_, 64, rig_.pool());
    const uint64_t second = rte_get_tsc_hz();
    rounds_.clear();
    uint64_t packets = 0;
    uint64_t left = 0;
    rte_rcu_qsbr_thread_register(qsbr, 0);
    rte_rcu_qsbr_thread_online(qsbr, 0);
    started = true;
    const double cpu = cpu_nanoseconds();
    const uint64_t start = rte_rdtsc();
    const uint64_t end = start + static_cast<uint64_t>(options_.seconds * static_cast<double>(second));
    uint64_t next = start;
    for (uint64_t now = start; now < end;) {
      source.fill(rig_.rx(0, 0));
      const uint64_t before = rte_rdtsc();
      worker.round(rig_.now());
      rte_rcu_qsbr_quiescent(qsbr, 0);
      now = rte_rdtsc();
      rounds_.push_back(static_cast<uint32_t>(now - before));
      left += source.drain(rig_.tx(1, 0));
      packets += kBurst;
      if (now < next) continue;
      next = now + second / 1'000;
      worker.housekeep(rig_.now());
    }
    Run r{.ns_per_packet = (cpu_nanoseconds() - cpu) / static_cast<double>(packets), .packets = packets};
    rte_rcu_qsbr_thread_offline(qsbr, 0);
    rte_rcu_qsbr_thread_unregister(qsbr, 0);
    dropped_ += packets - left;
    const auto at = rounds_.begin() + static_cast<ptrdiff_t>(rounds_.size() * 999 / 1'000);
    std::ranges::nth_element(rounds_, at);
    r.p999_us = *at * 1e6 / static_cast<double>(second);
    return r;
  }

  // As the engine's loop: what is due is one commit, then the sweep's next step and what may be let go.
  Run change(Cluster& cluster, const std::atomic<bool>& stop) {
    Run r;
    const uint64_t walks = rig_.sweeper().walks();
    const auto start = Clock::now();
    while (!stop) {
      const double passed = std::chrono::duration<double>(Clock::now() - start).count();
      const auto due = static_cast<uint64_t>(passed * options_.changes_per_second);
      if (r.changes < due) {
        std::map<std::string, control::ServiceSpec> changed;
        for (; r.changes < due; ++r.changes) {
          const control::ServiceSpec& s = cluster.change();
          changed.insert_or_assign(s.name, s);
        }
        control::Batch batch;
        for (auto& [name, spec] : changed) batch.services.push_back(std::move(spec));
        if (rig_.apply(std::move(batch))) std::abort();
      }
      const bool more = rig_.sweeper().step(kSweepStep);
      rig_.reclaimer().collect();
      if (!more) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    r.walks = rig_.sweeper().walks() - walks;
    return r;
  }

  // Every flow begins and is established.
  void teach() {
    std::vector<Header> first = headers_;
    for (Header& h : first) h[14 + 20 + 13] = net::kTcpSyn;
    for (const auto* list : {&first, &headers_}) {
      Source source(*list, 64, rig_.pool());
      for (size_t sent = 0; sent < list->size(); sent += kBurst) {
        source.fill(rig_.rx(0, 0));
        rig_.workers()[0].round(rig_.now());
        source.drain(rig_.tx(1, 0));
      }
    }
  }

  ChurnOptions options_;
  rig::Rig rig_;
  std::vector<Header> headers_;
  std::vector<uint32_t> rounds_;  // what each took, TSC
  uint64_t dropped_ = 0;
};

ChurnSide side_of(const std::vector<Run>& runs, double seconds) {
  const auto all = [&](auto get) {
    std::vector<double> v;
    for (const Run& r : runs) v.push_back(static_cast<double>(get(r)));
    std::ranges::sort(v);
    return v;
  };
  uint64_t packets = 0;
  for (const Run& r : runs) packets += r.packets;
  const auto ns = all([](const Run& r) { return r.ns_per_packet; });
  const auto p999 = all([](const Run& r) { return r.p999_us; });
  return {.ns_per_packet = median(ns),
          .ns_min = ns.front(),
          .ns_max = ns.back(),
          .packets = packets,
          .p999_us = median(p999),
          .p999_min = p999.front(),
          .p999_max = p999.back(),
          .changes_per_second = median(all([](const Run& r) { return r.changes; })) / seconds,
          .walks = median(all([](const Run& r) { return r.walks; })) / seconds};
}

}  // namespace

Churn run_churn(const ChurnOptions& options) {
  ChurnBench bench(options);
  bench.at_rest();
  bench.under_changes();
  std::vector<Run> rest;
  std::vector<Run> churn;
  std::vector<double> throughput;
  std::vector<double> p999;
  for (unsigned i = 0; i < options.runs; ++i) {
    rest.push_back(bench.at_rest());
    churn.push_back(bench.under_changes());
    throughput.push_back(rest.back().ns_per_packet / churn.back().ns_per_packet);
    p999.push_back(churn.back().p999_us / rest.back().p999_us);
  }
  return {.rest = side_of(rest, options.seconds),
          .churn = side_of(churn, options.seconds),
          .throughput_ratio = median(throughput),
          .p999_ratio = median(p999),
          .dropped = bench.dropped()};
}

}  // namespace guideway::bench
