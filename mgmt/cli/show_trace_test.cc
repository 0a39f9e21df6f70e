// A trace in words, and frames header by header.
#include <catch2/catch.hpp>

#include "mgmt/cli/frame_text.h"
#include "mgmt/cli/show.h"

namespace guideway::mgmt {
namespace {

std::string bytes(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); ++i)
    if (hex[i] != ' ') out += static_cast<char>(std::stoi(std::string(hex.substr(i++, 2)), nullptr, 16));
  return out;
}

const std::string kEthernet = bytes("02 00 00 00 02 0a 02 00 00 00 00 02 08 00");
const std::string kSyn = bytes(
    "45 00 00 28 00 00 40 00 40 06 b2 bd cb 00 71 07 c0 00 02 0a"
    "9c 40 00 50 00 00 00 00 00 00 00 00 50 02 ff ff 00 00 00 00");

TEST_CASE("a frame is told header by header", "[trace]") {
  CHECK(frame_text(kEthernet + kSyn + std::string(3, '\7'), "> ") ==
        "> Ethernet  02:00:00:00:00:02 -> 02:00:00:00:02:0a\n"
        ">   02 00 00 00 02 0a 02 00 00 00 00 02 08 00\n"
        "> IPv4      203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF\n"
        ">   45 00 00 28 00 00 40 00 40 06 b2 bd cb 00 71 07 c0 00 02 0a\n"
        "> TCP       40000 -> 80 SYN\n"
        ">   9c 40 00 50 00 00 00 00 00 00 00 00 50 02 ff ff 00 00 00 00\n"
        "> payload   3 bytes\n"
        ">   07 07 07\n");
  // GUE, IP in IP, VLAN, ICMP errors with what they quote.
  const std::string outer4 = bytes("45 00 00 44 00 00 40 00 40 11 00 00 0a 00 01 01 0a 00 01 0a");
  const std::string gue = bytes("c0 01 17 c0 00 30 00 00");
  CHECK(packet_text(kEthernet + outer4 + gue + kSyn) ==
        "IPv4 10.0.1.1 -> 10.0.1.10, TTL 64, 68 bytes, DF; UDP 49153 -> 6080, 48 bytes; "
        "IPv4 203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF; TCP 40000 -> 80 SYN");
  const std::string outer6 = bytes(
      "60 00 00 00 00 28 04 40 20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01 20 01 0d b8 00 01 00 00 00 00 00 00 00 "
      "00 "
      "00 10");
  CHECK(packet_text(bytes("02 00 00 00 02 0a 02 00 00 00 00 02 81 00 00 07 86 dd") + outer6 + kSyn) ==
        "VLAN 7; IPv6 2001:db8:1::1 -> 2001:db8:1::10, hop limit 64, 80 bytes; "
        "IPv4 203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF; TCP 40000 -> 80 SYN");
  const std::string icmp = bytes("45 00 00 44 00 00 40 00 40 01 00 00 0a 00 01 01 0a 00 01 0a 03 04 00 00 00 00 05 00");
  CHECK(packet_text(kEthernet + icmp + kSyn) ==
        "IPv4 10.0.1.1 -> 10.0.1.10, TTL 64, 68 bytes, DF; ICMP fragmentation needed, code 4; "
        "IPv4 203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF; TCP 40000 -> 80 SYN");
}

TEST_CASE("a frame may end anywhere, or be no frame", "[trace]") {
  const std::string whole = kEthernet + kSyn;
  for (size_t n = 0; n <= whole.size(); ++n) {
    const std::string text = frame_text(whole.substr(0, n), "");
    CHECK(text.empty() == (n == 0));
  }
  for (int seed = 0; seed < 2'000; ++seed) {
    std::string frame = whole;
    for (int i = 0; i < 8; ++i)
      frame[static_cast<size_t>(seed * 31 + i * 7919) % frame.size()] ^= static_cast<char>(seed + i);
    CHECK_FALSE(frame_text(frame, "").empty());
  }
  CHECK(frame_text(kEthernet + std::string(1'000, '\0'), "").find("1000 bytes, of which these are the first\n") !=
        std::string::npos);
}

v1::TraceResponse forwarded() {
  v1::TraceResponse r;
  r.set_port("eth0");
  r.set_packet(kEthernet + kSyn);
  r.set_steering(v1::TraceResponse::STEERING_ENGINE);
  r.set_outcome(v1::TraceResponse::OUTCOME_FORWARDED);
  auto& first = *r.add_passes();
  first.set_worker(0);
  auto& flow = *first.add_stages()->mutable_parse()->mutable_flow();
  flow.set_ip_protocol(6);
  flow.set_source("203.0.113.7");
  flow.set_source_port(40'000);
  flow.set_destination("192.0.2.10");
  flow.set_destination_port(80);
  first.add_stages()->mutable_track();
  auto& owner = *first.add_stages()->mutable_hand();
  owner.set_owner(1);
  owner.mutable_service()->set_namespace_("demo");
  owner.mutable_service()->set_name("web");
  owner.mutable_service()->set_port_name("http");
  first.set_handed_to(1);
  auto& second = *r.add_passes();
  second.set_worker(1);
  auto& choice = *second.add_stages()->mutable_balance();
  choice.set_slot(7);
  choice.set_table_size(251);
  choice.set_reason(v1::TraceChoice::REASON_MAGLEV);
  choice.set_mode(v1::FORWARDING_MODE_NAT);
  choice.set_mode_from(v1::TraceChoice::MODE_FROM_ANNOTATION);
  choice.mutable_backend()->set_address("10.0.1.10");
  choice.mutable_backend()->set_port(8'080);
  second.add_stages()->mutable_learn()->set_remembered(true);
  auto& hop = *second.add_stages()->mutable_route();
  hop.set_port("eth1");
  hop.set_mac("02:00:00:00:02:0a");
  hop.set_count(2);
  hop.set_number(1);
  hop.set_mtu(1'500);
  auto& fit = *second.add_stages()->mutable_fit();
  fit.set_size(40);
  fit.set_pieces(1);
  auto& change = *second.add_stages()->mutable_apply();
  change.set_mode(v1::FORWARDING_MODE_NAT);
  auto& to = *change.mutable_translated();
  to.set_ip_protocol(6);
  to.set_source("10.0.1.200");
  to.set_source_port(20'001);
  to.set_destination("10.0.1.10");
  to.set_destination_port(8'080);
  auto& sent = *r.add_sent();
  sent.set_port("eth1");
  sent.set_frame(kEthernet);
  return r;
}

TEST_CASE("a trace in words", "[trace]") {
  CHECK(show(forwarded(), {}) ==
        "Packet in by eth0: IPv4 203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF; TCP 40000 -> 80 SYN\n"
        "  xdp       steers it to the engine\n"
        "Worker 0\n"
        "  parse     TCP 203.0.113.7:40000 -> 192.0.2.10:80\n"
        "  track     no entry: this worker remembers no such connection\n"
        "  hand      for Service demo/web (http); its connection is worker 1's to keep\n"
        "            handed over to worker 1\n"
        "Worker 1\n"
        "  balance   Maglev slot 7 of 251: backend 10.0.1.10:8080, by nat (the Service's "
        "guideway.io/forwarding-mode)\n"
        "  learn     would be remembered\n"
        "  route     by eth1, next hop 02:00:00:00:02:0a (2 of 2, by the flow hash), MTU 1500\n"
        "  fit       40 bytes of IP fit\n"
        "  apply     translated to TCP 10.0.1.200:20001 -> 10.0.1.10:8080\n"
        "Forwarded\n"
        "Leaves by eth1, 14 bytes:\n"
        "  Ethernet  02:00:00:00:00:02 -> 02:00:00:00:02:0a\n"
        "    02 00 00 00 02 0a 02 00 00 00 00 02 08 00\n");
}

TEST_CASE("every end of a trace has its words", "[trace]") {
  v1::TraceResponse r;
  r.set_outcome(v1::TraceResponse::OUTCOME_HOST);
  r.set_steering(v1::TraceResponse::STEERING_HOST);
  CHECK(show(r, {}).find("leaves it to the host") != std::string::npos);
  CHECK(show(r, {}).find("Left to the host: the engine doesn't see it\n") != std::string::npos);
  r.set_outcome(v1::TraceResponse::OUTCOME_WAITS);
  CHECK(show(r, {}).find("Waits for the first fragment") != std::string::npos);
  r.set_outcome(v1::TraceResponse::OUTCOME_DROPPED);
  r.mutable_dropped()->set_stage("fit");
  r.mutable_dropped()->set_reason("mtu_exceeded");
  r.mutable_dropped()->set_text("too large");
  r.add_sent()->set_port("eth0");
  CHECK(show(r, {}).find("Dropped by fit: mtu_exceeded (too large)\nIts sender is told, by eth0, 0 bytes:\n") !=
        std::string::npos);
}

TEST_CASE("what is known of a connection, in words", "[trace]") {
  v1::TraceResponse r;
  auto& e = *r.add_passes()->add_stages()->mutable_track();
  e.set_found(true);
  e.set_state(v1::ConnectionRow::STATE_ESTABLISHED);
  e.set_idle_seconds(3);
  e.mutable_service()->set_namespace_("demo");
  e.mutable_service()->set_name("web");
  e.mutable_backend()->set_address("2001:db8::1");
  e.mutable_backend()->set_port(80);
  e.set_mode(v1::FORWARDING_MODE_DSR_GUE);
  const std::string known = "entry found, established, idle 3 s: Service demo/web, backend [2001:db8::1]:80, dsr-gue";
  e.set_follows(true);
  CHECK(show(r, {}).find(known + "; the packet follows it\n") != std::string::npos);
  e.set_follows(false);
  CHECK(show(r, {}).find(known + "; the packet doesn't follow it, but begins anew\n") != std::string::npos);
  e.set_outdated(true);
  CHECK(show(r, {}).find("the Service has changed since, so it is judged again\n") != std::string::npos);
  e.set_direction(v1::TraceEntry::DIRECTION_NEXT);
  CHECK(show(r, {}).find("another worker has the connection's SNAT port\n") != std::string::npos);
}

void says(const v1::TraceStage& stage, const std::string& text) {
  v1::TraceResponse r;
  *r.add_passes()->add_stages() = stage;
  INFO(show(r, {}));
  CHECK(show(r, {}).find(text + "\n") != std::string::npos);
}

TEST_CASE("why a connection isn't remembered, in words", "[trace]") {
  v1::TraceStage s;
  auto& m = *s.mutable_learn();
  m.set_reason(v1::TraceMemory::REASON_ENDS);
  says(s, "  learn     would not be remembered: the packet ends its connection");
  m.set_reason(v1::TraceMemory::REASON_FLOOD_GUARD);
  says(s,
       "  learn     would not be remembered: there are more new flows a second than floodGuard.newFlowsPerSecond, and "
       "Maglev is asked for each packet");
  m.set_reason(v1::TraceMemory::REASON_TABLE_FULL);
  says(s, "  learn     would not be remembered: the connection table is full, and Maglev is asked for each packet");
  m.set_reason(v1::TraceMemory::REASON_LATER_FRAGMENT);
  says(s, "  learn     would not be remembered: a later fragment begins no connection");
  m.set_remembered(true);
  m.set_stands(true);
  says(s, "  learn     its entry stays, and is up to date then");
}

TEST_CASE("what gave a Service its mode, in words", "[trace]") {
  v1::TraceStage s;
  auto& c = *s.mutable_balance();
  c.set_reason(v1::TraceChoice::REASON_KEPT);
  c.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
  c.mutable_backend()->set_address("10.0.1.10");
  c.mutable_backend()->set_port(80);
  const auto line = [&](const std::string& origin) {
    says(s, "  balance   backend 10.0.1.10:80, by dsr-ipip (" + origin + "): the entry's, which it keeps");
  };
  c.set_mode_from(v1::TraceChoice::MODE_FROM_CILIUM_DSR);
  line("the Service's service.cilium.io/forwarding-mode, and GatewayConfig's dsrMode");
  c.set_mode_from(v1::TraceChoice::MODE_FROM_CILIUM);
  line("the Service's service.cilium.io/forwarding-mode");
  c.set_mode_from(v1::TraceChoice::MODE_FROM_GATEWAY);
  line("GatewayConfig's forwardingMode: the Service names none");
  c.clear_mode_from();
  line("the Service's mode");
}

TEST_CASE("fragments, answers and packets that go on, in words", "[trace]") {
  v1::TraceStage s;
  s.mutable_match()->set_owner(2);
  says(s, "  match     its datagram's fragments are worker 2's to follow");
  s.mutable_match()->Clear();
  s.mutable_match()->set_waits(true);
  says(s, "  match     its datagram's ports aren't known yet: the first fragment tells them");
  s.mutable_match()->Clear();
  auto& flow = *s.mutable_match()->mutable_flow();
  flow.set_ip_protocol(17);
  flow.set_source("203.0.113.7");
  flow.set_source_port(7);
  flow.set_destination("192.0.2.10");
  flow.set_destination_port(53);
  says(s, "  match     of the flow UDP 203.0.113.7:7 -> 192.0.2.10:53, by the first fragment's ports");
  s.mutable_answer()->set_kind(v1::TraceAnswer::KIND_ECHO);
  says(s, "  answer    the gateway answers for its VIP: an echo reply");
  s.mutable_answer()->set_kind(v1::TraceAnswer::KIND_NEIGHBOR);
  says(s, "  answer    the gateway has the address, and says so");
  s.mutable_hand_on()->set_next(2);
  says(s, "  hand_on   this worker has no SNAT port left towards the backend: worker 2 is tried");
}

TEST_CASE("what XDP says, in words", "[trace]") {
  v1::TraceResponse r;
  r.set_steering(v1::TraceResponse::STEERING_FAILED);
  r.set_steering_trouble("eth0: BPF_PROG_TEST_RUN: Operation not permitted");
  CHECK(show(r, {}).find("xdp       couldn't be asked: eth0: BPF_PROG_TEST_RUN: Operation not permitted; taken as") !=
        std::string::npos);
  r.set_steering(v1::TraceResponse::STEERING_DROPPED);
  r.set_outcome(v1::TraceResponse::OUTCOME_DROPPED);
  r.mutable_dropped()->set_stage("xdp");
  r.mutable_dropped()->set_reason("vip_rate");
  r.mutable_dropped()->set_text("more packets a second");
  CHECK(show(r, {}).find("  xdp       drops it, before any worker sees it\n"
                         "Dropped by xdp: vip_rate (more packets a second)\n") != std::string::npos);
  r.mutable_dropped()->set_reason("source_filtered");
  CHECK(show(r, {}).find("drops it, before any worker sees it; guideway filters prefixes --address says which") !=
        std::string::npos);
}

}  // namespace
}  // namespace guideway::mgmt
