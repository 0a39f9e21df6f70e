// Connections that the kernel has begun while no worker was there: control holds on to them, as the workers to theirs,
// until a worker has learnt them or they must have ended.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dataplane/control/publisher.h"
#include "dataplane/path/recover.h"
#include "net/flow.h"
#include "xdp/loader.h"

namespace guideway::control {

class Begun {
 public:
  struct Flow {
    path::ServiceIndex service;
    path::RealIndex real;
    std::chrono::seconds until;  // since boot
    // Workers have made way for it. Of UDP they needn't: it has no beginning, and what they know they know of the flow.
    bool told = false;
    uint64_t number = 0;  // in the order of their coming
  };
  // Tells each connection once.
  using Source = std::function<void(const xdp::VisitBegun&)>;

  Begun(Publisher& publisher, Source source) : publisher_(publisher), source_(std::move(source)) {}

  // What has been begun since, if it is known where it belongs; forgets what must have ended, and where there are too
  // many, what would end first.
  void take_in();
  // Before the batch is applied: takes in, and has those that it may move stay where they are until the next sweep.
  void hold(const Batch& batch);
  // A worker has a connection of these addresses and ports, with this real. If workers have been told, that is this one
  // or came after it, and is the worker's from now on. False if it is an earlier one of another real, that has yet to
  // make way.
  bool learnt(const net::FlowKey6& connection, path::RealIndex real);
  // What workers don't know yet and nobody has asked for before.
  std::vector<path::KernelsFlow> take_untold();
  // They have made way for these.
  void told(const std::vector<path::KernelsFlow>& flows);

  void for_each(const std::function<void(const net::FlowKey6&, const Flow&)>& visit) const;
  size_t size() const { return flows_.size(); }

 private:
  struct Hash {
    size_t operator()(const net::FlowKey6& k) const { return net::flow_hash(k, 0); }
  };
  using Flows = std::unordered_map<net::FlowKey6, Flow, Hash>;
  void forget(Flows::iterator flow);

  Publisher& publisher_;
  Source source_;
  Flows flows_;
  std::map<std::pair<std::chrono::seconds, uint64_t>, net::FlowKey6> ends_;  // until and number → connection
  std::unordered_set<net::FlowKey6, Hash> untold_;
  uint64_t begun_ = 0;
};

}  // namespace guideway::control
