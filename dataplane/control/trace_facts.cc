#include "dataplane/control/trace_facts.h"

#include <algorithm>
#include <string>

#include "dataplane/control/connection_list.h"
#include "dataplane/control/contract/values.h"

namespace guideway::control {

namespace {

using path::Fate;
using path::Packet;
using path::Stage;

// By Stage.
constexpr std::array<const char*, path::kStages> kStageNames{"parse", "match",   "answer", "track", "hand",  "balance",
                                                             "learn", "hand_on", "route",  "fit",   "apply", "frame"};

engine::TraceParsed::Kind kind_of(path::Kind k) {
  switch (k) {
    case path::Kind::kFirstFragment:
      return engine::TraceParsed::KIND_FIRST_FRAGMENT;
    case path::Kind::kFragment:
      return engine::TraceParsed::KIND_LATER_FRAGMENT;
    case path::Kind::kIcmpError:
      return engine::TraceParsed::KIND_ICMP_ERROR;
    case path::Kind::kIcmpEcho:
      return engine::TraceParsed::KIND_ICMP_ECHO;
    case path::Kind::kNeighbor:
      return engine::TraceParsed::KIND_NEIGHBOR;
    case path::Kind::kFlow:
      break;
  }
  return engine::TraceParsed::KIND_FLOW;
}

engine::TraceEntry::Direction direction_of(path::Direction d) {
  switch (d) {
    case path::Direction::kForward:
      return engine::TraceEntry::DIRECTION_FORWARD;
    case path::Direction::kReply:
      return engine::TraceEntry::DIRECTION_REPLY;
    case path::Direction::kNext:
      return engine::TraceEntry::DIRECTION_NEXT;
    case path::Direction::kNone:
      break;
  }
  return engine::TraceEntry::DIRECTION_UNSPECIFIED;
}

void fill(engine::TraceFlow& out, const net::FlowKey6& key) {
  out.set_protocol(key.protocol);
  out.set_source(net::bytes_of(key.source));
  out.set_source_port(key.source_port.host());
  out.set_destination(net::bytes_of(key.destination));
  out.set_destination_port(key.destination_port.host());
}

// An echo's ports are the first bytes of its header, and a fragment's the id of its datagram until its ports are told.
void fill(engine::TraceFlow& out, const Packet& p) {
  fill(out, p.family == path::Family::kIpv4 ? net::widen(p.key4) : p.key6);
  out.set_protocol(p.protocol);
  if (p.kind == path::Kind::kFlow || p.kind == path::Kind::kIcmpError) return;
  out.clear_source_port();
  out.clear_destination_port();
}

// One pass's notes, stage by stage; `p` is the packet in the end.
class Facts {
 public:
  Facts(const path::Trace& trace, const Publisher& publisher, std::span<const EnginePort> ports)
      : trace_(trace), publisher_(publisher), ports_(ports), p_(trace.burst.packets[0]) {}

  engine::TracePass tell(unsigned worker, std::optional<unsigned> handed_to) {
    out_.set_worker(worker);
    tell_parse();
    tell_track();
    tell_hand(worker, handed_to);
    tell_balance();
    tell_learn();
    tell_route();
    tell_fit();
    tell_apply();
    tell_end(handed_to);
    return std::move(out_);
  }

 private:
  // The packet as it came to a stage that it reached, and as that left it; nothing if it went by.
  const Packet* before(Stage s) const {
    for (auto i = static_cast<size_t>(s); i-- > 0;)
      if (trace_.after[i]) return &*trace_.after[i];
    return nullptr;
  }
  bool reached(Stage s) const { return trace_.seen(s) && before(s)->live(); }
  bool decided_in(Stage s) const { return reached(s) && !before(s)->decided; }
  bool passed(Stage s) const { return reached(s) && trace_.seen(s)->live(); }

  void fill(engine::TraceReal& out, path::RealIndex i, net::Be16 any) const {
    const path::Real& real = publisher_.real(i);
    out.set_address(net::bytes_of(real.address));
    out.set_port((real.port == path::kAnyPort ? any : real.port).host());
  }
  static net::Be16 source_port(const Packet& p) {
    return p.family == path::Family::kIpv4 ? p.key4.source_port : p.key6.source_port;
  }
  static net::Be16 destination_port(const Packet& p) {
    return p.family == path::Family::kIpv4 ? p.key4.destination_port : p.key6.destination_port;
  }

  void tell_parse() {
    const Packet& p = *trace_.seen(Stage::kParse);
    if (!p.live()) return;
    auto& m = *out_.add_stages()->mutable_parse();
    m.set_kind(kind_of(p.kind));
    control::fill(*m.mutable_flow(), p);
  }

  void tell_track() {
    if (!decided_in(Stage::kTrack)) return;
    const Packet& p = *trace_.seen(Stage::kTrack);
    auto& m = *out_.add_stages()->mutable_track();
    m.set_found(trace_.known.has_value());
    if (!trace_.known) return;
    const path::Trace::Known& k = *trace_.known;
    m.set_state(state_of(k.state));
    m.set_idle_seconds(k.idle);
    m.set_direction(direction_of(k.direction));
    m.set_service(publisher_.name_of(k.service));
    const bool reply = k.direction == path::Direction::kReply;
    if (k.real != path::kNone<path::RealIndex>)
      fill(*m.mutable_real(), k.real, reply ? source_port(p) : destination_port(p));
    m.set_mode(mode_of(k.mode));
    m.set_follows(p.decided || p.direction == path::Direction::kNext);
    m.set_outdated(k.outdated);
  }

  void tell_hand(unsigned worker, std::optional<unsigned> handed_to) {
    if (!decided_in(Stage::kHand)) return;
    const Packet& p = *trace_.seen(Stage::kHand);
    auto& m = *out_.add_stages()->mutable_hand();
    if (p.service != path::kNone<path::ServiceIndex>) m.set_service(publisher_.name_of(p.service));
    m.set_owner(p.fate == Fate::kHandedOver ? handed_to.value_or(worker) : worker);
  }

  void tell_balance() {
    if (!decided_in(Stage::kBalance) || !passed(Stage::kBalance)) return;
    const Packet& p = *trace_.seen(Stage::kBalance);
    auto& m = *out_.add_stages()->mutable_balance();
    m.set_mode(mode_of(p.mode));
    fill(*m.mutable_real(), p.real, destination_port(p));
    const bool kept = before(Stage::kBalance)->real != path::kNone<path::RealIndex>;
    if (trace_.pick) {
      m.set_table_size(trace_.service->table_size);
      m.set_slot(trace_.pick->slot);
      fill(*m.mutable_slot_real(), trace_.pick->real, destination_port(p));
      m.set_moved(trace_.pick->moved);
    }
    if (kept)
      m.set_reason(engine::TraceChoice::REASON_KEPT);
    else if (trace_.pick->excepted)
      m.set_reason(engine::TraceChoice::REASON_EXCEPTION);
    else if (trace_.pick->real != p.real)
      m.set_reason(engine::TraceChoice::REASON_AFFINITY);
    else
      m.set_reason(engine::TraceChoice::REASON_MAGLEV);
  }

  void tell_learn() {
    if (!passed(Stage::kLearn) || !before(Stage::kLearn)->learn) return;
    auto& m = *out_.add_stages()->mutable_learn();
    m.set_remembered(bool{trace_.seen(Stage::kLearn)->slot});
    m.set_replaces(bool{before(Stage::kLearn)->slot});
  }

  void tell_route() {
    if (!passed(Stage::kRoute)) return;
    auto& m = *out_.add_stages()->mutable_route();
    const path::NextHop& hop = trace_.way->hop;
    m.set_port(ports_[hop.port].name);
    m.set_mac(hop.destination.bytes.data(), hop.destination.bytes.size());
    m.set_vlan(hop.vlan.host());
    m.set_mtu(hop.mtu);
    m.set_number(trace_.way->number);
    m.set_count(trace_.way->count);
  }

  // Too large, and its sender is told: the packet has become an answer.
  bool told() const { return passed(Stage::kFit) && trace_.seen(Stage::kFit)->answer && !before(Stage::kFit)->answer; }

  void tell_fit() {
    if (!passed(Stage::kFit)) return;
    auto& m = *out_.add_stages()->mutable_fit();
    m.set_size(p_.l3_length);
    m.set_pieces(trace_.burst.count);
    m.set_told(told());
  }

  void tell_apply() {
    if (!passed(Stage::kApply) || p_.answer) return;
    auto& m = *out_.add_stages()->mutable_apply();
    m.set_mode(mode_of(p_.mode));
    if (trace_.translated) control::fill(*m.mutable_translated(), *trace_.translated);
  }

  void drop(Stage stage, net::DropReason why) {
    const net::DropReasonText& text = net::kDropReasonTexts[static_cast<size_t>(why)];
    auto& m = *out_.mutable_end()->mutable_dropped();
    m.set_stage(kStageNames[static_cast<size_t>(stage)]);
    m.set_reason(std::string(text.name));
    m.set_text(std::string(text.text));
  }

  void tell_end(std::optional<unsigned> handed_to) {
    engine::TraceEnd& end = *out_.mutable_end();
    end.set_waits(p_.fate == Fate::kWaits);
    if (handed_to) end.set_handed_to(*handed_to);
    if (p_.fate == Fate::kDrop) {
      const auto first =
          std::ranges::find_if(trace_.after, [](const auto& seen) { return seen && seen->fate == Fate::kDrop; });
      drop(static_cast<Stage>(first - trace_.after.begin()), p_.reason);
    } else if (told()) {
      drop(Stage::kFit, net::DropReason::MTU_EXCEEDED);
    }
    for (unsigned i = 0; i < trace_.burst.count; ++i) {
      const Packet& p = trace_.burst.packets[i];
      if (p.fate != Fate::kForward && p.fate != Fate::kFinished) continue;
      auto& m = *end.add_sent();
      m.set_port(ports_[p.out_port].name);
      m.set_frame(rte_pktmbuf_mtod(p.mbuf, const char*), rte_pktmbuf_data_len(p.mbuf));
    }
  }

  const path::Trace& trace_;
  const Publisher& publisher_;
  std::span<const EnginePort> ports_;
  const Packet& p_;
  engine::TracePass out_;
};

}  // namespace

engine::TracePass facts_of(const path::Trace& trace, unsigned worker, std::optional<unsigned> handed_to,
                           const Publisher& publisher, std::span<const EnginePort> ports) {
  return Facts(trace, publisher, ports).tell(worker, handed_to);
}

}  // namespace guideway::control
