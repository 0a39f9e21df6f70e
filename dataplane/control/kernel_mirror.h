// What is published, as the XDP programs steer by it, and balance by it where no engine listens. At each publication it
// writes what that changed into the maps that all programs read.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dataplane/control/maglev_tables.h"
#include "dataplane/control/next_hops.h"
#include "dataplane/path/recent.h"
#include "log/trouble.h"
#include "net/flow.h"
#include "xdp/kernel_tables.h"

namespace guideway::control {

class Publisher;

// What is steered beside the VIPs, and what only we send from.
std::vector<xdp::AddressEntry> steered_addresses(const Publisher& publisher);

// What the kernel's tables can't take, by what is written there: it passes when that is written again.
class Lacks {
 public:
  // Logs it, if it is a failure; else what failed there has passed. `index`: of rows.
  void note(const char* what, size_t index, const absl::Status& s);
  std::vector<log::Trouble> all() const;

 private:
  std::map<std::pair<std::string, size_t>, log::Trouble> by_what_;
};

// Lists in one shared array, each in a run of lines of its own.
class KernelLists {
 public:
  struct Run {
    uint32_t first = 0;  // line
    uint32_t lines = 0;  // a power of two; 0: none
  };

  explicit KernelLists(xdp::SharedArray& array) : array_(array) {}

  // A run for so many elements of this size; none, and why, if there is no room for it.
  absl::StatusOr<Run> take(size_t elements, size_t element_size);
  // No row names it any more; but a program under way may have read one that did, so it is used again only after the
  // next settle().
  void give_back(Run run) { given_back_.push_back(run); }
  void settle();

 private:
  xdp::SharedArray& array_;
  std::vector<Run> given_back_;
  std::map<uint32_t, std::vector<uint32_t>> free_;  // lines → firsts
  uint32_t end_ = 0;
};

class KernelMirror {
 public:
  // `heartbeat`: the kernel balances what comes for a worker that was away for longer; 0: nothing.
  KernelMirror(xdp::KernelTables& tables, std::span<const PortFacts> ports, std::chrono::nanoseconds heartbeat = {});

  // Before it is published: what workers are about to see.
  void follow(const Publisher& publisher);
  // A connection off its slot; or no longer one. What the kernel doesn't take it lacks until it is put again.
  void put_exception(const net::FlowKey6& connection, path::RealIndex real);
  void remove_exception(const net::FlowKey6& connection);
  bool lacks_exception(const net::FlowKey6& connection) const { return lacking_.contains(connection); }
  // What workers tell the kernel themselves.
  path::Recent& recent() { return recent_; }
  // Maglev tables are built in the kernel's memory.
  SlotMemory slots();
  // Why the kernel wouldn't balance as the workers do.
  std::vector<log::Trouble> lacks() const { return lacks_.all(); }

 private:
  struct Vip {
    KernelLists::Run row;
    KernelLists::Run ordinals;
    KernelLists::Run former_ordinals;
    KernelLists::Run ranges;
    uint16_t bucket = 0;
    uint32_t rate_limit = 0;
  };
  template <typename Row>
  Row* place(xdp::SharedArray& array, const char* name, uint32_t index);
  void write_next_hop(path::NextHopIndex i, const path::NextHop& hop);
  void write_route(path::RouteIndex i, const path::Route& route);
  void write_real(path::RealIndex i, const path::Real& real);
  void write_service(path::ServiceIndex i, const Publisher& publisher);
  void drop_all(path::ServiceIndex i);
  gw_table write_ordinals(const BuiltTable& built, KernelLists::Run& run, absl::Status& lack);
  uint16_t bucket_of(path::ServiceIndex i, uint32_t rate_limit, absl::Status& lack);
  void lacks_no_longer(const net::FlowKey6& connection);
  void forget(path::ServiceIndex i);
  void give_back(const Vip& vip);

  struct FlowHash {
    size_t operator()(const net::FlowKey6& k) const { return net::flow_hash(k, 0); }
  };

  xdp::KernelTables& tables_;
  Lacks lacks_;
  std::unordered_set<net::FlowKey6, FlowHash> lacking_;  // exceptions: of those that workers have
  std::chrono::nanoseconds heartbeat_;
  std::vector<uint32_t> ifindex_;  // by port; 0: the kernel has no such interface
  std::unordered_map<path::ServiceIndex, Vip> services_;
  std::vector<Vip> left_;  // what this publication's services were
  std::vector<uint16_t> free_buckets_;
  uint16_t next_bucket_ = 1;
  path::Recent recent_;
  KernelLists rows_;
  KernelLists ordinals_;
  KernelLists ranges_;
  uint64_t steering_version_ = ~0ULL;
};

}  // namespace guideway::control
