#include "mgmt/api/trace.h"

#include <algorithm>

#include "mgmt/api/enums.h"
#include "mgmt/api/fields.h"
#include "mgmt/bad_request.h"
#include "mgmt/compile/build_entry.h"
#include "net/address.h"
#include "net/headers.h"

namespace guideway::mgmt {
namespace {

void read_protocol(const v1::TraceRequest& q, engine::TraceRequest& out, Violations& wrong) {
  const bool none = q.protocol() == v1::PROTOCOL_UNSPECIFIED;
  if (q.echo() && !none) wrong.push_back({"echo", "an echo request is of no other protocol: leave protocol unset"});
  if (!q.echo() && ip_protocol(q.protocol()) == 0)
    wrong.push_back({"protocol", "must be set: TCP, UDP or SCTP, or echo instead"});
  const bool v4 = out.source().size() == 4;
  out.set_protocol(q.echo() ? static_cast<uint32_t>(v4 ? net::Protocol::kIcmp : net::Protocol::kIcmpv6)
                            : ip_protocol(q.protocol()));
}

void read_flags(const v1::TraceRequest& q, engine::TraceRequest& out, Violations& wrong) {
  uint32_t flags = 0;
  for (const int f : q.tcp_flags()) {
    if (f == v1::TraceRequest::TCP_FLAG_UNSPECIFIED || !v1::TraceRequest::TcpFlag_IsValid(f)) {
      wrong.push_back({"tcp_flags", "must be of " + choices<v1::TraceRequest::TcpFlag>()});
      break;  // a request may hold millions
    }
    flags |= 1U << (f - 1);  // in the order of their bits
  }
  if (flags == 0 && q.protocol() == v1::PROTOCOL_TCP) flags = net::kTcpSyn;
  out.set_tcp_flags(flags);
}

void read_chunk(const v1::TraceRequest& q, engine::TraceRequest& out, Violations& wrong) {
  switch (q.sctp_chunk()) {
    case v1::TraceRequest::SCTP_CHUNK_UNSPECIFIED:
      if (q.protocol() == v1::PROTOCOL_SCTP) out.set_sctp_chunk(net::kSctpInit);
      return;
    case v1::TraceRequest::SCTP_CHUNK_INIT:
      return out.set_sctp_chunk(net::kSctpInit);
    case v1::TraceRequest::SCTP_CHUNK_DATA:
      // Its type is zero, as if there were none.
      if (q.protocol() != v1::PROTOCOL_SCTP) wrong.push_back({"sctp_chunk", "only SCTP has chunks"});
      return out.set_sctp_chunk(net::kSctpData);
    case v1::TraceRequest::SCTP_CHUNK_SHUTDOWN:
      return out.set_sctp_chunk(net::kSctpShutdown);
    case v1::TraceRequest::SCTP_CHUNK_ABORT:
      return out.set_sctp_chunk(net::kSctpAbort);
    default:
      wrong.push_back({"sctp_chunk", "must be unset or one of " + choices<v1::TraceRequest::SctpChunk>()});
  }
}

void fill(const engine::TraceFlow& f, v1::TraceFlow& out) {
  out.set_ip_protocol(f.protocol());
  out.set_source(text_of(f.source()));
  out.set_source_port(f.source_port());
  out.set_destination(text_of(f.destination()));
  out.set_destination_port(f.destination_port());
}

void fill(const std::string& entry, v1::TraceService& out) {
  auto [ns, name, port_name] = parse_entry_name(entry);
  out.set_namespace_(std::move(ns));
  out.set_name(std::move(name));
  out.set_port_name(std::move(port_name));
}

void fill(const engine::TraceReal& r, v1::TraceBackend& out) {
  out.set_address(text_of(r.address()));
  out.set_port(r.port());
}

// The API's enums have the contract's numbers.
v1::ForwardingMode mode(engine::ForwardingMode m) { return static_cast<v1::ForwardingMode>(m); }

void fill(const engine::TraceEntry& e, v1::TraceEntry& out) {
  out.set_found(e.found());
  if (!e.found()) return;
  out.set_state(static_cast<v1::ConnectionRow::State>(e.state()));
  out.set_idle_seconds(e.idle_seconds());
  out.set_direction(static_cast<v1::TraceEntry::Direction>(e.direction()));
  fill(e.service(), *out.mutable_service());
  if (e.has_real()) fill(e.real(), *out.mutable_backend());
  out.set_mode(mode(e.mode()));
  out.set_follows(e.follows());
  out.set_outdated(e.outdated());
}

void fill(const engine::TraceChoice& c, v1::TraceChoice& out) {
  out.set_table_size(c.table_size());
  out.set_slot(c.slot());
  if (c.has_slot_real()) fill(c.slot_real(), *out.mutable_slot_backend());
  fill(c.real(), *out.mutable_backend());
  out.set_reason(static_cast<v1::TraceChoice::Reason>(c.reason()));
  out.set_mode(mode(c.mode()));
  out.set_moved(c.moved());
}

void fill(const engine::TraceMatch& m, v1::TraceMatch& out) {
  if (m.has_owner()) out.set_owner(m.owner());
  if (m.has_flow()) fill(m.flow(), *out.mutable_flow());
  out.set_waits(m.waits());
}

void fill(const engine::TraceMemory& m, v1::TraceMemory& out) {
  out.set_remembered(m.remembered());
  out.set_replaces(m.replaces());
  out.set_reason(static_cast<v1::TraceMemory::Reason>(m.reason()));
  out.set_stands(m.stands());
}

void fill(const engine::TraceNextHop& h, v1::TraceNextHop& out) {
  net::MacAddress mac;
  if (h.mac().size() == mac.bytes.size()) std::copy(h.mac().begin(), h.mac().end(), mac.bytes.begin());
  out.set_port(h.port());
  out.set_mac(net::to_string(mac));
  out.set_vlan(h.vlan());
  out.set_mtu(h.mtu());
  out.set_number(h.number());
  out.set_count(h.count());
}

void fill(const engine::TraceStage& s, v1::TraceStage& out) {
  switch (s.facts_case()) {
    case engine::TraceStage::kParse:
      out.mutable_parse()->set_kind(static_cast<v1::TraceParsed::Kind>(s.parse().kind()));
      return fill(s.parse().flow(), *out.mutable_parse()->mutable_flow());
    case engine::TraceStage::kMatch:
      return fill(s.match(), *out.mutable_match());
    case engine::TraceStage::kAnswer:
      return out.mutable_answer()->set_kind(static_cast<v1::TraceAnswer::Kind>(s.answer().kind()));
    case engine::TraceStage::kTrack:
      return fill(s.track(), *out.mutable_track());
    case engine::TraceStage::kHand:
      out.mutable_hand()->set_owner(s.hand().owner());
      return fill(s.hand().service(), *out.mutable_hand()->mutable_service());
    case engine::TraceStage::kBalance:
      return fill(s.balance(), *out.mutable_balance());
    case engine::TraceStage::kLearn:
      return fill(s.learn(), *out.mutable_learn());
    case engine::TraceStage::kHandOn:
      out.mutable_hand_on()->set_reason(static_cast<v1::TraceHandOn::Reason>(s.hand_on().reason()));
      return out.mutable_hand_on()->set_next(s.hand_on().next());
    case engine::TraceStage::kRoute:
      return fill(s.route(), *out.mutable_route());
    case engine::TraceStage::kFit:
      out.mutable_fit()->set_size(s.fit().size());
      out.mutable_fit()->set_pieces(s.fit().pieces());
      return out.mutable_fit()->set_told(s.fit().told());
    case engine::TraceStage::kApply:
      out.mutable_apply()->set_mode(mode(s.apply().mode()));
      if (s.apply().has_translated()) fill(s.apply().translated(), *out.mutable_apply()->mutable_translated());
      return;
    case engine::TraceStage::FACTS_NOT_SET:
      return;
  }
}

// What gave the service of that name the mode, if it still has it.
v1::TraceChoice::ModeFrom mode_from(const std::string& service, v1::ForwardingMode m,
                                    const std::vector<Snapshot::Vip>& vips) {
  const auto vip =
      std::ranges::find(vips, service, [](const Snapshot::Vip& v) -> const std::string& { return v.entry->name; });
  if (vip == vips.end() || to_api(vip->entry->mode) != m) return v1::TraceChoice::MODE_FROM_UNSPECIFIED;
  switch (std::get<Service>(vip->entry->service->body).mode) {
    case ModeWish::kDefault:
      return v1::TraceChoice::MODE_FROM_GATEWAY;
    case ModeWish::kDefaultDsr:
      return v1::TraceChoice::MODE_FROM_CILIUM_DSR;
    case ModeWish::kCiliumSnat:
      return v1::TraceChoice::MODE_FROM_CILIUM;
    default:
      return v1::TraceChoice::MODE_FROM_ANNOTATION;
  }
}

void fill_mode_origins(const std::vector<Snapshot::Vip>& vips, const engine::TracePass& told, v1::TracePass& out) {
  std::string service;
  for (const engine::TraceStage& s : told.stages())
    if (s.has_hand()) service = s.hand().service();
  for (v1::TraceStage& s : *out.mutable_stages())
    if (s.has_balance()) s.mutable_balance()->set_mode_from(mode_from(service, s.balance().mode(), vips));
}

void fill(const engine::TraceEnd::Drop& d, v1::TraceDrop& out) {
  out.set_stage(d.stage());
  out.set_reason(d.reason());
  out.set_text(d.text());
}

// An echo that goes back is the only answer in which nothing is dropped.
v1::TraceResponse::Outcome outcome(const engine::Trace& t) {
  if (t.has_dropped()) return v1::TraceResponse::OUTCOME_DROPPED;
  if (t.passes().empty()) return v1::TraceResponse::OUTCOME_HOST;
  const engine::TracePass& last = t.passes(t.passes_size() - 1);
  if (last.end().has_dropped()) return v1::TraceResponse::OUTCOME_DROPPED;
  if (last.end().waits()) return v1::TraceResponse::OUTCOME_WAITS;
  const bool echo = !last.stages().empty() && last.stages(0).parse().kind() == engine::TraceParsed::KIND_ICMP_ECHO;
  return echo ? v1::TraceResponse::OUTCOME_ANSWERED : v1::TraceResponse::OUTCOME_FORWARDED;
}

}  // namespace

absl::StatusOr<engine::TraceRequest> to_engine(const v1::TraceRequest& q) {
  engine::TraceRequest out;
  Violations wrong;
  out.set_source(net::bytes_of(read_address(q.source(), "source", wrong)));
  out.set_destination(net::bytes_of(read_address(q.destination(), "destination", wrong)));
  if (!q.icmp_source().empty()) out.set_icmp_source(net::bytes_of(read_address(q.icmp_source(), "icmp_source", wrong)));
  read_protocol(q, out, wrong);
  read_flags(q, out, wrong);
  read_chunk(q, out, wrong);
  if (!v1::TraceRequest::Fragment_IsValid(q.fragment()))
    wrong.push_back({"fragment", "must be unset or one of " + choices<v1::TraceRequest::Fragment>()});
  if (!v1::TraceRequest::IcmpError_IsValid(q.icmp_error()))
    wrong.push_back({"icmp_error", "must be unset or one of " + choices<v1::TraceRequest::IcmpError>()});
  if (!wrong.empty()) return bad_request(wrong);
  out.set_port(q.port());
  out.set_queue(q.queue());
  out.set_source_port(q.source_port());
  out.set_destination_port(q.destination_port());
  out.set_size(q.size());
  out.set_ttl(q.ttl());
  out.set_may_fragment(q.may_fragment());
  out.set_fragment(static_cast<engine::TraceFragment>(q.fragment()));
  out.set_fragment_id(q.fragment_id());
  out.set_icmp_error(static_cast<engine::IcmpError>(q.icmp_error()));
  return out;
}

void fill(const engine::Trace& trace, const std::vector<Snapshot::Vip>& vips, v1::TraceResponse& out) {
  out.set_port(trace.port());
  out.set_packet(trace.packet());
  out.set_steering(static_cast<v1::TraceResponse::Steering>(trace.steering()));
  out.set_steering_trouble(trace.steering_trouble());
  for (const engine::TracePass& p : trace.passes()) {
    v1::TracePass& pass = *out.add_passes();
    pass.set_worker(p.worker());
    for (const engine::TraceStage& s : p.stages()) fill(s, *pass.add_stages());
    fill_mode_origins(vips, p, pass);
    if (p.end().has_handed_to()) pass.set_handed_to(p.end().handed_to());
  }
  out.set_outcome(outcome(trace));
  if (trace.has_dropped()) fill(trace.dropped(), *out.mutable_dropped());
  if (trace.passes().empty()) return;
  const engine::TraceEnd& end = trace.passes(trace.passes_size() - 1).end();
  if (end.has_dropped()) fill(end.dropped(), *out.mutable_dropped());
  for (const engine::TraceEnd::Sent& s : end.sent()) {
    v1::TraceFrame& f = *out.add_sent();
    f.set_port(s.port());
    f.set_frame(s.frame());
  }
}

}  // namespace guideway::mgmt
