// The real engine in one process, without root, NIC or threads: the real publisher, workers and DPDK's ring ports; the
// kernel's routes and neighbours are told by the test. A packet goes in at a port's queue, and what comes out is
// caught.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/control/begun.h"
#include "dataplane/control/comeback.h"
#include "dataplane/control/forwarding.h"
#include "dataplane/control/kernel_mirror.h"
#include "dataplane/control/sweep.h"
#include "dataplane/control/tracing.h"
#include "dataplane/control/workers.h"
#include "pktgen-tests/rig/frame.h"

namespace guideway::rig {

// What left, and where.
struct Sent {
  unsigned port = 0;
  Bytes bytes;
};

struct RigOptions {
  unsigned workers = 1;
  unsigned ports = 2;
  unsigned queues = 0;  // of each port; 0: one for each worker
  uint32_t connections = 4096;
  bool huge = false;                             // tables on 2 MB pages
  unsigned memory_mb = 256;                      // DPDK's, told by the first rig of the process
  xdp::KernelTables* kernel = nullptr;           // what is published is mirrored there
  control::TableDirectory* directory = nullptr;  // where tables outlive the rig
  control::Begun::Source begun = [](const xdp::VisitBegun&) {};
};

// Port i is interface 10 + i, "p<i>", MAC 02:00:00:00:00:0<i+1>, with the addresses 10.0.i.1/24 and 2001:db8:i::1/64.
class Rig {
 public:
  explicit Rig(const RigOptions& options = {});
  ~Rig();

  // The kernel's side.
  void neighbor(unsigned port, std::string_view address, std::string_view mac, bool present = true);
  // `source`: the address that the kernel prefers there, if the route says one.
  void route(std::string_view prefix, const std::vector<std::pair<unsigned, std::string>>& next_hops,
             std::string_view source = {});
  void blackhole(std::string_view prefix);
  void mtu(unsigned port, uint32_t mtu);
  // A VLAN interface on a port, with its MAC address and its networks; gives the number by which it can be named where
  // a port can.
  unsigned vlan(unsigned port, uint16_t number, std::string_view mac, uint32_t mtu,
                const std::vector<std::pair<std::string, unsigned>>& addresses);
  // An interface of the host that is no port of the engine, with its network.
  void foreign_link(std::string_view network);
  // Takes the host's addresses of the port away, of both families.
  void no_addresses(unsigned port);

  // The daemon's side.
  std::optional<control::Refusal> apply(control::Batch batch);
  void gateway(const control::GatewaySpec& spec);
  void service(const control::ServiceSpec& spec);
  void remove(std::string_view service);

  // Gives the frame to a port's queue and lets the workers run until nothing moves any more.
  std::vector<Sent> send(const Bytes& frame, unsigned port = 0, unsigned queue = 0,
                         uint16_t headroom = RTE_PKTMBUF_HEADROOM);
  // Only puts it there.
  void enqueue(const Bytes& frame, unsigned port = 0, unsigned queue = 0, uint16_t headroom = RTE_PKTMBUF_HEADROOM);
  std::vector<Sent> run();
  // What would become of the frame; nothing has changed then.
  engine::Trace trace(const Bytes& frame, unsigned port = 0, unsigned queue = 0,
                      uint16_t headroom = RTE_PKTMBUF_HEADROOM);
  engine::Trace trace(const engine::TraceRequest& request);
  // The reason for which the last send() dropped its packet, or NONE.
  net::DropReason dropped() const { return dropped_; }
  // The sweep from beginning to end.
  void sweep();
  // Its next `buckets`, and what is left of it then.
  void sweep_part(uint32_t buckets) { sweep_->step(buckets); }
  void sweep_rest();
  // Workers hear what the kernel has begun.
  void hear_of_kernel();
  // Time passes; connections idle out.
  void pass(unsigned seconds);

  control::Publisher& publisher() { return *publisher_; }
  const control::Tally& tally() const { return *tally_; }
  control::Workers& workers() { return *workers_; }
  control::Reclaimer& reclaimer() { return reclaimer_; }
  control::Sweep& sweeper() { return *sweep_; }  // for who goes by single steps
  const control::TraceSite& trace_site() const { return trace_site_; }
  rte_mempool* pool() { return pool_.get(); }
  // The rings behind a port's queue, for who moves packets itself.
  rte_ring* rx(unsigned port, unsigned queue) { return rings_[(port * options_.queues + queue) * 2].get(); }
  rte_ring* tx(unsigned port, unsigned queue) { return rings_[(port * options_.queues + queue) * 2 + 1].get(); }
  uint16_t ethdev(unsigned port) const { return ethdevs_[port]; }
  path::Tick now() const { return now_; }
  uint64_t drops(net::DropReason reason) const;

 private:
  struct FreeRing {
    void operator()(rte_ring* r) const { rte_ring_free(r); }
  };
  struct FreePool {
    void operator()(rte_mempool* p) const { rte_mempool_free(p); }
  };
  void make_ports();
  void make_links();
  void give_address(int ifindex, std::string_view address, unsigned length);
  void routes_changed();
  std::vector<Sent> collect();
  engine::Trace follow(std::unique_ptr<control::Tracing> tracing);

  RigOptions options_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  std::vector<std::unique_ptr<rte_ring, FreeRing>> rings_;
  std::vector<control::EnginePort> ports_;
  std::vector<uint16_t> ethdevs_;
  control::Rib rib_;
  std::unique_ptr<control::Tally> tally_;
  control::Reclaimer reclaimer_;
  std::optional<control::KernelMirror> mirror_;
  std::unique_ptr<control::Publisher> publisher_;
  std::unique_ptr<control::Forwarding> forwarding_;
  std::unique_ptr<control::Workers> workers_;
  std::unique_ptr<control::Begun> begun_;
  std::unique_ptr<control::Comeback> comeback_;
  std::unique_ptr<control::Sweep> sweep_;
  control::TraceSite trace_site_;
  path::Tick now_ = 100;
  net::DropReason dropped_ = net::DropReason::NONE;
};

// "10.9.0.0/16".
net::Prefix prefix(std::string_view text);

// DPDK, once a process, without root or hugepages unless `huge`.
void start_dpdk(bool huge = false, unsigned memory_mb = 256);

}  // namespace guideway::rig
