#include "dataplane/control/tracing.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/control/synthetic_packet.h"
#include "dataplane/control/trace_facts.h"
#include "dataplane/path/frames.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

// A worker looks once a millisecond; who shares its core may be away for some. Less than the daemon waits for.
constexpr auto kPatience = std::chrono::milliseconds(300);
// More passes than any packet makes: to its datagram's worker, to its owner, and round all of them for an SNAT port.
constexpr int kMostPasses = 2 * path::kMaxWorkers;

const EnginePort* port_named(const TraceSite& site, const std::string& name) {
  if (name.empty()) return &site.ports.front();
  const auto found = std::ranges::find(site.ports, name, &EnginePort::name);
  return found == site.ports.end() ? nullptr : &*found;
}

engine::TraceSteering steering_of(xdp::Verdict::Fate fate) {
  switch (fate) {
    case xdp::Verdict::kHost:
      return engine::TRACE_STEERING_HOST;
    case xdp::Verdict::kDropped:
      return engine::TRACE_STEERING_DROPPED;
    case xdp::Verdict::kEngine:
      break;
  }
  return engine::TRACE_STEERING_ENGINE;
}

}  // namespace

std::unique_ptr<Tracing> Tracing::begin(const TraceSite& site, const engine::TraceRequest& r) {
  std::unique_ptr<Tracing> t(new Tracing(site));
  const EnginePort* port = port_named(site, r.port());
  if (port == nullptr) {
    t->refuse(absl::InvalidArgumentError(absl::StrCat(
        "port: the engine has no port ", r.port(), "; it has ",
        absl::StrJoin(site.ports, ", ", [](std::string* out, const EnginePort& p) { absl::StrAppend(out, p.name); }))));
  } else if (r.queue() >= port->queues.size()) {
    t->refuse(absl::InvalidArgumentError(
        absl::StrCat("queue: port ", port->name, " has ", port->queues.size(), " queue(s), from 0 on")));
  } else if (const auto frame = synthetic_packet(r, port->facts.mac, port->facts.mtu); !frame.ok()) {
    t->refuse(frame.status());
  } else {
    const bool af_xdp = port->kind == "af_xdp";
    const size_t headroom = af_xdp ? path::kKernelHeadroom : RTE_PKTMBUF_HEADROOM;
    t->refuse(t->start({*frame, port, r.queue(), static_cast<uint16_t>(headroom)}));
  }
  return t;
}

std::unique_ptr<Tracing> Tracing::begin(const TraceSite& site, const Arrival& arrival) {
  std::unique_ptr<Tracing> t(new Tracing(site));
  t->refuse(t->start(arrival));
  return t;
}

Tracing::~Tracing() {
  if (trace_ == nullptr || !given_ || (*site_.workers)[worker_].take_back(*trace_)) return;
  while (!trace_->done.load(std::memory_order_acquire)) sched_yield();
  free_pieces();
}

void Tracing::refuse(const absl::Status& why) {
  if (why.ok()) return;
  answer_.Clear();
  answer_.mutable_refused()->set_invalid(absl::IsInvalidArgument(why));
  answer_.mutable_refused()->set_why(std::string(why.message()));
}

absl::Status Tracing::start(const Arrival& a) {
  Mbuf mbuf(rte_pktmbuf_alloc(site_.pool));
  if (mbuf == nullptr) return absl::ResourceExhaustedError("the engine has no packet buffer free: try again");
  mbuf->data_off = a.headroom;
  char* room = rte_pktmbuf_append(mbuf.get(), static_cast<uint16_t>(a.frame.size()));
  if (room == nullptr) return absl::InvalidArgumentError("size: more than a packet buffer holds");
  std::ranges::copy(a.frame, room);
  for (unsigned i = 0; i < site_.workers->count(); ++i) {
    constexpr unsigned kSlots = 2;  // of which a ring uses one less
    const auto size = static_cast<size_t>(rte_ring_get_memsize(kSlots));
    rings_.emplace_back(static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, size)));
    rte_ring_init(rings_.back().get(), "trace", kSlots, RING_F_SP_ENQ | RING_F_SC_DEQ);
  }
  answer_.set_port(a.port->name);
  answer_.set_packet(a.frame.data(), a.frame.size());
  ask_xdp(a);
  port_ = a.port->facts.index;
  if (answer_.steering() != engine::TRACE_STEERING_HOST && answer_.steering() != engine::TRACE_STEERING_DROPPED)
    give_to(site_.workers->receiver(a.queue), std::move(mbuf), false);
  return absl::OkStatus();
}

void Tracing::ask_xdp(const Arrival& a) {
  if (!site_.steering) return;
  const auto verdict = site_.steering(a);
  if (!verdict.ok()) {
    answer_.set_steering(engine::TRACE_STEERING_FAILED);
    answer_.set_steering_trouble(log::trouble_of(verdict.status()).text);
  } else if (*verdict) {
    answer_.set_steering(steering_of((*verdict)->fate));
    if ((*verdict)->fate == xdp::Verdict::kDropped) *answer_.mutable_dropped() = drop_of("xdp", (*verdict)->reason);
  }
}

void Tracing::give_to(unsigned worker, Mbuf mbuf, bool handed_over) {
  worker_ = worker;
  mbuf_ = std::move(mbuf);
  given_ = false;
  trace_ = std::make_unique<path::Trace>(site_.workers->metadata());
  trace_->mbuf = mbuf_.get();
  trace_->port = port_;
  trace_->handed_over = handed_over;
  trace_->reals = path::RealCounterRows(site_.tally->rows_aside());
  for (size_t i = 0; i < rings_.size(); ++i) trace_->to[i] = rings_[i].get();
}

// What a worker has cut off its packet.
void Tracing::free_pieces() {
  for (unsigned i = 1; i < trace_->burst.count; ++i) rte_pktmbuf_free(trace_->burst.packets[i].mbuf);
}

// Its packet goes on to the worker in whose ring it is, or is freed with the pieces that it was cut into.
void Tracing::finish_pass() {
  std::optional<unsigned> next;
  for (size_t i = 0; i < rings_.size() && !next; ++i)
    if (void* object = nullptr; rte_ring_dequeue(rings_[i].get(), &object) == 0) next = static_cast<unsigned>(i);
  *answer_.add_passes() = facts_of(*trace_, worker_, next, *site_.publisher, site_.ports);
  free_pieces();
  if (next && answer_.passes_size() < kMostPasses) return give_to(*next, std::move(mbuf_), true);
  trace_.reset();
  mbuf_.reset();
}

std::optional<engine::Trace> Tracing::step(Clock::time_point now) {
  if (!since_) since_ = now;
  while (trace_ != nullptr) {
    path::Worker& worker = (*site_.workers)[worker_];
    if (!given_) given_ = worker.ask(*trace_);
    if (given_ && trace_->done.load(std::memory_order_acquire)) {
      finish_pass();
      continue;
    }
    if (now - *since_ < kPatience || (given_ && !worker.take_back(*trace_))) return std::nullopt;
    trace_.reset();
    refuse(absl::UnavailableError(absl::StrCat("worker ", worker_, " has not come to look at the packet within ",
                                               kPatience.count(), " ms: is its core somebody else's, too?")));
  }
  return std::move(answer_);
}

}  // namespace guideway::control
