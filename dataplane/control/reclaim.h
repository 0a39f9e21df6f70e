// What workers may still read is let go only after each of them was quiescent (QSBR). Commits never wait for that (the
// Fib's two sides do, some microseconds), and no worker ever waits for control.
#pragma once

#include <rte_rcu_qsbr.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace guideway::control {

class Reclaimer {
 public:
  explicit Reclaimer(unsigned workers) {
    const size_t size = rte_rcu_qsbr_get_memsize(workers);
    qsbr_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, (size + 63) / 64 * 64)));
    rte_rcu_qsbr_init(qsbr_.get(), workers);
  }
  ~Reclaimer() { drain(); }

  // Releases everything; only when no worker runs any more.
  void drain() {
    while (!batches_.empty()) {
      run(batches_.front());
      batches_.pop_front();
    }
    // A release may ask for another.
    while (!open_.empty())
      for (auto& f : std::exchange(open_, {})) f();
  }

  rte_rcu_qsbr* qsbr() const { return qsbr_.get(); }

  // Once the next publication has replaced it and all workers have passed. What a release asks for is published no
  // longer: it needs only the second.
  void later(std::function<void()> release) { open_.push_back(std::move(release)); }

  // After the new tables are in place.
  void published() {
    close();
    collect();
  }

  // Releases what can be, in order.
  void collect() {
    while (!batches_.empty() && rte_rcu_qsbr_check(qsbr_.get(), batches_.front().token, false) == 1) {
      auto unpublished = std::exchange(open_, {});
      run(batches_.front());
      batches_.pop_front();
      close();
      open_ = std::move(unpublished);
    }
  }

  // Waits until all workers have passed: some microseconds.
  void wait() { rte_rcu_qsbr_synchronize(qsbr_.get(), RTE_QSBR_THRID_INVALID); }

  bool idle() const { return batches_.empty(); }

 private:
  struct Batch {
    uint64_t token;
    std::vector<std::function<void()>> releases;
  };
  struct Free {
    void operator()(rte_rcu_qsbr* v) const { std::free(v); }
  };
  void close() {
    if (!open_.empty()) batches_.push_back({rte_rcu_qsbr_start(qsbr_.get()), std::exchange(open_, {})});
  }
  static void run(Batch& b) {
    for (auto& f : b.releases) f();
  }

  std::unique_ptr<rte_rcu_qsbr, Free> qsbr_;
  std::vector<std::function<void()>> open_;
  std::deque<Batch> batches_;
};

}  // namespace guideway::control
