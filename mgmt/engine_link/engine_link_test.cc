// The link against a fake engine, through a whole daemon: what arrives, what is refused, what a lost engine finds
// again.
#include "mgmt/engine_link/engine_link.h"

#include <catch2/catch.hpp>

#include <future>
#include <sstream>

#include "mgmt/engine_link/frame.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

using State = FakeEngine::State;

std::string vip_name(const std::string& name, int i) {
  return "demo/" + name + ":http@198.51.100." + std::to_string(i) + ":80/TCP";
}

std::string web(int i, const std::string& backend = "10.0.0.1", const std::string& condition = "ready") {
  const std::string name = "web" + std::to_string(i);
  return service_yaml(name, "198.51.100." + std::to_string(i)) + slice_yaml(name, {{backend, condition}});
}

auto services(size_t n) {
  return [n](const State& s) { return s.services.size() == n; };
}

// Lines count from 1; empty if there is no such one.
std::string line_of(const std::string& text, uint32_t number) {
  std::istringstream lines(text);
  std::string line;
  for (uint32_t n = 0; n < number; ++n)
    if (!std::getline(lines, line)) return "";
  return line;
}

}  // namespace

TEST_CASE("frame: messages come out whole, nonsense is an error") {
  engine::Envelope e;
  e.mutable_begin()->set_full(true);
  const std::string two = frame_of(e) + frame_of(e);
  for (size_t n = 0; n <= two.size(); ++n) {
    std::string_view rest = std::string_view(two).substr(0, n);
    size_t got = 0;
    while (true) {
      const auto m = take_frame(rest);
      REQUIRE(m.ok());
      if (!*m) break;
      ++got;
    }
    CHECK(got == n * 2 / two.size());
  }
  std::string_view huge("\x00\x10\x00\x01", 4);
  CHECK_FALSE(take_frame(huge).ok());
  std::string_view empty("\x00\x00\x00\x00", 4);
  CHECK_FALSE(take_frame(empty).ok());
  std::string_view garbage("\x00\x00\x00\x02\xff\xff", 6);
  CHECK_FALSE(take_frame(garbage).ok());
}

TEST_CASE("link: all of the state first, then only what differs") {
  Rig rig;
  rig.manifest("a.yaml", web(1) + web(2));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(2)));
  CHECK(rig.engine.state().batches.at(0).full);
  CHECK(rig.engine.state().gateway.has_value());
  rig.manifest("a.yaml", web(1) + web(2, "10.0.0.1", "terminating"));
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 2; }));
  const State s = rig.engine.state();
  CHECK_FALSE(s.batches[1].full);
  REQUIRE(s.batches[1].services.size() == 1);
  CHECK(s.batches[1].services[0].name() == vip_name("web2", 2));
  CHECK(s.batches[1].services[0].reals(0).state() == engine::Real::STATE_TERMINATING);
  CHECK_FALSE(s.batches[1].gateway.has_value());
  CHECK(s.batches[1].generation.counter() == s.batches[0].generation.counter() + 1);
  rig.remove("a.yaml");
  REQUIRE(rig.engine.wait(services(0)));
  CHECK(rig.engine.state().batches.at(2).removals.size() == 2);
}

TEST_CASE("link: goes on above the engine's generation") {
  engine::Hello hello = FakeEngine::good_hello();
  hello.mutable_generation()->set_instance(5);
  hello.mutable_generation()->set_counter(1000);
  Rig rig(hello);
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const State& s) { return !s.batches.empty(); }));
  CHECK(rig.engine.state().batches[0].generation.counter() == 1001);
}

TEST_CASE("link: after a lost connection everything is sent again") {
  Rig rig;
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(1)));
  rig.engine.hang_up();
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 2; }));
  CHECK(rig.engine.state().batches[1].full);
  CHECK(rig.wait([](const Snapshot& s) { return s.hello.has_value(); })->engine_trouble.empty());
}

TEST_CASE("link: nothing is said to be in force while there is no engine") {
  Rig rig;
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.start().ok());
  const auto is = [](EngineLink::EntryState state) {
    return [state](const Snapshot& s) { return s.vips.size() == 1 && s.vips[0].state == state; };
  };
  CHECK(is(EngineLink::EntryState::kApplied)(*rig.wait(is(EngineLink::EntryState::kApplied))));
  std::filesystem::remove(rig.engine.path());
  rig.engine.hang_up();
  CHECK(is(EngineLink::EntryState::kPending)(*rig.wait(is(EngineLink::EntryState::kPending))));
}

std::string filter(const std::string& name, const std::string& cidrs) {
  return "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: " + name + "}\nspec: {deniedCIDRs: [" +
         cidrs + "]}\n";
}

auto denied(size_t parts) {
  return [parts](const State& s) { return s.denied.size() == parts; };
}

TEST_CASE("link: of what SourceFilters deny only the parts go that change; all of them after a lost connection") {
  Rig rig;
  rig.manifest("a.yaml", web(1));
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24, \"2001:db8::/32\", 198.51.100.7"));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(denied(3)));
  CHECK(rig.engine.state().batches.at(0).denied.size() == 3);
  CHECK(rig.wait([](const Snapshot& s) { return s.denied_applied; })->denied_prefixes == 3);
  rig.manifest("g.yaml", filter("g", "192.0.2.0/24, 203.0.113.0/24"));
  REQUIRE(rig.engine.wait(denied(4)));
  CHECK(rig.engine.state().batches.at(1).denied.size() == 1);
  rig.manifest("a.yaml", web(1, "10.0.0.2"));
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 3; }));
  CHECK(rig.engine.state().batches.at(2).denied.empty());
  rig.remove("f.yaml");
  REQUIRE(rig.engine.wait(denied(2)));
  CHECK(rig.engine.state().batches.at(3).denied.size() == 2);
  rig.engine.hang_up();
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 5; }));
  CHECK(rig.engine.state().batches.at(4).full);
  CHECK(rig.engine.state().denied.size() == 2);
}

TEST_CASE("link: of an engine that starts empty nothing is said to be in force before it has it") {
  Rig rig;
  rig.manifest("a.yaml", web(1));
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24"));
  REQUIRE(rig.start().ok());
  const auto in_force = [](const Snapshot& s) {
    return s.hello && s.vips.size() == 1 && s.vips[0].state == EngineLink::EntryState::kApplied && s.denied_applied &&
           s.applied;
  };
  const auto nothing = [](const Snapshot& s) {
    return s.hello && s.vips[0].state == EngineLink::EntryState::kPending && !s.denied_applied;
  };
  REQUIRE(in_force(*rig.wait(in_force)));
  const engine::Generation applied = *rig.wait(in_force)->applied;

  // The next full batch waits for its answer until the test has looked.
  std::promise<void> looked;
  std::shared_future<void> answer = looked.get_future().share();
  rig.engine.set_refuse([answer](const FakeEngine::Batch&) {
    answer.wait();
    return std::optional<engine::Refused>();
  });
  const auto reconnect = [&](const std::optional<engine::Generation>& generation) {
    engine::Hello hello = FakeEngine::good_hello();
    hello.set_engine_version("next");
    if (generation) *hello.mutable_generation() = *generation;
    rig.engine.set_hello(hello);
    rig.engine.hang_up();
    return rig.wait([](const Snapshot& s) { return s.hello && s.hello->engine_version() == "next"; });
  };
  SECTION("empty") {
    const SnapshotPtr s = reconnect(std::nullopt);
    CHECK(nothing(*s));
    CHECK_FALSE(s->applied);
  }
  SECTION("another daemon's state") {
    engine::Generation other = applied;
    other.set_instance(applied.instance() + 1);
    const SnapshotPtr s = reconnect(other);
    CHECK(nothing(*s));
    CHECK(s->applied->instance() == other.instance());
  }
  SECTION("the state that was applied last") { CHECK(in_force(*reconnect(applied))); }
  looked.set_value();
  CHECK(in_force(*rig.wait(in_force)));
}

TEST_CASE("link: more denied prefixes than the engine holds aren't sent, and what it has stays") {
  engine::Hello hello = FakeEngine::good_hello();
  hello.mutable_limits()->set_denied_prefixes(2);
  Rig rig(hello);
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24"));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(denied(1)));
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24, 192.0.3.0/24, 192.0.4.0/24"));
  const auto p = rig.wait_problem("SourceFilter", "spec.deniedCIDRs");
  REQUIRE(p.has_value());
  CHECK(rig.engine.state().denied.size() == 1);
  rig.engine.hang_up();
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 2; }));
  CHECK(rig.engine.state().denied.size() == 1);
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24, 192.0.3.0/24"));
  REQUIRE(rig.engine.wait(denied(2)));
}

TEST_CASE("link: denied prefixes that the engine refuses are left out, and the rest arrives") {
  Rig rig;
  rig.engine.set_refuse([](const FakeEngine::Batch& b) -> std::optional<engine::Refused> {
    if (b.denied.empty()) return std::nullopt;
    engine::Refused r;
    r.set_entry("denied sources");
    r.set_why("the test says no");
    return r;
  });
  rig.manifest("a.yaml", web(1));
  rig.manifest("f.yaml", filter("f", "192.0.2.0/24"));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(1)));
  CHECK(rig.engine.state().denied.empty());
  CHECK(rig.engine.state().refused == 1);
  REQUIRE(rig.wait_problem("SourceFilter", "spec.deniedCIDRs").has_value());
  rig.engine.set_refuse({});
  rig.manifest("f.yaml", filter("f", "192.0.3.0/24"));
  REQUIRE(rig.engine.wait(denied(1)));
}

TEST_CASE("link: what the engine refuses is left out, the rest arrives, and a new form is tried") {
  Rig rig;
  rig.engine.set_refuse(FakeEngine::refuse_service(vip_name("web2", 2)));
  rig.manifest("a.yaml", web(1) + web(2) + web(3));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(2)));
  CHECK(rig.engine.state().refused == 1);
  const auto p = rig.wait_problem("Service demo/web2", "status.loadBalancer.ingress[0].ip");
  REQUIRE(p.has_value());
  CHECK(p->file == rig.path("a.yaml"));
  CHECK(p->text == "the engine refuses it (mode): the test says no");
  const auto s = rig.wait([](const Snapshot&) { return true; });
  CHECK(s->vips[1].state == EngineLink::EntryState::kRefused);
  CHECK(s->vips[0].state == EngineLink::EntryState::kApplied);
  rig.engine.set_refuse({});
  rig.manifest("a.yaml", web(1) + web(2, "10.0.0.9") + web(3));
  REQUIRE(rig.engine.wait(services(3)));
  CHECK(rig.wait([](const Snapshot& t) { return t.applied && t.vips[1].state == EngineLink::EntryState::kApplied; })
            ->vips[1]
            .state == EngineLink::EntryState::kApplied);
}

TEST_CASE("link: what the engine will have room for later is tried again by itself") {
  Rig rig;
  rig.engine.set_refuse([](const FakeEngine::Batch& b) {
    auto r = FakeEngine::refuse_service(vip_name("web2", 2))(b);
    if (r) r->set_later(true);
    return r;
  });
  rig.manifest("a.yaml", web(1) + web(2));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const State& s) { return s.refused == 2; }));
  REQUIRE(rig.engine.wait(services(1)));
  REQUIRE(rig.wait_problem("Service demo/web2", "status.loadBalancer.ingress[0].ip").has_value());
  rig.engine.set_refuse({});
  REQUIRE(rig.engine.wait(services(2)));
}

TEST_CASE("link: a refused change leaves the old form, and the others of its batch arrive") {
  Rig rig;
  rig.manifest("a.yaml", web(1) + web(2));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(2)));
  rig.engine.set_refuse(FakeEngine::refuse_service(vip_name("web2", 2)));
  rig.manifest("a.yaml", web(1, "10.0.0.8") + web(2, "10.0.0.9"));
  const auto backend = [](const State& s, const std::string& name) { return s.services.at(name).reals(0).address(); };
  REQUIRE(rig.engine.wait([&](const State& s) { return backend(s, vip_name("web1", 1))[3] == 8; }));
  CHECK(backend(rig.engine.state(), vip_name("web2", 2))[3] == 1);
  CHECK(rig.engine.state().services.size() == 2);
}

TEST_CASE("link: a refusal of nothing that can be left out isn't repeated endlessly") {
  Rig rig;
  rig.engine.set_refuse([](const FakeEngine::Batch&) {
    engine::Refused r;
    r.set_why("out of memory");
    return std::optional(r);
  });
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const State& s) { return s.refused == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(rig.engine.state().refused == 1);
  rig.engine.set_refuse({});
  rig.manifest("a.yaml", web(1) + web(2));
  REQUIRE(rig.engine.wait(services(2)));
  CHECK(rig.wait([](const Snapshot& s) { return s.problems.size() == 2; })->problems.size() == 2);  // the SNAT ones
}

TEST_CASE("link: the engine's limits are kept, and room that appears is used") {
  engine::Hello hello = FakeEngine::good_hello();
  hello.mutable_limits()->set_services(2);
  hello.mutable_limits()->set_reals_per_service(1);
  Rig rig(hello);
  rig.manifest("a.yaml", web(1));
  rig.manifest("b.yaml", web(2) + web(3));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(2)));
  REQUIRE(rig.wait_problem("Service demo/web3", "status.loadBalancer.ingress[0].ip").has_value());
  rig.remove("a.yaml");
  REQUIRE(rig.engine.wait([](const State& s) { return s.services.contains(vip_name("web3", 3)); }));
  CHECK(rig.engine.state().services.size() == 2);
  rig.manifest("b.yaml", web(2) + service_yaml("web3", "198.51.100.3") +
                             slice_yaml("web3", {{"10.0.0.1", "ready"}, {"10.0.0.2", "ready"}}));
  const auto p = rig.wait_problem("Service demo/web3", "status.loadBalancer.ingress[0].ip");
  REQUIRE(p.has_value());
  CHECK(rig.engine.state().services.at(vip_name("web3", 3)).reals_size() == 1);
}

TEST_CASE("link: room that a batch makes itself is used in it, whatever the names") {
  engine::Hello hello = FakeEngine::good_hello();
  hello.mutable_limits()->set_reals(3);
  Rig rig(hello);
  const auto with = [](int i, size_t backends) {
    const std::string name = "web" + std::to_string(i);
    std::vector<std::pair<std::string, std::string>> slice;
    for (size_t n = 1; n <= backends; ++n) slice.emplace_back("10.0.0." + std::to_string(n), "ready");
    return service_yaml(name, "198.51.100." + std::to_string(i)) + slice_yaml(name, slice);
  };
  rig.manifest("a.yaml", with(1, 1) + with(2, 2));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(2)));
  rig.manifest("a.yaml", with(1, 2) + with(2, 1));
  REQUIRE(rig.engine.wait([](const State& s) { return s.services.at(vip_name("web2", 2)).reals_size() == 1; }));
  CHECK(rig.engine.wait([](const State& s) { return s.services.at(vip_name("web1", 1)).reals_size() == 2; }));
}

TEST_CASE("link: every limit of the engine is kept before anything is sent, and told with its place") {
  struct Case {
    const char* limit;
    std::string text;  // exceeds a limit of 1
    std::string object;
    std::string field;
    std::string at;  // what stands on the line that is told
  };
  const auto with = [](const std::string& spec) {
    std::string yaml = service_yaml("web9", "198.51.100.9");
    return yaml.insert(yaml.find("  type:"), spec);
  };
  const auto gateway = [](const std::string& spec) {
    return "---\napiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec:" + spec + "\n";
  };
  const std::string w = "Service demo/web9";
  const std::string vip = "status.loadBalancer.ingress[0].ip";
  const std::string older = "service.beta.kubernetes.io/load-balancer-source-ranges";
  const std::vector<std::pair<std::string, std::string>> two = {{"10.0.0.1", "ready"}, {"10.0.0.2", "ready"}};
  const std::vector<Case> cases = {
      {"services", web(1) + web(9), w, vip, "198.51.100.9"},
      {"reals", web(1) + service_yaml("web9", "198.51.100.9") + slice_yaml("web9", {{"10.0.0.2", "ready"}}), w, vip,
       "198.51.100.9"},
      {"reals_per_service", service_yaml("web9", "198.51.100.9") + slice_yaml("web9", two), w, vip, "198.51.100.9"},
      {"maglev_slots", web(9), w, vip, "198.51.100.9"},
      {"source_ranges", with("  loadBalancerSourceRanges: [10.0.0.0/8, 192.0.2.0/24]\n"), w,
       "spec.loadBalancerSourceRanges", "loadBalancerSourceRanges"},
      {"source_ranges",
       service_yaml("web9", "198.51.100.9", "  annotations:\n    " + older + ": 10.0.0.0/8, 192.0.2.0/24\n"), w,
       "metadata.annotations[" + older + "]", older},
      {"affinity_seconds",
       with("  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n      timeoutSeconds: 2\n"), w,
       "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "timeoutSeconds"},
      {"snat_addresses",
       gateway("\n  snat: [{address: 192.0.2.1, dedicated: true}, {address: 192.0.2.2, dedicated: true}]"),
       "GatewayConfig g", "spec.snat", "snat:"},
      {"idle_seconds", gateway("\n  idleTimeouts: {\n    closing: 2s}"), "GatewayConfig g", "spec.idleTimeouts.closing",
       "closing"},
  };
  for (const Case& c : cases) {
    INFO(c.limit);
    engine::Hello hello = FakeEngine::good_hello();
    const auto* field = engine::Limits::descriptor()->FindFieldByName(c.limit);
    REQUIRE(field != nullptr);
    hello.mutable_limits()->GetReflection()->SetUInt32(hello.mutable_limits(), field, 1);
    Rig rig(hello);
    rig.manifest("a.yaml", c.text);
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 1; }));
    const auto p = rig.wait_problem(c.object, c.field);
    REQUIRE(p.has_value());
    CHECK(p->file == rig.path("a.yaml"));
    CHECK(line_of(c.text, p->line).find(c.at) != std::string::npos);
    CHECK(p->text.find("the engine ") == 0);
    const State s = rig.engine.state();
    CHECK(s.refused == 0);
    CHECK_FALSE(s.services.contains(vip_name("web9", 9)));
    CHECK(s.gateway.has_value() == (c.object == w));
  }
}

TEST_CASE("link: an engine that can't be understood is left, and tried again") {
  for (const std::string& garbage : {std::string("\xff\xff\xff\xff", 4), std::string("\x00\x00\x00\x02\xff\xff", 6)}) {
    Rig rig;
    rig.manifest("a.yaml", web(1));
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait(services(1)));
    rig.engine.set_garbage(garbage);
    rig.manifest("a.yaml", web(1) + web(2));
    REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 3; }));
    CHECK(rig.engine.state().batches[2].full);
  }
  engine::Hello other = FakeEngine::good_hello();
  other.set_version(7);
  Rig rig(other);
  REQUIRE(rig.start().ok());
  const auto s = rig.wait([](const Snapshot& t) { return t.engine_trouble.find("version 7") != std::string::npos; });
  CHECK(s->engine_trouble.find("version 7") != std::string::npos);
}

TEST_CASE("link: an engine that another daemon drives is left to it, and taken once that is gone") {
  engine::Hello driven = FakeEngine::good_hello();
  driven.set_daemon_pid(4711);
  Rig rig(driven);
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.start().ok());
  const std::string why = "another guidewayd (pid 4711) drives this engine; stop one of the two";
  CHECK(rig.wait([&](const Snapshot& s) { return s.engine_trouble == why; })->engine_trouble == why);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // it has come again by now
  CHECK(rig.engine.state().connections == 0);
  CHECK(rig.wait([](const Snapshot&) { return true; })->engine_trouble == why);
  rig.engine.set_hello(FakeEngine::good_hello());
  CHECK(rig.engine.wait(services(1)));
}

TEST_CASE("link: an engine that owes an answer for too long is in trouble until it answers") {
  Rig rig;
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait(services(1)));
  const std::string silent = "the engine hasn't answered for ";
  const auto trouble_begins = [&](const Snapshot& s) { return s.engine_trouble.starts_with(silent); };
  const auto no_trouble = [](const Snapshot& s) { return s.engine_trouble.empty(); };
  CHECK(rig.wait(no_trouble)->engine_trouble.empty());

  SECTION("to a commit") {
    rig.engine.set_stalled(true);
    rig.manifest("a.yaml", web(1) + web(2));
    const auto waits = [](const Snapshot& s) { return s.desired.counter() == s.applied->counter() + 1; };
    const SnapshotPtr at_first = rig.wait(waits);
    CHECK(waits(*at_first));
    CHECK(at_first->engine_trouble.empty());  // it may take a moment
    CHECK(trouble_begins(*rig.wait(trouble_begins)));
    rig.engine.set_stalled(false);
    REQUIRE(rig.engine.wait(services(2)));
  }
  SECTION("to a question") {
    REQUIRE(rig.daemon().take_snapshot(Question::kStatus).value()->status);
    rig.engine.set_stalled(true);
    const SnapshotPtr asked = rig.daemon().take_snapshot(Question::kStatus).value();
    CHECK_FALSE(asked->status);
    CHECK(trouble_begins(*asked));
    rig.engine.set_stalled(false);
  }
  const SnapshotPtr after = rig.wait(no_trouble);
  CHECK(after->engine_trouble.empty());
  CHECK(after->hello.has_value());
  CHECK(rig.engine.state().connections == 1);
}

TEST_CASE("link: once what was refused is gone, all that is desired is applied") {
  Rig rig;
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 1; }));
  rig.engine.set_refuse(FakeEngine::refuse_service(vip_name("web1", 1)));
  rig.manifest("a.yaml", web(1));
  REQUIRE(rig.engine.wait([](const State& s) { return s.refused == 1; }));
  const auto all_applied = [](const Snapshot& s) { return s.applied && s.desired.counter() == s.applied->counter(); };
  CHECK(rig.wait([](const Snapshot& s) { return !s.problems.empty(); })->desired.counter() == 2);
  rig.remove("a.yaml");
  CHECK(all_applied(*rig.wait(all_applied)));
}

TEST_CASE("link: the refusal of what is gone meanwhile goes too, also where all is sent anew") {
  Rig rig;
  std::promise<void> gone;
  rig.engine.set_refuse([&, asked = 0](const FakeEngine::Batch& b) mutable -> std::optional<engine::Refused> {
    ++asked;
    if (asked == 1) return FakeEngine::refuse_service(vip_name("web1", 1))(b);
    if (asked != 2) return std::nullopt;
    gone.get_future().wait();
    return FakeEngine::refuse_service(vip_name("web2", 2))(b);
  });
  rig.manifest("a.yaml", web(1));
  rig.manifest("b.yaml", web(2) + web(3));
  REQUIRE(rig.start().ok());
  const auto refused = [](size_t i) {
    return [i](const Snapshot& s) { return s.vips.size() > i && s.vips[i].state == EngineLink::EntryState::kRefused; };
  };
  REQUIRE(refused(0)(*rig.wait(refused(0))));
  rig.remove("a.yaml");
  CHECK(rig.wait([](const Snapshot& s) { return s.vips.size() == 2; })->vips.size() == 2);
  gone.set_value();
  REQUIRE(rig.engine.wait(services(1)));
  const SnapshotPtr s = rig.wait(refused(0));
  CHECK(refused(0)(*s));  // web2, of which the rest is as it was
  CHECK(std::ranges::none_of(s->problems, [](const Problem& p) { return p.object == vip_name("web1", 1); }));
}

TEST_CASE("link: an engine may take long for a large change") {
  Rig rig;
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const State& s) { return s.batches.size() == 1; }));
  rig.engine.set_stalled(true);
  std::string text;
  for (int i = 1; i <= 20; ++i)
    text += service_yaml("big" + std::to_string(i), "198.51.100." + std::to_string(i),
                         "  annotations:\n    guideway.io/maglev-table-size: \"655373\"\n");
  rig.manifest("a.yaml", text);
  CHECK(rig.wait([](const Snapshot& s) { return s.vips.size() == 20; })->vips.size() == 20);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(rig.wait([](const Snapshot&) { return true; })->engine_trouble.empty());
}

TEST_CASE("link: a large state reaches a slow engine, and changes meanwhile follow it") {
  Rig rig;
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "s" + std::to_string(i);
    std::vector<std::pair<std::string, std::string>> endpoints;
    for (int b = 1; b <= 20; ++b) endpoints.emplace_back("10.1.0." + std::to_string(b), "ready");
    text += service_yaml(name, "198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1)) +
            slice_yaml(name, endpoints);
  }
  rig.manifest("big.yaml", text);
  rig.engine.set_stalled(true);
  REQUIRE(rig.start().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  rig.manifest("a.yaml", web(1));
  CHECK(rig.wait([](const Snapshot& s) { return s.vips.size() == 3001; })->vips.size() == 3001);
  CHECK(rig.engine.state().services.empty());
  rig.engine.set_stalled(false);
  CHECK(rig.engine.wait(services(3001)));
}

}  // namespace guideway::mgmt
