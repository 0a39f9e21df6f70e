// Connections that the kernel has begun while no worker was there: control holds on to them, as the workers to theirs,
// until a worker has learnt them or they must have ended.
#pragma once

#include <chrono>
#include <functional>
#include <unordered_map>

#include "dataplane/control/publisher.h"
#include "net/flow.h"
#include "xdp/loader.h"

namespace guideway::control {

class Begun {
 public:
  struct Flow {
    path::ServiceIndex service;
    path::RealIndex real;
    std::chrono::seconds until;  // since boot
  };
  // Tells each connection once.
  using Source = std::function<void(const xdp::VisitBegun&)>;

  Begun(Publisher& publisher, Source source) : publisher_(publisher), source_(std::move(source)) {}

  // What has been begun since, if it is known where it belongs; forgets what must have ended.
  void take_in();
  // Before the batch is applied: takes in, and has those that it may move stay where they are until the next sweep.
  void hold(const Batch& batch);
  // A worker has it now.
  void learnt(const net::FlowKey6& connection);

  void for_each(const std::function<void(const net::FlowKey6&, const Flow&)>& visit) const;
  size_t size() const { return flows_.size(); }

 private:
  struct Hash {
    size_t operator()(const net::FlowKey6& k) const { return net::flow_hash(k, 0); }
  };

  Publisher& publisher_;
  Source source_;
  std::unordered_map<net::FlowKey6, Flow, Hash> flows_;
};

}  // namespace guideway::control
