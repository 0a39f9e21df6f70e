// The answer to a TraceRequest: gives the packet to the worker that it would come to, and on to those that it would be
// handed to, and tells what they noted. It never waits: whoever owns it looks again.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/control/engine_port.h"
#include "dataplane/control/publisher.h"
#include "dataplane/control/tally.h"
#include "dataplane/control/workers.h"
#include "dataplane/engine.pb.h"
#include "dataplane/path/trace.h"
#include "xdp/rehearsal.h"

namespace guideway::control {

// What has come in, or would.
struct Arrival {
  std::span<const uint8_t> frame;
  const EnginePort* port = nullptr;
  unsigned queue = 0;
  uint16_t headroom = 0;  // bytes before the packet in its buffer
};

// What packets are traced in. `steering` says what XDP does with one, or why it couldn't be asked; nothing where its
// port has no XDP program.
struct TraceSite {
  Workers* workers = nullptr;
  const Publisher* publisher = nullptr;
  const Tally* tally = nullptr;
  std::span<const EnginePort> ports;
  rte_mempool* pool = nullptr;
  std::function<absl::StatusOr<std::optional<xdp::Verdict>>(const Arrival&)> steering;
};

class Tracing {
 public:
  using Clock = std::chrono::steady_clock;

  // Begins with the packet of the request; one that can't be made is answered at once.
  static std::unique_ptr<Tracing> begin(const TraceSite& site, const engine::TraceRequest& request);
  // The same of any frame.
  static std::unique_ptr<Tracing> begin(const TraceSite& site, const Arrival& arrival);
  // Takes back what a worker hasn't come to; if one is about it right now, waits for that.
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;

  // The answer, once; nothing: look again in a millisecond.
  std::optional<engine::Trace> step(Clock::time_point now);

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
    void operator()(rte_mbuf* m) const { rte_pktmbuf_free(m); }
  };
  using Ring = std::unique_ptr<rte_ring, Free>;
  using Mbuf = std::unique_ptr<rte_mbuf, Free>;

  explicit Tracing(const TraceSite& site) : site_(site) {}
  void refuse(const absl::Status& why);
  absl::Status start(const Arrival& arrival);
  void ask_xdp(const Arrival& arrival);
  void give_to(unsigned worker, Mbuf mbuf, bool handed_over);
  void free_pieces();
  void finish_pass();

  const TraceSite& site_;
  engine::Trace answer_;
  std::vector<Ring> rings_;             // by worker
  std::unique_ptr<path::Trace> trace_;  // of the pass under way; none: all is told
  Mbuf mbuf_;                           // its packet
  unsigned worker_ = 0;                 // whose it is
  uint8_t port_ = 0;
  bool given_ = false;
  std::optional<Clock::time_point> since_;
};

}  // namespace guideway::control
