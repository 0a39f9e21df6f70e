#include "pktgen-tests/rig/rig.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/control/eal.h"
#include "dataplane/control/ethdev_port.h"
#include "dataplane/path/clock.h"

namespace guideway::rig {

namespace {

constexpr int kFirstIfindex = 10;

template <typename T>
T must(absl::StatusOr<T> value) {
  if (value.ok()) return std::move(*value);
  std::fprintf(stderr, "rig: %s\n", value.status().ToString().c_str());
  std::abort();
}

std::string unique(const char* what) {
  static unsigned instance = 0;
  return what + std::to_string(instance++);
}

net::IpAddress ip(std::string_view text) { return net::parse_ip(text).value(); }

}  // namespace

net::Prefix prefix(std::string_view text) { return net::parse_prefix(text).value(); }

void start_dpdk(bool huge, unsigned memory_mb) {
  static const bool once = [=] {
    const absl::Status s = control::init_eal({.huge = huge, .memory_mb = memory_mb, .worker_cores = {}});
    if (!s.ok()) {
      std::fprintf(stderr, "rig: %s\n", s.ToString().c_str());
      std::abort();
    }
    return true;
  }();
  static_cast<void>(once);
}

Rig::Rig(const RigOptions& options)
    : options_(options), reclaimer_((start_dpdk(options.huge, options.memory_mb), options.workers)) {
  if (options_.queues == 0) options_.queues = options_.workers;
  pool_.reset(rte_pktmbuf_pool_create(unique("rig_pool").c_str(), 8191, 256, 0, 2432, SOCKET_ID_ANY));
  make_ports();
  make_links();
  std::vector<control::PortFacts> facts;
  for (const auto& p : ports_) facts.push_back(p.facts);
  tally_ = must(control::Tally::create(options.workers));
  if (options.kernel != nullptr) mirror_.emplace(*options.kernel, facts);
  publisher_ = must(control::Publisher::create({.workers = options.workers,
                                                .limits = {},
                                                .rib = &rib_,
                                                .tally = tally_.get(),
                                                .ports = facts,
                                                .keep = [](const auto&, bool) {},
                                                .mirror = mirror_ ? &*mirror_ : nullptr,
                                                .directory = options.directory},
                                               reclaimer_));
  forwarding_ = must(control::Forwarding::create(rib_, *publisher_, reclaimer_, {}));
  workers_ = must(control::Workers::create({.count = options.workers,
                                            .connections = options.connections,
                                            .huge = options.huge,
                                            .yield = false,
                                            .recent = publisher_->recent(),
                                            .tally = tally_.get(),
                                            .directory = options.directory},
                                           ports_, publisher_->tables(), reclaimer_));
  begun_ = std::make_unique<control::Begun>(*publisher_, options.begun);
  comeback_ = std::make_unique<control::Comeback>(*begun_, *workers_);
  sweep_ = std::make_unique<control::Sweep>(*publisher_, reclaimer_, workers_->all(), *begun_);
  trace_site_ = {.workers = workers_.get(),
                 .publisher = publisher_.get(),
                 .tally = tally_.get(),
                 .ports = ports_,
                 .pool = pool_.get(),
                 .steering = {}};
  routes_changed();
  if (options.directory != nullptr) now_ = static_cast<path::Tick>(path::seconds_since_boot());
  pass(0);
}

Rig::~Rig() {
  for (const auto& p : ports_) control::close_ethdev_port(p);
}

void Rig::make_ports() {
  for (unsigned i = 0; i < options_.ports; ++i) {
    std::vector<rte_ring*> rx;
    std::vector<rte_ring*> tx;
    for (unsigned q = 0; q < options_.queues; ++q)
      for (auto* side : {&rx, &tx}) {
        rings_.emplace_back(
            rte_ring_create(unique("rig_ring").c_str(), 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
        side->push_back(rings_.back().get());
      }
    const int ethdev = rte_eth_from_rings(unique("rig").c_str(), rx.data(), options_.queues, tx.data(), options_.queues,
                                          SOCKET_ID_ANY);
    if (ethdev < 0) std::abort();
    auto port = must(control::start_ethdev_port(static_cast<uint16_t>(ethdev), {}, static_cast<uint8_t>(i),
                                                options_.queues, pool_.get()));
    port.facts.ifindex = kFirstIfindex + static_cast<int>(i);
    port.facts.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(i + 1)}};
    port.facts.declared.reset();
    ports_.push_back(std::move(port));
    ethdevs_.push_back(static_cast<uint16_t>(ethdev));
  }
}

void Rig::make_links() {
  for (const auto& p : ports_) {
    const std::string i = std::to_string(p.facts.index);
    control::Link link{
        .ifindex = p.facts.ifindex, .name = "p" + i, .mac = p.facts.mac, .mtu = 1500, .up = true, .lower_up = true};
    rib_.apply({control::Event::Action::kAdd, link});
    give_address(link.ifindex, "10.0." + i + ".1", 24);
    give_address(link.ifindex, "2001:db8:" + i + "::1", 64);
  }
}

void Rig::give_address(int ifindex, std::string_view address, unsigned length) {
  rib_.apply(
      {control::Event::Action::kAdd,
       control::Address{.ifindex = ifindex, .address = ip(address), .prefix_length = static_cast<uint8_t>(length)}});
  rib_.apply({control::Event::Action::kAdd,
              control::Route{.prefix = net::prefix_of(ip(address), length), .hops = {{ifindex, {}, 1}}, .source = {}}});
}

unsigned Rig::vlan(unsigned port, uint16_t number, std::string_view mac, uint32_t mtu,
                   const std::vector<std::pair<std::string, unsigned>>& addresses) {
  const int parent = kFirstIfindex + static_cast<int>(port);
  const int ifindex = 1'000 + number;
  rib_.apply(
      {control::Event::Action::kAdd, control::Link{.ifindex = ifindex,
                                                   .name = rib_.link(parent)->name + "." + std::to_string(number),
                                                   .mac = net::parse_mac(mac).value(),
                                                   .mtu = mtu,
                                                   .up = true,
                                                   .lower_up = true,
                                                   .parent = parent,
                                                   .vlan = number}});
  for (const auto& [address, length] : addresses) give_address(ifindex, address, length);
  routes_changed();
  return static_cast<unsigned>(ifindex - kFirstIfindex);
}

void Rig::routes_changed() {
  const control::Changes changes = rib_.take_changes();
  publisher_->routes_changed(changes);
  const absl::Status s = forwarding_->update(changes);
  if (!s.ok()) std::abort();
}

void Rig::neighbor(unsigned port, std::string_view address, std::string_view mac, bool present) {
  control::Neighbor n{
      .key = {kFirstIfindex + static_cast<int>(port), ip(address)}, .mac = net::parse_mac(mac).value(), .usable = true};
  rib_.apply({present ? control::Event::Action::kReplace : control::Event::Action::kRemove, n});
  routes_changed();
}

void Rig::route(std::string_view text, const std::vector<std::pair<unsigned, std::string>>& next_hops,
                std::string_view source) {
  control::Route r{.prefix = prefix(text), .hops = {}, .source = source.empty() ? net::IpAddress{} : ip(source)};
  for (const auto& [port, hop] : next_hops) r.hops.push_back({kFirstIfindex + static_cast<int>(port), ip(hop), 1});
  rib_.apply({control::Event::Action::kReplace, r});
  routes_changed();
}

void Rig::blackhole(std::string_view text) {
  rib_.apply(
      {control::Event::Action::kReplace,
       control::Route{.prefix = prefix(text), .kind = control::RouteKind::kBlackhole, .hops = {}, .source = {}}});
  routes_changed();
}

void Rig::mtu(unsigned port, uint32_t mtu) {
  control::Link link = *rib_.link(kFirstIfindex + static_cast<int>(port));
  link.mtu = mtu;
  rib_.apply({control::Event::Action::kReplace, link});
  routes_changed();
}

void Rig::foreign_link(std::string_view network) {
  constexpr int kIfindex = 99;
  rib_.apply({control::Event::Action::kAdd,
              control::Link{.ifindex = kIfindex, .name = "mgmt0", .mtu = 1500, .up = true, .lower_up = true}});
  rib_.apply({control::Event::Action::kAdd,
              control::Route{.prefix = prefix(network), .hops = {{kIfindex, {}, 1}}, .source = {}}});
  routes_changed();
}

void Rig::no_addresses(unsigned port) {
  const std::string i = std::to_string(port);
  for (const auto& [address, length] : {std::pair{"10.0." + i + ".1", 24}, std::pair{"2001:db8:" + i + "::1", 64}})
    rib_.apply({control::Event::Action::kRemove, control::Address{.ifindex = kFirstIfindex + static_cast<int>(port),
                                                                  .address = ip(address),
                                                                  .prefix_length = static_cast<uint8_t>(length)}});
  routes_changed();
}

std::optional<control::Refusal> Rig::apply(control::Batch batch) {
  begun_->hold(batch);
  return publisher_->apply(std::move(batch));
}

void Rig::gateway(const control::GatewaySpec& spec) {
  if (apply({.full = false, .gateway = spec, .services = {}, .removals = {}})) std::abort();
}

void Rig::service(const control::ServiceSpec& spec) {
  if (const auto r = apply({.full = false, .gateway = {}, .services = {spec}, .removals = {}})) {
    std::fprintf(stderr, "rig: %s %s: %s\n", r->entry.c_str(), r->field.c_str(), r->why.c_str());
    std::abort();
  }
}

void Rig::remove(std::string_view service) {
  if (apply({.full = false, .gateway = {}, .services = {}, .removals = {std::string(service)}})) std::abort();
}

uint64_t Rig::drops(net::DropReason reason) const {
  uint64_t n = 0;
  for (const path::Worker* w : workers_->all()) n += w->counters().drops[static_cast<size_t>(reason)].read();
  return n;
}

void Rig::enqueue(const Bytes& frame, unsigned port, unsigned queue, uint16_t headroom) {
  rte_mbuf* m = rte_pktmbuf_alloc(pool_.get());
  m->data_off = headroom;
  char* room = rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size()));
  std::ranges::copy(frame, room);
  if (rte_ring_enqueue(rx(port, queue), m) != 0) std::abort();
}

std::vector<Sent> Rig::run() {
  for (bool busy = true; busy;) {
    busy = false;
    for (unsigned w = 0; w < workers_->count(); ++w) busy |= (*workers_)[w].round(now_);
  }
  return collect();
}

std::vector<Sent> Rig::send(const Bytes& frame, unsigned port, unsigned queue, uint16_t headroom) {
  std::array<uint64_t, net::kDropReasons> before;
  for (size_t i = 0; i < before.size(); ++i) before[i] = drops(static_cast<net::DropReason>(i));
  enqueue(frame, port, queue, headroom);
  auto out = run();
  dropped_ = net::DropReason::NONE;
  for (size_t i = 0; i < before.size(); ++i)
    if (drops(static_cast<net::DropReason>(i)) != before[i]) dropped_ = static_cast<net::DropReason>(i);
  return out;
}

engine::Trace Rig::trace(const Bytes& frame, unsigned port, unsigned queue, uint16_t headroom) {
  return follow(control::Tracing::begin(trace_site_, control::Arrival{frame, &ports_[port], queue, headroom}));
}

engine::Trace Rig::trace(const engine::TraceRequest& request) {
  return follow(control::Tracing::begin(trace_site_, request));
}

engine::Trace Rig::follow(std::unique_ptr<control::Tracing> tracing) {
  while (true) {
    if (auto done = tracing->step(control::Tracing::Clock::now())) return std::move(*done);
    for (unsigned w = 0; w < workers_->count(); ++w) (*workers_)[w].trace_asked(now_);
  }
}

std::vector<Sent> Rig::collect() {
  std::vector<Sent> out;
  for (unsigned port = 0; port < options_.ports; ++port)
    for (unsigned q = 0; q < options_.queues; ++q) {
      void* object = nullptr;
      while (rte_ring_dequeue(tx(port, q), &object) == 0) {
        auto* m = static_cast<rte_mbuf*>(object);
        const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
        out.push_back({port, Bytes(data, data + rte_pktmbuf_data_len(m))});
        rte_pktmbuf_free(m);
      }
    }
  return out;
}

void Rig::sweep() {
  sweep_->wish();
  sweep_rest();
}

void Rig::sweep_rest() {
  while (sweep_->step(1U << 20)) {
  }
}

void Rig::hear_of_kernel() {
  begun_->take_in();
  while (comeback_->step())
    for (unsigned w = 0; w < workers_->count(); ++w) (*workers_)[w].housekeep(now_);
}

void Rig::pass(unsigned seconds) {
  now_ = static_cast<path::Tick>(now_ + seconds);
  for (unsigned w = 0; w < workers_->count(); ++w)
    for (int part = 0; part < 8'192; ++part) (*workers_)[w].housekeep(now_);
}

}  // namespace guideway::rig
