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

engine::TraceChoice::Reason reason_of(path::Why w) {
  switch (w) {
    case path::Why::kException:
      return engine::TraceChoice::REASON_EXCEPTION;
    case path::Why::kAffinity:
      return engine::TraceChoice::REASON_AFFINITY;
    case path::Why::kKept:
      return engine::TraceChoice::REASON_KEPT;
    case path::Why::kMaglev:
      break;
  }
  return engine::TraceChoice::REASON_MAGLEV;
}

engine::TraceMemory memory_of(path::Trace::Memory memory) {
  using Memory = path::Trace::Memory;
  engine::TraceMemory m;
  m.set_remembered(true);
  switch (memory) {
    case Memory::kNew:
      return m;
    case Memory::kReplaced:
      m.set_replaces(true);
      return m;
    case Memory::kStands:
      m.set_stands(true);
      return m;
    case Memory::kEnds:
      m.set_reason(engine::TraceMemory::REASON_ENDS);
      break;
    case Memory::kFloodGuard:
      m.set_reason(engine::TraceMemory::REASON_FLOOD_GUARD);
      break;
    case Memory::kFull:
      m.set_reason(engine::TraceMemory::REASON_TABLE_FULL);
      break;
    case Memory::kLaterFragment:
      m.set_reason(engine::TraceMemory::REASON_LATER_FRAGMENT);
      break;
  }
  m.set_remembered(false);
  return m;
}

net::FlowKey6 flow_of(const Packet& p) { return p.family == path::Family::kIpv4 ? net::widen(p.key4) : p.key6; }

void fill(engine::TraceFlow& out, const net::FlowKey6& key) {
  out.set_protocol(key.protocol);
  out.set_source(net::bytes_of(key.source));
  out.set_source_port(key.source_port.host());
  out.set_destination(net::bytes_of(key.destination));
  out.set_destination_port(key.destination_port.host());
}

// An echo's ports are the first bytes of its header, and a fragment's the id of its datagram until its ports are told.
void fill(engine::TraceFlow& out, const Packet& p) {
  fill(out, flow_of(p));
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
    tell_match(handed_to);
    tell_answer();
    tell_track();
    tell_hand(worker, handed_to);
    tell_balance();
    tell_learn();
    tell_hand_on(handed_to);
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

  void tell_match(std::optional<unsigned> handed_to) {
    if (!reached(Stage::kMatch) || !path::is_fragment(before(Stage::kMatch)->kind)) return;
    const Packet& p = *trace_.seen(Stage::kMatch);
    if (p.fate == Fate::kDrop) return;
    auto& m = *out_.add_stages()->mutable_match();
    if (p.fate == Fate::kHandedOver && handed_to) m.set_owner(*handed_to);
    m.set_waits(p.fate == Fate::kWaits);
    if (p.live()) control::fill(*m.mutable_flow(), flow_of(p));
  }

  void tell_answer() {
    if (!reached(Stage::kAnswer)) return;
    const Packet& p = *trace_.seen(Stage::kAnswer);
    if (p.fate == Fate::kFinished)
      out_.add_stages()->mutable_answer()->set_kind(engine::TraceAnswer::KIND_NEIGHBOR);
    else if (p.live() && p.answer)
      out_.add_stages()->mutable_answer()->set_kind(engine::TraceAnswer::KIND_ECHO);
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
    m.set_reason(reason_of(trace_.pick->choice.why));
    if (trace_.pick->choice.why == path::Why::kKept) return;
    m.set_table_size(trace_.service->table_size);
    m.set_slot(trace_.pick->choice.slot);
    fill(*m.mutable_slot_real(), trace_.pick->stands, destination_port(p));
    m.set_moved(trace_.pick->moved);
  }

  void tell_learn() {
    if (trace_.memory) *out_.add_stages()->mutable_learn() = memory_of(*trace_.memory);
  }

  // Of what `learn` has dropped it takes up only what found no SNAT port.
  void tell_hand_on(std::optional<unsigned> handed_to) {
    if (!trace_.seen(Stage::kHandOn) || trace_.seen(Stage::kHandOn)->fate != Fate::kHandedOver) return;
    if (trace_.seen(Stage::kLearn)->fate != Fate::kDrop || !handed_to) return;
    auto& m = *out_.add_stages()->mutable_hand_on();
    m.set_reason(engine::TraceHandOn::REASON_NO_SNAT_PORT);
    m.set_next(*handed_to);
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
    *out_.mutable_end()->mutable_dropped() = drop_of(kStageNames[static_cast<size_t>(stage)], why);
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

engine::TraceEnd::Drop drop_of(std::string_view stage, net::DropReason why) {
  const net::DropReasonText& text = net::kDropReasonTexts[static_cast<size_t>(why)];
  engine::TraceEnd::Drop m;
  m.set_stage(std::string(stage));
  m.set_reason(std::string(text.name));
  m.set_text(std::string(text.text));
  return m;
}

engine::TracePass facts_of(const path::Trace& trace, unsigned worker, std::optional<unsigned> handed_to,
                           const Publisher& publisher, std::span<const EnginePort> ports) {
  return Facts(trace, publisher, ports).tell(worker, handed_to);
}

}  // namespace guideway::control
