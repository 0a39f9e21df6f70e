// Where a benchmark's packets come from, and the clock that it counts by.
#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "dataplane/path/burst.h"
#include "pktgen-tests/bench/flows.h"

namespace guideway::bench {

constexpr unsigned kBurst = path::kBurst;

// Packets as a NIC would give them: headers from a sequential list into a few recycled, cache-warm buffers, so that
// what is measured are the path's misses and not the rig's.
class Source {
 public:
  Source(const std::vector<Header>& headers, uint16_t size, rte_mempool* pool)
      : headers_(headers), size_(size), pool_(pool) {}
  ~Source() { rte_pktmbuf_free_bulk(stock_.data(), count_); }

  // A burst, received; `change` may write into each frame.
  template <typename Change>
  void fill(rte_ring* to, Change&& change) {
    // The path frees what it drops: those buffers are replaced.
    while (count_ < kBurst) stock_[count_++] = rte_pktmbuf_alloc(pool_);
    for (rte_mbuf* m : std::span(stock_).first(kBurst)) {
      m->data_off = RTE_PKTMBUF_HEADROOM;
      m->data_len = size_;
      m->pkt_len = size_;
      std::memcpy(rte_pktmbuf_mtod(m, void*), headers_[next_].data(), sizeof(Header));
      change(rte_pktmbuf_mtod(m, uint8_t*));
      if (++next_ == headers_.size()) next_ = 0;
    }
    rte_ring_sp_enqueue_bulk(to, reinterpret_cast<void**>(stock_.data()), kBurst, nullptr);
    count_ = 0;
  }
  void fill(rte_ring* to) {
    fill(to, [](uint8_t*) {});
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
inline double cpu_nanoseconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Whether the thread has its core to itself just now. Additions that wait for each other take a cycle each; of others a
// core does four a cycle, but only two while another machine's guest runs on the other half of it (SMT): whatever is
// measured then takes up to twice as long.
inline bool has_whole_core() {
  constexpr unsigned kRounds = 20'000;
  std::array<uint64_t, 4> sums{};
  const double start = cpu_nanoseconds();
  for (unsigned i = 0; i < kRounds; ++i) asm volatile(".rept 16\n\tadd $1, %0\n\t.endr" : "+r"(sums[0]));
  const double between = cpu_nanoseconds();
  for (unsigned i = 0; i < kRounds; ++i)
    asm volatile(".rept 16\n\tadd $1, %0\n\tadd $1, %1\n\tadd $1, %2\n\tadd $1, %3\n\t.endr"
                 : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3]));
  const double four_times_as_many = cpu_nanoseconds() - between;
  return four_times_as_many < (between - start) * 4 / 3;
}

// The same of every core that the process may use, for what other processes do on any of them.
inline bool has_whole_cores() {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  bool whole = true;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
    whole = has_whole_core() && whole;
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
  return whole;
}

// Of `all` runs those that had their core to themselves. None: what is shown are all of them.
struct WholeCore {
  unsigned runs = 0;
  unsigned all = 0;
  std::string text() const { return std::to_string(runs) + " of " + std::to_string(all); }
};

// Calls `measure` until it has run `runs` times on a whole core, but at most eight times as often; it adds to `all`
// what it has measured. What is left in `all` are those runs, or all if there were none.
template <typename Measure, typename T>
WholeCore measure_on_whole_core(unsigned runs, std::vector<T>& all, Measure measure,
                                bool (*is_whole)() = has_whole_core) {
  std::vector<T> whole;
  bool before = is_whole();
  for (unsigned i = 0; i < 8 * runs && whole.size() < runs; ++i) {
    all.push_back(measure());
    const bool after = is_whole();
    if (before && after) whole.push_back(all.back());
    before = after;
  }
  const WholeCore w{static_cast<unsigned>(whole.size()), static_cast<unsigned>(all.size())};
  if (!whole.empty()) all = std::move(whole);
  return w;
}

inline double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

}  // namespace guideway::bench
