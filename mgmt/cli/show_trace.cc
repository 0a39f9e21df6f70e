// A trace in words: what each stage has decided, and the bytes that would leave.
#include "mgmt/cli/frame_text.h"
#include "mgmt/cli/show.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

std::string line(const std::string& what, const std::string& text) {
  return "  " + what + std::string(what.size() < 10 ? 10 - what.size() : 1, ' ') + text + "\n";
}

std::string text_of(const v1::TraceService& s) {
  if (s.name().empty()) return "a Service that is gone";
  return "Service " + s.namespace_() + "/" + s.name() + (s.port_name().empty() ? "" : " (" + s.port_name() + ")");
}

std::string text_of(const v1::TraceBackend& b) { return endpoint(b.address(), b.port()); }

std::string text_of(const v1::TraceFlow& f) {
  const bool ports = f.source_port() != 0 || f.destination_port() != 0;
  return protocol_text(f.ip_protocol()) + " " + (ports ? endpoint(f.source(), f.source_port()) : f.source()) + " -> " +
         (ports ? endpoint(f.destination(), f.destination_port()) : f.destination());
}

// As a part of a sentence.
std::string state(v1::ConnectionRow::State s) {
  if (s == v1::ConnectionRow::STATE_UDP) return "without states";
  return s == v1::ConnectionRow::STATE_SETUP ? "in setup" : word(s);
}

std::string show(const v1::TraceParsed& p) {
  switch (p.kind()) {
    case v1::TraceParsed::KIND_FIRST_FRAGMENT:
      return "the first fragment of a datagram: " + text_of(p.flow());
    case v1::TraceParsed::KIND_LATER_FRAGMENT:
      return "a later fragment, which has no ports: " + text_of(p.flow());
    case v1::TraceParsed::KIND_ICMP_ERROR:
      return "an ICMP error about a packet of " + text_of(p.flow());
    case v1::TraceParsed::KIND_ICMP_ECHO:
      return "a ping: " + text_of(p.flow());
    case v1::TraceParsed::KIND_NEIGHBOR:
      return "a question for a neighbour";
    default:
      return text_of(p.flow());
  }
}

std::string show(const v1::TraceMatch& m) {
  if (m.has_owner()) return "its datagram's fragments are worker " + number(m.owner()) + "'s to follow";
  if (m.waits()) return "its datagram's ports aren't known yet: the first fragment tells them";
  return "of the flow " + text_of(m.flow()) + ", by the first fragment's ports";
}

std::string show(const v1::TraceAnswer& a) {
  return a.kind() == v1::TraceAnswer::KIND_NEIGHBOR ? "the gateway has the address, and says so"
                                                    : "the gateway answers for its VIP: an echo reply";
}

std::string show(const v1::TraceEntry& e) {
  if (!e.found()) return "no entry: this worker remembers no such connection";
  if (e.direction() == v1::TraceEntry::DIRECTION_NEXT)
    return "entry found, idle " + number(e.idle_seconds()) + " s: another worker has the connection's SNAT port";
  std::string text = "entry found, " + state(e.state()) + ", idle " + number(e.idle_seconds()) +
                     " s: " + text_of(e.service()) + ", backend " + text_of(e.backend()) + ", " + word(e.mode());
  if (e.direction() == v1::TraceEntry::DIRECTION_REPLY) text += ", on the way back to the client";
  if (e.follows()) return text + "; the packet follows it";
  if (e.outdated()) return text + "; the Service has changed since, so it is judged again";
  return text + "; the packet doesn't follow it, but begins anew";
}

std::string show(const v1::TraceOwner& o, uint32_t worker) {
  const std::string what = o.has_service() && !o.service().name().empty()
                               ? "for " + text_of(o.service())
                               : "for no VIP: an SNAT address, or nothing of ours";
  return what + (o.owner() == worker ? "; it may stay with this worker"
                                     : "; its connection is worker " + number(o.owner()) + "'s to keep");
}

std::string origin(v1::TraceChoice::ModeFrom from) {
  switch (from) {
    case v1::TraceChoice::MODE_FROM_ANNOTATION:
      return " (the Service's guideway.io/forwarding-mode)";
    case v1::TraceChoice::MODE_FROM_CILIUM:
      return " (the Service's service.cilium.io/forwarding-mode)";
    case v1::TraceChoice::MODE_FROM_CILIUM_DSR:
      return " (the Service's service.cilium.io/forwarding-mode, and GatewayConfig's dsrMode)";
    case v1::TraceChoice::MODE_FROM_GATEWAY:
      return " (GatewayConfig's forwardingMode: the Service names none)";
    default:
      return " (the Service's mode)";
  }
}

std::string show(const v1::TraceChoice& c) {
  const std::string slot = "Maglev slot " + number(c.slot()) + " of " + number(c.table_size());
  const std::string how = std::string(", by ") + word(c.mode()) + origin(c.mode_from());
  const std::string backend = "backend " + text_of(c.backend());
  switch (c.reason()) {
    case v1::TraceChoice::REASON_EXCEPTION:
      return backend + how + ": the connection is older than the Maglev table, whose slot " + number(c.slot()) +
             " has " + text_of(c.slot_backend());
    case v1::TraceChoice::REASON_AFFINITY:
      return backend + how + ": its client's, by session affinity; " + slot + " has " + text_of(c.slot_backend());
    case v1::TraceChoice::REASON_KEPT:
      return backend + how + ": the entry's, which it keeps";
    default:
      return slot + ": " + backend + how;
  }
}

std::string why_not(v1::TraceMemory::Reason r) {
  switch (r) {
    case v1::TraceMemory::REASON_ENDS:
      return ": the packet ends its connection";
    case v1::TraceMemory::REASON_FLOOD_GUARD:
      return ": there are more new flows a second than floodGuard.newFlowsPerSecond, and Maglev is asked for each "
             "packet";
    case v1::TraceMemory::REASON_TABLE_FULL:
      return ": the connection table is full, and Maglev is asked for each packet";
    case v1::TraceMemory::REASON_LATER_FRAGMENT:
      return ": a later fragment begins no connection";
    default:
      return "";
  }
}

std::string show(const v1::TraceMemory& m) {
  if (!m.remembered()) return "would not be remembered" + why_not(m.reason());
  if (m.stands()) return "its entry stays, and is up to date then";
  return m.replaces() ? "would be remembered in the place of the entry that there is" : "would be remembered";
}

std::string show(const v1::TraceHandOn& h) {
  return "this worker has no SNAT port left towards the backend: worker " + number(h.next()) + " is tried";
}

std::string show(const v1::TraceNextHop& h) {
  std::string text = "by " + h.port() + ", next hop " + h.mac();
  if (h.vlan() != 0) text += " in VLAN " + number(h.vlan());
  if (h.count() > 1) text += " (" + number(h.number() + 1) + " of " + number(h.count()) + ", by the flow hash)";
  return text + ", MTU " + number(h.mtu());
}

std::string show(const v1::TraceSize& s) {
  if (s.told()) return "too large for the way on: its sender gets an ICMP error of " + number(s.size()) + " bytes";
  if (s.pieces() > 1) return "too large for the way on: cut into " + number(s.pieces()) + " pieces";
  return number(s.size()) + " bytes of IP fit";
}

std::string show(const v1::TraceChange& c) {
  if (c.mode() == v1::FORWARDING_MODE_NAT) {
    return c.has_translated() ? "translated to " + text_of(c.translated()) : "translated";
  }
  return c.mode() == v1::FORWARDING_MODE_DSR_L2 ? "the packet stays as it is"
                                                : "encapsulated; the packet stays as it is";
}

std::string show(const v1::TraceStage& s, uint32_t worker) {
  switch (s.facts_case()) {
    case v1::TraceStage::kParse:
      return line("parse", show(s.parse()));
    case v1::TraceStage::kMatch:
      return line("match", show(s.match()));
    case v1::TraceStage::kAnswer:
      return line("answer", show(s.answer()));
    case v1::TraceStage::kTrack:
      return line("track", show(s.track()));
    case v1::TraceStage::kHand:
      return line("hand", show(s.hand(), worker));
    case v1::TraceStage::kBalance:
      return line("balance", show(s.balance()));
    case v1::TraceStage::kLearn:
      return line("learn", show(s.learn()));
    case v1::TraceStage::kHandOn:
      return line("hand_on", show(s.hand_on()));
    case v1::TraceStage::kRoute:
      return line("route", show(s.route()));
    case v1::TraceStage::kFit:
      return line("fit", show(s.fit()));
    case v1::TraceStage::kApply:
      return line("apply", show(s.apply()));
    case v1::TraceStage::FACTS_NOT_SET:
      break;
  }
  return "";
}

std::string steering(const v1::TraceResponse& r) {
  switch (r.steering()) {
    case v1::TraceResponse::STEERING_ENGINE:
      return line("xdp", "steers it to the engine");
    case v1::TraceResponse::STEERING_HOST:
      return line("xdp", "leaves it to the host: it is for no VIP, SNAT address or port of the engine");
    case v1::TraceResponse::STEERING_DROPPED:
      return line("xdp", std::string("drops it, before any worker sees it") +
                             (r.dropped().reason() == "source_filtered"
                                  ? "; guideway filters prefixes --address says which SourceFilter has it do so"
                                  : ""));
    case v1::TraceResponse::STEERING_FAILED:
      return line("xdp", "couldn't be asked: " + r.steering_trouble() + "; taken as steered to the engine");
    default:
      return "";
  }
}

std::string outcome(const v1::TraceResponse& r) {
  switch (r.outcome()) {
    case v1::TraceResponse::OUTCOME_FORWARDED:
      return "Forwarded";
    case v1::TraceResponse::OUTCOME_ANSWERED:
      return "Answered by the gateway itself";
    case v1::TraceResponse::OUTCOME_DROPPED:
      return "Dropped by " + r.dropped().stage() + ": " + r.dropped().reason() + " (" + r.dropped().text() + ")";
    case v1::TraceResponse::OUTCOME_WAITS:
      return "Waits for the first fragment of its datagram; if that doesn't come, it is dropped: fragment_timeout";
    case v1::TraceResponse::OUTCOME_HOST:
      return "Left to the host: the engine doesn't see it";
    default:
      return "Unknown";
  }
}

}  // namespace

std::string show(const v1::TraceResponse& r, const Style&) {
  std::string out = "Packet in by " + r.port() + ": " + packet_text(r.packet()) + "\n" + steering(r);
  for (const v1::TracePass& p : r.passes()) {
    out += "Worker " + number(p.worker()) + "\n";
    for (const v1::TraceStage& s : p.stages()) out += show(s, p.worker());
    if (p.has_handed_to()) out += line("", "handed over to worker " + number(p.handed_to()));
  }
  out += outcome(r) + "\n";
  for (const v1::TraceFrame& f : r.sent())
    out += (r.outcome() == v1::TraceResponse::OUTCOME_DROPPED ? "Its sender is told, by " : "Leaves by ") + f.port() +
           ", " + number(f.frame().size()) + " bytes:\n" + frame_text(f.frame(), "  ");
  return out;
}

}  // namespace guideway::mgmt
