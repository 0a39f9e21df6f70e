// What a connection's entry stands for outside of its table. The table says when an entry comes and goes, for whatever
// reason it goes.
#pragma once

#include "dataplane/path/connection.h"
#include "dataplane/path/real_counters.h"

namespace guideway::path {

class Ledger {
 public:
  explicit Ledger(RealCounterRows reals) : reals_(reals) {}

  // Of nat's two entries the client's stands for the connection.
  template <typename Entry>
  void opened(const Entry& e) {
    if (e.direction != Direction::kForward) return;
    reals_[e.real].connections.add(1);
    reals_[e.real].live.add(1);
  }
  template <typename Entry>
  void closed(const Entry& e) {
    if (e.direction == Direction::kForward) reals_[e.real].live.subtract(1);
  }

  const RealCounterRows& reals() const { return reals_; }

 private:
  RealCounterRows reals_;
};

}  // namespace guideway::path
