// What a trace promises of a packet, held against what then becomes of it; and that a trace changes nothing.
#include <absl/status/status.h>
#include <catch2/catch.hpp>

#include <cstring>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

// All that a packet may change, as bytes: connections with their states and times, and what is counted.
template <typename Entry>
void append(std::string& to, const path::ConnectionTable<Entry>& table, path::Tick now) {
  path::Peeked<Entry> e;
  for (uint32_t b = 0; b < table.buckets(); ++b)
    for (uint32_t slot = 0; slot < 8; ++slot) {
      if (!table.peek(b, slot, &e, now, path::kIdleTimeout)) continue;
      to += std::to_string(b) + "." + std::to_string(slot) + " " + std::to_string(static_cast<int>(e.state)) + " " +
            std::to_string(e.idle) + " ";
      // Not what is between the members, which no copy has to take along.
      const auto add = [&](const auto& member) { to.append(reinterpret_cast<const char*>(&member), sizeof member); };
      const Entry& c = e.entry;
      add(c.key), add(c.service), add(c.real), add(c.epoch), add(c.mode), add(c.direction);
      add(c.snat_destination), add(c.translation), add(c.partner), add(c.partner_hash);
    }
  to += std::to_string(table.size()) + "\n";
}

std::string state_of(Rig& rig) {
  std::string s;
  for (unsigned w = 0; w < rig.workers().count(); ++w) {
    path::Worker& worker = rig.workers()[w];
    append(s, worker.connections().v4, rig.now());
    append(s, worker.connections().v6, rig.now());
    const path::Counters& c = worker.counters();
    for (const path::Counter* n : {&c.tick, &c.rounds, &c.received, &c.sent, &c.handed_over, &c.datagrams})
      s += std::to_string(n->read()) + " ";
    for (const path::Counter& n : c.drops) s += std::to_string(n.read()) + " ";
    for (uint32_t real = 0; real < 64; ++real)
      s.append(reinterpret_cast<const char*>(&rig.tally().rows(w)[real]), sizeof(path::RealCounters));
  }
  return s + std::to_string(rte_mempool_avail_count(rig.pool()));
}

// Nobody but the test takes them.
bool gleaned(Rig& rig) {
  bool any = false;
  for (unsigned w = 0; w < rig.workers().count(); ++w)
    while (rig.workers()[w].glean().take()) any = true;
  return any;
}

// The end of the last pass: passes before it end at another worker.
const engine::TraceEnd& end_of(const engine::Trace& t) {
  REQUIRE_FALSE(t.has_refused());
  REQUIRE(t.passes_size() > 0);
  for (int i = 0; i + 1 < t.passes_size(); ++i) {
    CHECK(t.passes(i).end().handed_to() == t.passes(i + 1).worker());
    CHECK(t.passes(i).end().sent().empty());
  }
  CHECK_FALSE(t.passes(t.passes_size() - 1).end().has_handed_to());
  return t.passes(t.passes_size() - 1).end();
}

// Traces the frame, sends it, and compares. `waiting`: packets that may follow it, for they wait for a first fragment.
// Gives how many wait now.
size_t check(Rig& rig, const rig::Bytes& frame, unsigned port = 0, unsigned queue = 0,
             uint16_t headroom = RTE_PKTMBUF_HEADROOM, size_t waiting = 0) {
  INFO(rig::describe(frame));
  gleaned(rig);
  const std::string before = state_of(rig);
  const engine::Trace trace = rig.trace(frame, port, queue, headroom);
  CHECK(state_of(rig) == before);
  CHECK_FALSE(gleaned(rig));
  CHECK(rig.run().empty());
  const engine::TraceEnd& end = end_of(trace);

  const auto sent = rig.send(frame, port, queue, headroom);
  CHECK(end.dropped().reason() == (rig.dropped() == DropReason::NONE ? "" : net::to_string(rig.dropped())));
  const size_t followed = sent.size() - static_cast<size_t>(end.sent_size());
  REQUIRE((followed == 0 || followed == waiting));
  for (int i = 0; i < end.sent_size(); ++i) {
    const std::string& promised = end.sent(i).frame();
    const rig::Sent& real = sent[static_cast<size_t>(i)];
    CHECK(end.sent(i).port() == rig.trace_site().ports[real.port].name);
    CHECK(rig::describe({promised.begin(), promised.end()}) == rig::describe(real.bytes));
    CHECK(rig::Bytes(promised.begin(), promised.end()) == real.bytes);
  }
  return waiting - followed + (end.waits() ? 1 : 0);
}

TEST_CASE("what a trace promises comes true, in every packet case", "[trace]") {
  for (const unsigned workers : {1U, 3U})
    for (const Case& c : all_cases()) {
      INFO(c.description << ", " << workers << " worker(s)");
      Rig rig({.workers = workers});
      network(rig);
      c.configure(rig);
      size_t waiting = 0;
      for (const Frame& f : c.before) waiting = check(rig, f.bytes(), 0, 0, RTE_PKTMBUF_HEADROOM, waiting);
      check(rig, c.raw.empty() ? c.in.bytes() : c.raw, c.in_port, 0, c.headroom, waiting);
    }
}

constexpr unsigned kMany = 3'000;  // more than any bucket of tokens holds

// The case's frame goes out, whatever was traced before.
void survives_traces(const control::GatewaySpec& spec, const Frame& traced, const Frame& sent) {
  Rig rig;
  network(rig);
  rig.gateway(spec);
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
  rig.service(service("192.0.2.11", 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  rig.pass(1);
  for (unsigned n = 0; n < kMany; ++n) rig.trace(traced.bytes());
  CHECK_FALSE(rig.send(sent.bytes()).empty());
}

TEST_CASE("traces take no tokens", "[trace]") {
  auto slow = snat();
  slow.new_flow_rate = 1;
  slow.icmp_rate = 1;
  survives_traces(slow, Frame().ipv4("203.0.113.7", kVip).tcp(1, 80).syn(),
                  Frame().ipv4("203.0.113.7", kVip).tcp(2, 80).syn());
  // Too large for the link, and the sender is told.
  const auto big = [](uint16_t port) {
    return Frame().ipv4("10.0.0.99", "192.0.2.11").fragment(net::kIpv4DontFragment).tcp(port, 80).payload(1'460);
  };
  survives_traces(slow, big(1), big(2));
}

TEST_CASE("traces take no SNAT ports", "[trace]") {
  // One port in all; many flows are traced, and then one is sent.
  survives_traces(snat(20'000, 20'000), Frame().ipv4("203.0.113.7", kVip).tcp(1, 80).syn(),
                  Frame().ipv4("203.0.113.7", kVip).tcp(2, 80).syn());
}

TEST_CASE("a trace of each packet of a connection", "[trace]") {
  for (const Mode mode : {Mode::kDsrL2, Mode::kDsrIpip, Mode::kDsrGue, Mode::kNat})
    for (const unsigned workers : {1U, 2U, 3U})
      for (const bool v4 : {true, false}) {
        Rig rig({.workers = workers});
        network(rig);
        rig.gateway(snat());
        auto s = v4 ? service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10", "10.0.1.11"})
                    : service(kVip6, 80, Protocol::kTcp, mode, {"2001:db8:1::10", "2001:db8:1::11"});
        s.affinity_seconds = mode == Mode::kDsrL2 ? 60 : 0;
        rig.service(s);
        const auto packet = [&](uint8_t flags, size_t bytes = 0) {
          const Frame f = v4 ? Frame().ipv4("10.0.0.99", kVip) : Frame().ipv6("2001:db8:0::99", kVip6);
          return Frame(f).tcp(40'000, 80, flags).payload(bytes).bytes();
        };
        for (unsigned queue = 0; queue < workers; ++queue) {
          INFO("mode " << static_cast<int>(mode) << ", " << workers << " workers, queue " << queue);
          check(rig, packet(net::kTcpSyn), 0, queue);
          check(rig, packet(net::kTcpSyn), 0, queue);  // sent again
          check(rig, packet(net::kTcpAck), 0, queue);
          rig.pass(2);
          check(rig, packet(net::kTcpAck | net::kTcpPsh, 700), 0, queue);
          s.mtu = static_cast<uint16_t>(1'300 + queue);  // it is judged again
          rig.service(s);
          check(rig, packet(net::kTcpAck, 10), 0, queue);
          check(rig, packet(net::kTcpAck | net::kTcpFin), 0, queue);
          check(rig, packet(net::kTcpSyn), 0, queue);
          check(rig, packet(net::kTcpRst), 0, queue);
        }
      }
}

TEST_CASE("what a trace tells of a connection", "[trace]") {
  Rig rig;
  network(rig);
  rig.gateway(snat(20'000, 20'063));
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}, 8'080));
  const auto syn = Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).syn().bytes();
  const engine::Trace before = rig.trace(syn);
  const engine::TracePass& pass = before.passes(0);
  REQUIRE(pass.stages_size() == 8);
  CHECK(pass.stages(0).parse().flow().destination_port() == 80);
  CHECK_FALSE(pass.stages(1).track().found());
  CHECK(pass.stages(2).hand().service() == std::string(kVip) + ":80/6");
  CHECK(pass.stages(3).balance().table_size() == 251);
  CHECK(pass.stages(3).balance().slot() == gw_slot(flow_hash(Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80)), 251));
  CHECK(pass.stages(3).balance().reason() == engine::TraceChoice::REASON_MAGLEV);
  CHECK(pass.stages(3).balance().real().port() == 8'080);
  CHECK(pass.stages(4).learn().remembered());
  CHECK(pass.stages(5).route().port() == rig.trace_site().ports[1].name);
  CHECK(pass.stages(6).fit().size() == 40);
  const engine::TraceFlow& to = pass.stages(7).apply().translated();
  CHECK(net::to_string(*net::ip_of_bytes(to.source())) == "10.0.1.200");
  CHECK(to.source_port() >= 20'000);
  CHECK(to.source_port() < 20'064);

  rig.send(syn);
  rig.pass(3);
  const engine::Trace after = rig.trace(Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).bytes());
  const engine::TraceEntry& entry = after.passes(0).stages(1).track();
  CHECK(entry.found());
  CHECK(entry.follows());
  CHECK(entry.state() == engine::CONNECTION_STATE_SETUP);
  CHECK(entry.idle_seconds() == 3);
  CHECK(entry.mode() == engine::FORWARDING_MODE_NAT);
  CHECK(after.passes(0).stages(5 - 1).apply().translated().source_port() == to.source_port());
}

TEST_CASE("a worker that doesn't come to a trace", "[trace]") {
  Rig rig;
  network(rig);
  const unsigned frames = rte_mempool_avail_count(rig.pool());
  const auto syn = Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).syn().bytes();
  std::array<control::EnginePort, 1> ports;
  const control::TraceSite site{.workers = &rig.workers(),
                                .publisher = &rig.publisher(),
                                .tally = &rig.tally(),
                                .ports = ports,
                                .pool = rig.pool(),
                                .steering = {}};
  const auto begin = [&] { return control::Tracing::begin(site, control::Arrival{syn, ports.data(), 0, 128}); };
  const auto now = control::Tracing::Clock::now();
  {
    const auto first = begin();
    CHECK_FALSE(first->step(now));
    // Another waits for its turn, and goes away before it.
    CHECK_FALSE(begin()->step(now));
    const auto answer = first->step(now + std::chrono::seconds(1));
    REQUIRE(answer);
    CHECK_FALSE(answer->refused().invalid());
    CHECK(answer->refused().why().starts_with("worker 0 has not come to look"));
  }
  // Who asked has gone while it waited.
  CHECK_FALSE(begin()->step(now));
  CHECK(end_of(rig.trace(syn)).dropped().reason() == "no_vip");
  CHECK(rte_mempool_avail_count(rig.pool()) == frames);
}

TEST_CASE("a trace that nobody waits for leaves no pieces behind", "[trace]") {
  Rig rig;
  network(rig);
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  const auto big = Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).syn().payload(1'460).bytes();
  REQUIRE(end_of(rig.trace(big)).sent_size() == 2);
  const unsigned frames = rte_mempool_avail_count(rig.pool());
  const auto port = rig.trace_site().ports.data();
  {
    const auto tracing = control::Tracing::begin(rig.trace_site(), {big, port, 0, RTE_PKTMBUF_HEADROOM});
    CHECK_FALSE(tracing->step(control::Tracing::Clock::now()));
    rig.workers()[0].trace_asked(rig.now());
  }
  CHECK(rte_mempool_avail_count(rig.pool()) == frames);
}

TEST_CASE("a trace tells why XDP couldn't be asked", "[trace]") {
  Rig rig;
  network(rig);
  const auto syn = Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).syn().bytes();
  control::TraceSite site = rig.trace_site();
  site.steering = [](const control::Arrival&) {
    return absl::PermissionDeniedError("BPF_PROG_TEST_RUN: Operation not permitted");
  };
  const auto tracing = control::Tracing::begin(site, {syn, site.ports.data(), 0, RTE_PKTMBUF_HEADROOM});
  CHECK_FALSE(tracing->step(control::Tracing::Clock::now()));
  rig.workers()[0].trace_asked(rig.now());
  const engine::Trace traced = tracing->step(control::Tracing::Clock::now()).value();
  CHECK(traced.steering() == engine::TRACE_STEERING_FAILED);
  CHECK(traced.steering_trouble() == "BPF_PROG_TEST_RUN: Operation not permitted");
  CHECK(end_of(traced).dropped().reason() == "no_vip");  // as if it were steered here
}

TEST_CASE("a trace tells what XDP does with the packet, and why it drops it", "[trace]") {
  Rig rig;
  network(rig);
  const auto syn = Frame().ipv4("10.0.0.99", kVip).tcp(40'000, 80).syn().bytes();
  control::TraceSite site = rig.trace_site();
  const auto traced = [&](std::optional<xdp::Verdict> verdict) {
    site.steering = [verdict](const control::Arrival&) { return verdict; };
    const auto tracing = control::Tracing::begin(site, {syn, site.ports.data(), 0, RTE_PKTMBUF_HEADROOM});
    if (auto answer = tracing->step(control::Tracing::Clock::now())) return *std::move(answer);
    rig.workers()[0].trace_asked(rig.now());
    return tracing->step(control::Tracing::Clock::now()).value();
  };
  const engine::Trace dropped = traced(xdp::Verdict{xdp::Verdict::kDropped, net::DropReason::VIP_RATE});
  CHECK(dropped.steering() == engine::TRACE_STEERING_DROPPED);
  CHECK(dropped.dropped().stage() == "xdp");
  CHECK(dropped.dropped().reason() == "vip_rate");
  CHECK(dropped.dropped().text().starts_with("more packets a second to the VIP"));
  CHECK(dropped.passes().empty());
  const engine::Trace host = traced(xdp::Verdict{xdp::Verdict::kHost});
  CHECK(host.steering() == engine::TRACE_STEERING_HOST);
  CHECK_FALSE(host.has_dropped());
  CHECK(host.passes().empty());
  CHECK(traced(xdp::Verdict{}).steering() == engine::TRACE_STEERING_ENGINE);
  CHECK(traced(xdp::Verdict{}).passes_size() == 1);
  CHECK(traced(std::nullopt).steering() == engine::TRACE_STEERING_UNSPECIFIED);
  CHECK(traced(std::nullopt).passes_size() == 1);
}

// The stage of the last pass that has these facts, or none.
const engine::TraceStage* stage(const engine::Trace& t, engine::TraceStage::FactsCase which, int pass = -1) {
  REQUIRE(t.passes_size() > 0);
  const engine::TracePass& p = t.passes(pass < 0 ? t.passes_size() - 1 : pass);
  for (const engine::TraceStage& s : p.stages())
    if (s.facts_case() == which) return &s;
  return nullptr;
}

// The reals of `kVip`, 10.0.1.<n>.
control::ServiceSpec web(Mode mode, std::initializer_list<std::string_view> reals, uint32_t affinity = 0) {
  auto s = service(kVip, 80, Protocol::kTcp, mode, reals);
  s.affinity_seconds = affinity;
  return s;
}

Frame packet(uint16_t port, uint8_t flags) { return Frame().ipv4("10.0.0.99", kVip).tcp(port, 80, flags); }

engine::TraceChoice choice(Rig& rig, uint16_t port, uint8_t flags, unsigned queue = 0) {
  const engine::Trace t = rig.trace(packet(port, flags).bytes(), 0, queue);
  const auto* s = stage(t, engine::TraceStage::kBalance);
  REQUIRE(s != nullptr);
  return s->balance();
}

std::string address(const engine::TraceReal& r) { return net::to_string(*net::ip_of_bytes(r.address())); }

TEST_CASE("a trace tells of a connection that keeps its real", "[trace]") {
  Rig rig;
  network(rig);
  auto s = web(Mode::kDsrIpip, {"10.0.1.10"});
  rig.service(s);
  rig.pass(1);
  rig.send(packet(1, net::kTcpSyn).bytes());
  s.mtu = 1'400;
  s.reals[0].weight = 0;  // no new flows
  rig.service(s);
  const auto c = choice(rig, 1, net::kTcpAck);
  CHECK(c.reason() == engine::TraceChoice::REASON_KEPT);
  CHECK(address(c.real()) == "10.0.1.10");
  CHECK(c.table_size() == 0);
  const engine::Trace t = rig.trace(packet(1, net::kTcpAck).bytes());
  REQUIRE(stage(t, engine::TraceStage::kLearn) != nullptr);
  CHECK(stage(t, engine::TraceStage::kLearn)->learn().stands());
  CHECK_FALSE(stage(t, engine::TraceStage::kLearn)->learn().replaces());
}

TEST_CASE("a trace tells of a connection off its slot", "[trace]") {
  Rig rig({.workers = 2});
  network(rig);
  rig.service(web(Mode::kDsrIpip, {"10.0.1.10"}));
  rig.pass(1);
  for (uint16_t port = 1; port <= 32; ++port) rig.send(packet(port, net::kTcpSyn).bytes(), 0, 0);
  rig.service(web(Mode::kDsrIpip, {"10.0.1.10", "10.0.1.11"}));
  rig.sweep();
  unsigned off = 0;
  for (uint16_t port = 1; port <= 32; ++port) {
    const auto c = choice(rig, port, net::kTcpAck, 1);  // it has come to another worker
    const bool moved = address(c.slot_real()) != "10.0.1.10";
    CHECK(address(c.real()) == "10.0.1.10");
    CHECK(c.reason() == (moved ? engine::TraceChoice::REASON_EXCEPTION : engine::TraceChoice::REASON_MAGLEV));
    CHECK(c.moved() == moved);
    off += moved ? 1U : 0U;
    // A new connection of the same ports has nothing to do with it.
    CHECK(choice(rig, port, net::kTcpSyn, 1).reason() == engine::TraceChoice::REASON_MAGLEV);
  }
  CHECK(off > 4);
}

TEST_CASE("a trace tells of a client that has its real", "[trace]") {
  Rig rig;
  network(rig);
  rig.service(web(Mode::kDsrIpip, {"10.0.1.10"}, 60));
  rig.pass(1);
  CHECK(choice(rig, 1, net::kTcpSyn).reason() == engine::TraceChoice::REASON_MAGLEV);
  rig.send(packet(1, net::kTcpSyn).bytes());
  // It is its client's, though Maglev says the same.
  CHECK(choice(rig, 2, net::kTcpSyn).reason() == engine::TraceChoice::REASON_AFFINITY);
  // And it stays that when Maglev says another.
  const std::string others[] = {"10.0.1.11", "10.0.1.12", "10.0.1.13", "10.0.1.14", "10.0.1.15"};
  auto s = web(Mode::kDsrIpip, {"10.0.1.10"}, 60);
  for (const std::string& o : others) s.reals.push_back({net::parse_ip(o).value(), 80, 1, false});
  rig.service(s);
  const auto c = choice(rig, 2, net::kTcpSyn);
  CHECK(c.reason() == engine::TraceChoice::REASON_AFFINITY);
  CHECK(address(c.real()) == "10.0.1.10");
  CHECK(c.table_size() == 251);
}

engine::TraceMemory memory(Rig& rig, const Frame& f) {
  const engine::Trace t = rig.trace(f.bytes());
  const auto* s = stage(t, engine::TraceStage::kLearn);
  REQUIRE(s != nullptr);
  return s->learn();
}

TEST_CASE("a trace tells why a connection wouldn't be remembered", "[trace]") {
  Rig rig({.connections = 1'024});
  network(rig);
  auto g = snat();
  g.new_flow_rate = 1;
  rig.gateway(g);
  rig.service(web(Mode::kDsrIpip, {"10.0.1.10"}));
  rig.pass(2);
  CHECK(memory(rig, packet(1, net::kTcpSyn)).remembered());
  const auto reset = memory(rig, packet(1, net::kTcpRst));
  CHECK_FALSE(reset.remembered());
  CHECK(reset.reason() == engine::TraceMemory::REASON_ENDS);
  rig.send(packet(1, net::kTcpSyn).bytes());  // takes the token that there is
  const auto guarded = memory(rig, packet(2, net::kTcpSyn));
  CHECK_FALSE(guarded.remembered());
  CHECK(guarded.reason() == engine::TraceMemory::REASON_FLOOD_GUARD);
  CHECK(memory(rig, packet(2, net::kTcpRst)).reason() == engine::TraceMemory::REASON_ENDS);
  g.new_flow_rate = 1'000'000'000;
  rig.gateway(g);
  rig.pass(2);
  // A SYN that is sent again begins anew.
  CHECK(memory(rig, packet(1, net::kTcpSyn)).replaces());
  // Who is established doesn't make room.
  for (uint16_t port = 1; port < 3'000; ++port) rig.send(packet(port, net::kTcpAck).bytes());
  const auto full = memory(rig, packet(3'000, net::kTcpSyn));
  CHECK_FALSE(full.remembered());
  CHECK(full.reason() == engine::TraceMemory::REASON_TABLE_FULL);
}

TEST_CASE("a trace tells of fragments, and of who follows them", "[trace]") {
  Rig rig({.workers = 3});
  network(rig);
  rig.service(service(kVip, 53, Protocol::kUdp, Mode::kDsrIpip, {"10.0.1.10"}));
  const auto request = [](engine::TraceFragment which) {
    engine::TraceRequest r;
    r.set_protocol(17);
    r.set_source(net::bytes_of(net::parse_ip("10.0.0.99").value()));
    r.set_destination(net::bytes_of(net::parse_ip(kVip).value()));
    r.set_source_port(7);
    r.set_destination_port(53);
    r.set_size(1'000);
    r.set_fragment(which);
    r.set_fragment_id(77);
    return r;
  };
  unsigned handed = 0;
  for (unsigned queue = 0; queue < 3; ++queue) {
    auto r = request(engine::TRACE_FRAGMENT_FIRST);
    r.set_queue(queue);
    const engine::Trace t = rig.trace(r);
    const auto* last = stage(t, engine::TraceStage::kMatch);
    REQUIRE(last != nullptr);
    CHECK(last->match().flow().destination_port() == 53);
    CHECK_FALSE(last->match().has_owner());
    if (t.passes_size() == 1) continue;
    ++handed;
    REQUIRE(stage(t, engine::TraceStage::kMatch, 0) != nullptr);
    CHECK(stage(t, engine::TraceStage::kMatch, 0)->match().owner() == t.passes(1).worker());
    CHECK(stage(t, engine::TraceStage::kMatch, 0)->match().has_owner());
  }
  CHECK(handed == 2);
  const engine::Trace later = rig.trace(request(engine::TRACE_FRAGMENT_LATER));
  REQUIRE(stage(later, engine::TraceStage::kMatch) != nullptr);
  CHECK(stage(later, engine::TraceStage::kMatch)->match().waits());
}

TEST_CASE("a trace tells of what the gateway answers", "[trace]") {
  Rig rig;
  network(rig);
  rig.service(web(Mode::kDsrIpip, {"10.0.1.10"}));
  engine::TraceRequest ping;
  ping.set_protocol(1);
  ping.set_source(net::bytes_of(net::parse_ip("10.0.0.99").value()));
  ping.set_destination(net::bytes_of(net::parse_ip(kVip).value()));
  const engine::Trace t = rig.trace(ping);
  REQUIRE(stage(t, engine::TraceStage::kAnswer) != nullptr);
  CHECK(stage(t, engine::TraceStage::kAnswer)->answer().kind() == engine::TraceAnswer::KIND_ECHO);
}

TEST_CASE("a trace tells of a flow that looks for its SNAT port", "[trace]") {
  Rig rig({.workers = 2});
  network(rig);
  rig.gateway(snat(20'032, 20'032));  // one port, which is one worker's
  rig.service(web(Mode::kNat, {"10.0.1.10"}));
  rig.pass(1);
  unsigned handed = 0;
  for (uint16_t port = 1; port <= 16; ++port) {
    const engine::Trace t = rig.trace(packet(port, net::kTcpSyn).bytes());
    for (int i = 0; i < t.passes_size(); ++i) {
      const auto* s = stage(t, engine::TraceStage::kHandOn, i);
      if (s == nullptr) continue;
      ++handed;
      CHECK(s->hand_on().reason() == engine::TraceHandOn::REASON_NO_SNAT_PORT);
      CHECK(s->hand_on().next() == t.passes(i + 1).worker());
    }
    CHECK(end_of(t).sent_size() == 1);
  }
  CHECK(handed > 0);
  CHECK(handed < 16);
}

}  // namespace
}  // namespace guideway::cases
