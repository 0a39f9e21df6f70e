// What an engine tells of itself: to the daemon, to the log and to a trace.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iterator>

#include "dataplane/control/engine.h"

namespace guideway::control {

// Null if the port has none.
xdp::Program* Engine::program_of(const EnginePort& port) const {
  const auto found =
      std::ranges::find(af_xdp_, port.name, [](const auto& p) -> const std::string& { return p->interface().name; });
  return found == af_xdp_.end() ? nullptr : &(*found)->program();
}

// Nothing where there is no program.
absl::StatusOr<std::optional<xdp::Verdict>> Engine::steering(const Arrival& arrival) const {
  const xdp::Program* const program = program_of(*arrival.port);
  if (program == nullptr) return std::nullopt;
  return program->ask(arrival.frame, arrival.queue);
}

engine::Hello Engine::hello() const {
  engine::Hello h;
  h.set_engine_version(GUIDEWAY_VERSION);
  if (state_->generation()) *h.mutable_generation() = *state_->generation();
  for (const auto& [name, text] : net::kDropReasonTexts) {
    auto* r = h.add_drop_reasons();
    r->set_name(std::string(name));
    r->set_text(std::string(text));
  }
  const Limits limits;
  engine::Limits& m = *h.mutable_limits();
  m.set_services(limits.services);
  m.set_reals(limits.reals);
  m.set_real_rows(limits.real_rows);
  m.set_reals_per_service(limits.reals_per_service);
  m.set_maglev_slots(limits.maglev_slots);
  m.set_snat_addresses(limits.snat_addresses);
  m.set_source_ranges(limits.source_ranges);
  m.set_affinity_seconds(limits.affinity_seconds);
  m.set_idle_seconds(limits.idle_seconds);
  m.set_connections(options_.connections);
  m.set_exceptions(limits.exceptions);
  m.set_fib_blocks_ipv4(limits.fib.blocks_v4);
  m.set_fib_blocks_ipv6(limits.fib.blocks_v6);
  m.set_fragments(limits.fragments);
  m.set_snat_destinations(limits.snat_destinations);
  m.set_denied_prefixes(limits.denied_prefixes);
  m.set_denied_lengths(limits.denied_lengths);
  m.set_workers(limits.workers);
  m.set_ports(limits.ports);
  return h;
}

engine::Status Engine::status() {
  engine::Status s;
  if (state_->generation()) *s.mutable_generation() = *state_->generation();
  s.set_uptime_seconds(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_).count()));
  for (const EnginePort& p : ports_) {
    auto* m = s.add_ports();
    m->set_name(p.name);
    m->set_kind(p.kind);
    m->set_mode(p.mode);
    m->set_queues(static_cast<uint32_t>(p.queues.size()));
    const Link* link = routes_->rib().link(p.facts.ifindex);
    m->set_mtu(link != nullptr ? link->mtu : p.facts.mtu);
    m->set_up(is_up(p));
    if (const auto program = program_of(p)) m->set_balanced(program->balanced().value_or(0));
  }
  for (unsigned i = 0; i < workers_->count(); ++i) {
    const path::Counters& c = (*workers_)[i].counters();
    auto* m = s.add_workers();
    m->set_core(options_.cores[i]);
    m->set_received(c.received.read());
    m->set_sent(c.sent.read());
    for (const path::Counter& d : c.drops) m->add_drops(d.read());
    m->set_connections_ipv4(c.connections4.read());
    m->set_connections_ipv6(c.connections6.read());
    m->set_connection_limit(workers_->connection_limit());
    m->set_handed_over(c.handed_over.read());
    m->set_rounds(c.rounds.read());
    m->set_datagrams(c.datagrams.read());
    m->set_snat_destinations(c.snat_destinations.read());
  }
  xdp::DropCounters sum{};
  for (const auto& port : af_xdp_) {
    if (const auto d = port->program().drops(); d.ok())
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += (*d)[i];
    sum[GW_DROP_RX_FULL] += port->rx_full();
  }
  for (const uint64_t n : sum) s.add_xdp_drops(n);
  for (const auto& all : {warnings_, troubles()})
    for (const log::Trouble& t : all) {
      engine::Warning* w = s.add_warnings();
      w->set_subject(t.subject);
      w->set_text(t.text);
      w->set_remedy(t.remedy);
    }
  s.mutable_memory()->set_hugepages(huge_ && workers_->huge() && memory_->huge());
  s.mutable_memory()->set_bytes(workers_->bytes() + memory_->frames().size);
  s.set_services(static_cast<uint32_t>(publisher_->services().size()));
  s.set_reals(publisher_->reals());
  s.set_real_rows(publisher_->real_rows());
  s.set_exceptions(publisher_->exceptions().size());
  s.set_fib_blocks_ipv4(forwarding_->fib().blocks_in_use_v4());
  s.set_fib_blocks_ipv6(forwarding_->fib().blocks_in_use_v6());
  s.set_maglev_slots_used(publisher_->maglev().slots_used());
  s.set_denied_prefixes(denied_->prefixes());
  s.set_denied_lengths_ipv4(denied_->lengths(true));
  s.set_denied_lengths_ipv6(denied_->lengths(false));
  return s;
}

std::vector<log::Trouble> Engine::port_troubles() const {
  std::vector<log::Trouble> all;
  for (const EnginePort& p : ports_) {
    if (p.facts.declared) continue;
    const Link* link = routes_->rib().link(p.facts.ifindex);
    const std::string subject = "port " + p.name;
    if (link == nullptr)
      all.push_back({subject, "its interface is gone", "make it again, then restart guideway-engine"});
    else if (!link->up)
      all.push_back({subject, "its interface is down", absl::StrCat("ip link set dev ", link->name, " up")});
    else if (!link->lower_up)
      all.push_back({subject, "its interface has no carrier", "see to its other end"});
    else if (link->name != p.name)
      all.push_back(
          {subject,
           absl::StrCat("its interface is called ", link->name, " now: traffic goes on, but no restart finds it"),
           absl::StrCat("ip link set dev ", link->name, " name ", p.name)});
    if (link != nullptr && link->up && link->mac != p.facts.mac)
      all.push_back({subject,
                     absl::StrCat("its MAC address is ", net::to_string(link->mac), " now: we still send from ",
                                  net::to_string(p.facts.mac), ", and answer with it for announced addresses"),
                     absl::StrCat("`guideway upgrade-engine`, or ip link set dev ", link->name, " address ",
                                  net::to_string(p.facts.mac))});
  }
  return all;
}

// Once each time that one comes.
void Engine::tell_port_troubles() {
  std::vector<std::string> now;
  for (const log::Trouble& t : port_troubles()) {
    now.push_back(to_string(t));
    if (std::ranges::find(ports_in_trouble_, now.back()) == ports_in_trouble_.end()) log::warn(t);
  }
  ports_in_trouble_ = std::move(now);
}

// What isn't as it should be now, and may pass.
std::vector<log::Trouble> Engine::troubles() const {
  std::vector<log::Trouble> all = port_troubles();
  if (!taking_over_.ok()) all.push_back({"XDP", log::trouble_of(taking_over_).text, kTakeOverRemedy});
  if (!solicited_nodes_->trouble().empty())
    all.push_back({"announcing", solicited_nodes_->trouble(), SolicitedNodes::kRemedy});
  if (!forwarding_->status().ok()) all.push_back(log::trouble_of(forwarding_->status(), "routes"));
  if (const absl::Status s = denied_->trouble(); !s.ok()) {
    all.push_back(log::trouble_of(s, "denied sources"));
    all.back().text += ": what a SourceFilter denies gets through in part, and it is tried again";
  }
  if (kernel_mirror_) std::ranges::move(kernel_mirror_->lacks(), std::back_inserter(all));
  if (!publisher_->identities_whole())
    all.push_back({"tables",
                   "there is no room to note which backends connections are with: some won't outlive this engine",
                   "free memory, or room on the tmpfs of --table-dir, then restart guideway-engine"});
  if (sweep_->overflowed())
    all.push_back({"connections",
                   absl::StrCat("more than ", kMaxExceptions,
                                " are off their Maglev slot: those beyond may lose their "
                                "backend when they reach another worker"),
                   "it passes as they end: until then leave backends and weights as they are"});
  return all;
}

void Engine::warn(log::Trouble t) {
  log::warn(t);
  warnings_.push_back(std::move(t));
}

}  // namespace guideway::control
