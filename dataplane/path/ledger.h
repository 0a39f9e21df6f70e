// What a connection's entry stands for outside of its table. The table says when an entry comes and goes, for whatever
// reason it goes.
#pragma once

#include "dataplane/path/connection.h"
#include "dataplane/path/real_counters.h"
#include "dataplane/path/snat_ports.h"

namespace guideway::path {

class Ledger {
 public:
  Ledger(RealCounterRows reals, const SnatPorts& ports) : reals_(reals), ports_(ports) {}

  // Of nat's two entries the client's stands for the connection, and the reply's for its SNAT port.
  template <typename Entry>
  void opened(const Entry& e) {
    if (e.direction == Direction::kForward) {
      reals_[e.real].connections.add(1);
      reals_[e.real].live.add(1);
    } else if (e.direction == Direction::kReply && e.snat_destination != SnatPorts::kNone) {
      ports_.take(e.snat_destination, e.key.destination_port.host());
    }
  }
  // An earlier engine opened it.
  template <typename Entry>
  void resumed(const Entry& e) {
    if (e.direction == Direction::kForward)
      reals_[e.real].live.add(1);
    else
      opened(e);
  }
  template <typename Entry>
  void closed(const Entry& e) {
    if (e.direction == Direction::kForward)
      reals_[e.real].live.subtract(1);
    else if (e.direction == Direction::kReply && e.snat_destination != SnatPorts::kNone)
      ports_.give_back(e.snat_destination, e.key.destination_port.host());
  }

  const RealCounterRows& reals() const { return reals_; }
  SnatPorts& ports() { return ports_; }

 private:
  RealCounterRows reals_;
  SnatPorts ports_;
};

}  // namespace guideway::path
