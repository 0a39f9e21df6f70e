// Requests for traces as the API takes them, and the engine's answers as it gives them on.
#include "mgmt/api/trace.h"

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <vector>

#include "net/address.h"
#include "net/headers.h"

namespace guideway::mgmt {
namespace {

v1::TraceRequest good() {
  v1::TraceRequest q;
  q.set_protocol(v1::PROTOCOL_TCP);
  q.set_source("203.0.113.7");
  q.set_source_port(40'000);
  q.set_destination("192.0.2.10");
  q.set_destination_port(80);
  return q;
}

TEST_CASE("a request for a trace means what it says", "[trace]") {
  auto q = good();
  CHECK(to_engine(q)->tcp_flags() == net::kTcpSyn);
  for (const auto f : {v1::TraceRequest::TCP_FLAG_FIN, v1::TraceRequest::TCP_FLAG_RST, v1::TraceRequest::TCP_FLAG_PSH,
                       v1::TraceRequest::TCP_FLAG_ACK})
    q.add_tcp_flags(f);
  CHECK(to_engine(q)->tcp_flags() == (net::kTcpFin | net::kTcpRst | net::kTcpPsh | net::kTcpAck));
  q = good();
  q.set_protocol(v1::PROTOCOL_UDP);
  CHECK(to_engine(q)->tcp_flags() == 0);
  CHECK(to_engine(q)->sctp_chunk() == 0);
  q.set_protocol(v1::PROTOCOL_SCTP);
  CHECK(to_engine(q)->sctp_chunk() == net::kSctpInit);
  q.set_sctp_chunk(v1::TraceRequest::SCTP_CHUNK_DATA);
  CHECK(to_engine(q)->sctp_chunk() == net::kSctpData);
  q.clear_protocol();
  q.clear_sctp_chunk();
  q.set_echo(true);
  CHECK(to_engine(q)->protocol() == 1);
  q.set_source("2001:db8::7");
  q.set_destination("2001:db8::10");
  CHECK(to_engine(q)->protocol() == 58);
}

TEST_CASE("a request for a trace that means nothing is refused, and the field named", "[trace]") {
  struct Wrong {
    const char* field;
    std::function<void(v1::TraceRequest&)> make;
  };
  for (const Wrong& w : std::vector<Wrong>{
           {"source", [](auto& q) { q.set_source(""); }},
           {"source", [](auto& q) { q.set_source("203.0.113.7/32"); }},
           {"destination", [](auto& q) { q.set_destination(std::string(100'000, '1')); }},
           {"destination", [](auto& q) { q.set_destination("fe80::1%eth0"); }},
           {"icmp_source", [](auto& q) { q.set_icmp_source("router"); }},
           {"protocol", [](auto& q) { q.clear_protocol(); }},
           {"protocol", [](auto& q) { q.set_protocol(static_cast<v1::Protocol>(77)); }},
           {"echo", [](auto& q) { q.set_echo(true); }},
           {"tcp_flags", [](auto& q) { q.add_tcp_flags(v1::TraceRequest::TCP_FLAG_UNSPECIFIED); }},
           {"tcp_flags", [](auto& q) { q.add_tcp_flags(static_cast<v1::TraceRequest::TcpFlag>(33)); }},
           {"sctp_chunk", [](auto& q) { q.set_sctp_chunk(static_cast<v1::TraceRequest::SctpChunk>(9)); }},
           {"sctp_chunk", [](auto& q) { q.set_sctp_chunk(v1::TraceRequest::SCTP_CHUNK_DATA); }},
           {"fragment", [](auto& q) { q.set_fragment(static_cast<v1::TraceRequest::Fragment>(9)); }},
           {"icmp_error", [](auto& q) { q.set_icmp_error(static_cast<v1::TraceRequest::IcmpError>(9)); }},
       }) {
    auto q = good();
    w.make(q);
    const auto r = to_engine(q);
    INFO(w.field);
    REQUIRE_FALSE(r.ok());
    CHECK(absl::IsInvalidArgument(r.status()));
    CHECK(std::string(r.status().message()).starts_with(std::string(w.field) + ": "));
  }
  v1::TraceRequest all;
  all.set_icmp_source("router");
  all.add_tcp_flags(v1::TraceRequest::TCP_FLAG_UNSPECIFIED);
  all.set_sctp_chunk(static_cast<v1::TraceRequest::SctpChunk>(9));
  const std::string told(to_engine(all).status().message());
  for (const char* field : {"source: ", "\ndestination: ", "\nicmp_source: ", "\nprotocol: ", "\ntcp_flags: ",
                            "\nsctp_chunk: must be unset or one of SCTP_CHUNK_INIT, "})
    CHECK(told.find(field) != std::string::npos);
}

TEST_CASE("a trace's end is the last worker's", "[trace]") {
  engine::Trace t;
  v1::TraceResponse r;
  t.set_steering(engine::TRACE_STEERING_HOST);
  fill(t, {}, r);
  CHECK(r.outcome() == v1::TraceResponse::OUTCOME_HOST);
  CHECK(r.steering() == v1::TraceResponse::STEERING_HOST);

  t.set_steering(engine::TRACE_STEERING_ENGINE);
  t.add_passes()->mutable_end()->set_handed_to(2);
  engine::TracePass& last = *t.add_passes();
  last.set_worker(2);
  last.add_stages()->mutable_parse()->set_kind(engine::TraceParsed::KIND_ICMP_ECHO);
  last.mutable_end()->add_sent()->set_port("eth1");
  r.Clear();
  fill(t, {}, r);
  CHECK(r.outcome() == v1::TraceResponse::OUTCOME_ANSWERED);
  CHECK(r.passes(0).handed_to() == 2);
  CHECK_FALSE(r.passes(1).has_handed_to());
  CHECK(r.sent(0).port() == "eth1");

  last.mutable_end()->mutable_dropped()->set_reason("mtu_exceeded");
  r.Clear();
  fill(t, {}, r);
  CHECK(r.outcome() == v1::TraceResponse::OUTCOME_DROPPED);
  CHECK(r.dropped().reason() == "mtu_exceeded");
}

TEST_CASE("a packet that XDP drops comes to no worker", "[trace]") {
  engine::Trace t;
  v1::TraceResponse r;
  t.set_steering(engine::TRACE_STEERING_DROPPED);
  t.mutable_dropped()->set_stage("xdp");
  t.mutable_dropped()->set_reason("vip_rate");
  t.mutable_dropped()->set_text("more packets a second");
  fill(t, {}, r);
  CHECK(r.steering() == v1::TraceResponse::STEERING_DROPPED);
  CHECK(r.outcome() == v1::TraceResponse::OUTCOME_DROPPED);
  CHECK(r.dropped().stage() == "xdp");
  CHECK(r.dropped().reason() == "vip_rate");
  CHECK(r.dropped().text() == "more packets a second");
  CHECK(r.passes().empty());
}

TEST_CASE("a trace tells what gave the Service its mode", "[trace]") {
  struct Told {
    ModeWish wish;
    v1::TraceChoice::ModeFrom from;
  };
  for (const Told& c : {Told{ModeWish::kNat, v1::TraceChoice::MODE_FROM_ANNOTATION},
                        {ModeWish::kDsrGue, v1::TraceChoice::MODE_FROM_UNSPECIFIED},  // it has changed meanwhile
                        {ModeWish::kCiliumSnat, v1::TraceChoice::MODE_FROM_CILIUM},
                        {ModeWish::kDefault, v1::TraceChoice::MODE_FROM_GATEWAY}}) {
    Service service;
    service.mode = c.wish;
    auto object = std::make_shared<Object>();
    object->body = service;
    auto entry = std::make_shared<Entry>();
    entry->name = "demo/web:http@192.0.2.10:80/TCP";
    entry->service = object;
    entry->mode = c.wish == ModeWish::kDsrGue ? ForwardingMode::kDsrGue : ForwardingMode::kNat;
    std::vector<Snapshot::Vip> vips(1);
    vips[0].entry = entry;
    engine::Trace t;
    auto& pass = *t.add_passes();
    pass.add_stages()->mutable_hand()->set_service(entry->name);
    pass.add_stages()->mutable_balance()->set_mode(engine::FORWARDING_MODE_NAT);
    v1::TraceResponse r;
    fill(t, vips, r);
    CHECK(r.passes(0).stages(1).balance().mode_from() == c.from);
    // Of one that the daemon doesn't know it can't be told.
    r.Clear();
    fill(t, {}, r);
    CHECK(r.passes(0).stages(1).balance().mode_from() == v1::TraceChoice::MODE_FROM_UNSPECIFIED);
  }
}

}  // namespace
}  // namespace guideway::mgmt
