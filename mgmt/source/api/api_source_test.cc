#include "mgmt/source/api/api_source.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "mgmt/api/error_details.pb.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

using Condition = ApiSource::Condition;

const std::string kShop = "demo/shop:http@198.51.100.7:80/TCP";
const std::string kWeb = "demo/web:http@198.51.100.1:80/TCP";

std::string service(const std::string& name, const std::string& vip, uint32_t port = 80) {
  return service_yaml(name, vip, "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n", port, port);
}
std::string shop() { return service("shop", "198.51.100.7") + slice_yaml("shop", {{"10.0.0.7", "ready"}}); }
std::string web() {
  return service("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "ready"}});
}

ObjectKey service_key(const std::string& name) { return {Kind::kService, "demo", name}; }

bool has(const FakeEngine::State& s, const std::string& name) { return s.services.contains(name); }

// What the engine was told; 99 if it has no such real.
uint32_t weight_of(const FakeEngine::State& s, const std::string& service, const std::string& real) {
  const auto it = s.services.find(service);
  if (it == s.services.end()) return 99;
  for (const auto& r : it->second.reals())
    if (r.address() == net::bytes_of(*net::parse_ip(real))) return r.weight();
  return 99;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(directory)) names.push_back(e.path().filename().string());
  return names;
}

struct Started {
  Started() {
    rig.manifest("web.yaml", web());
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait([](const auto& s) { return has(s, kWeb); }));
  }
  ApiSource& api() { return rig.daemon().api(); }
  std::string objects() const { return rig.dir / "state/objects"; }
  std::string weights() const { return rig.dir / "state/weights"; }
  Rig rig;
};

// Also that the engine has all of the new daemon's.
bool restart(Rig& rig) {
  const size_t batches = rig.engine.state().batches.size();
  rig.stop();
  return rig.start().ok() && rig.engine.wait([&](const auto& s) { return s.batches.size() > batches; });
}

}  // namespace

TEST_CASE("api: objects come into force, survive, and go", "[api]") {
  Started t;
  const auto made = t.api().apply(shop(), Condition::kNone, false);
  REQUIRE(made.ok());
  REQUIRE(made->objects.size() == 2);
  CHECK(made->objects[0].key == service_key("shop"));
  CHECK(made->objects[0].action == Action::kCreated);
  CHECK(made->problems.empty());
  CHECK(t.rig.engine.wait([](const auto& s) { return has(s, kShop) && s.services.at(kShop).reals_size() == 1; }));

  const auto again = t.api().apply(shop(), Condition::kNone, false);
  REQUIRE(again.ok());
  CHECK(again->objects[0].action == Action::kUnchanged);
  const auto told = t.api().apply(service("shop", "198.51.100.8"), Condition::kNone, true);
  REQUIRE(told.ok());
  CHECK(told->objects[0].action == Action::kConfigured);
  CHECK(told->objects[0].before.find("198.51.100.7") != std::string::npos);
  CHECK(told->objects[0].after.find("198.51.100.8") != std::string::npos);
  const auto moved = t.api().apply(service("shop", "198.51.100.8"), Condition::kNone, false);
  REQUIRE(moved.ok());
  CHECK(moved->objects[0].action == Action::kConfigured);
  CHECK(moved->objects[0].after.empty());  // it may be larger than what a client receives
  const std::string there = "demo/shop:http@198.51.100.8:80/TCP";
  CHECK(t.rig.engine.wait([&](const auto& s) { return has(s, there) && !has(s, kShop); }));

  REQUIRE(t.rig.start().ok());
  CHECK(t.rig.engine.wait([&](const auto& s) { return s.connections == 2 && has(s, there); }));
  CHECK(t.rig.daemon().get_object(service_key("shop"))->manifest == told->objects[0].after);
  CHECK(t.rig.daemon().get_object(service_key("shop"))->from_api);
  CHECK_FALSE(t.rig.daemon().get_object(service_key("web"))->from_api);

  const auto keys = t.api().keys_of(shop());
  REQUIRE(keys.ok());
  REQUIRE(t.api().remove(*keys, false, false).ok());
  CHECK(t.rig.engine.wait([&](const auto& s) { return !has(s, there) && has(s, kWeb); }));
  CHECK(names_in(t.objects()).empty());
  CHECK(absl::IsNotFound(t.api().remove(*keys, false, false).status()));
  CHECK(t.api().remove(*keys, true, false)->empty());
}

TEST_CASE("api: an item of a typed list may leave its kind out, or have none", "[api]") {
  Started t;
  for (const std::string given : {"", "apiVersion: null, kind: null, ", "kind: ~, ", "apiVersion: v1, kind: , "}) {
    INFO(given);
    const auto made = t.api().apply("{apiVersion: v1, kind: ServiceList, items: [{" + given +
                                        "metadata: {name: shop, namespace: demo}, spec: {type: ExternalName}}]}",
                                    Condition::kNone, false);
    REQUIRE(made.ok());
    CHECK(t.rig.daemon().get_object(service_key("shop"))->manifest ==
          "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\n  namespace: demo\nspec:\n  type: ExternalName\n");
  }
}

TEST_CASE("api: what a manifest owns is the file's, and a refused write changes nothing", "[api]") {
  Started t;
  const auto unchanged = [&] {
    CHECK(names_in(t.objects()).empty());
    CHECK(t.rig.engine.state().batches.size() == 1);
  };
  // The first object alone would do.
  const auto owned = t.api().apply(shop() + service("web", "198.51.100.9"), Condition::kNone, false).status();
  CHECK(absl::IsFailedPrecondition(owned));
  CHECK(owned.message().find(t.rig.path("web.yaml")) != std::string::npos);
  unchanged();
  CHECK(absl::IsFailedPrecondition(t.api().remove({service_key("web")}, true, false).status()));

  const auto bad = t.api().apply(shop() + service("x", "198.51.100.999", 0), Condition::kNone, false).status();
  CHECK(absl::IsInvalidArgument(bad));
  const auto payload = bad.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  REQUIRE(payload.has_value());
  google::rpc::BadRequest details;
  REQUIRE(details.ParseFromString(std::string(*payload)));
  std::vector<std::string> fields;
  for (const auto& v : details.field_violations()) fields.push_back(v.field());
  CHECK(fields == std::vector<std::string>{"Service demo/x: status.loadBalancer.ingress[0].ip",
                                           "Service demo/x: spec.ports[0].port"});
  for (const char* text : {"", "# nothing\n", "a: [", "kind: Service\n", "- a\n", "\xff"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(t.api().apply(text, Condition::kNone, false).status()));
  }
  CHECK(absl::IsInvalidArgument(t.api().apply(shop() + shop(), Condition::kNone, false).status()));
  CHECK(absl::IsNotFound(t.api().apply(shop(), Condition::kExists, false).status()));
  const auto dry = t.api().apply(shop(), Condition::kNew, true);
  REQUIRE(dry.ok());
  CHECK(dry->objects[0].action == Action::kCreated);
  CHECK(absl::IsNotFound(t.rig.daemon().get_object(service_key("shop")).status()));
  unchanged();

  REQUIRE(t.api().apply(shop(), Condition::kNew, false).ok());
  CHECK(absl::IsAlreadyExists(t.api().apply(shop(), Condition::kNew, false).status()));
  CHECK(t.api().remove({service_key("shop")}, false, true)->size() == 1);
  CHECK(t.rig.daemon().get_object(service_key("shop")).ok());
}

TEST_CASE("api: a contradiction is told, and what was in force goes on", "[api]") {
  Started t;
  const auto taken = t.api().apply(service("zoo", "198.51.100.1"), Condition::kNone, false);
  REQUIRE(taken.ok());
  REQUIRE(taken->problems.size() == 1);
  CHECK(taken->problems[0].field == "status.loadBalancer.ingress[0].ip");
  CHECK(t.rig.engine.state().services.at(kWeb).reals_size() == 2);
  const auto again = t.api().apply(service("zoo", "198.51.100.1"), Condition::kNone, true);
  REQUIRE(again.ok());
  CHECK(again->objects[0].action == Action::kUnchanged);
  CHECK(again->problems == taken->problems);
  const auto mended = t.api().apply(service("zoo", "198.51.100.3"), Condition::kExists, false);
  REQUIRE(mended.ok());
  CHECK(mended->problems.empty());
}

TEST_CASE("api: what was in force goes on after a restart too", "[api]") {
  Started t;
  const std::string zoo = "demo/zoo:http@198.51.100.8:80/TCP";
  REQUIRE(t.api().apply(shop() + service("zoo", "198.51.100.8"), Condition::kNone, false).ok());
  const std::string wrong = service("zoo", "198.51.100.1") + slice_yaml("shop", {{"10.0.0.7", "ready"}}, 81);
  const auto taken = t.api().apply(wrong, Condition::kNone, false);
  REQUIRE(taken.ok());
  CHECK(taken->problems.size() == 2);
  const auto in_force = [&](const auto& s) { return has(s, zoo) && weight_of(s, kShop, "10.0.0.7") == 1; };
  CHECK(t.rig.engine.wait(in_force));
  for (int restarts = 0; restarts < 2; ++restarts) {
    REQUIRE(restart(t.rig));
    CHECK(in_force(t.rig.engine.state()));
    // The latest form is still what it was told, and still wrong.
    CHECK(t.rig.daemon().get_object(service_key("zoo"))->manifest.find("198.51.100.1\n") != std::string::npos);
    CHECK(t.rig.wait_problem("Service demo/zoo", "status.loadBalancer.ingress[0].ip").has_value());
    CHECK(t.rig.wait_problem("EndpointSlice demo/shop-1", "ports[0].port").has_value());
  }

  // What is removed leaves no form behind for another of its name.
  REQUIRE(t.api().remove({service_key("zoo")}, false, false).ok());
  CHECK(t.rig.engine.wait([&](const auto& s) { return !has(s, zoo); }));
  REQUIRE(t.api().apply(service("zoo", "198.51.100.1"), Condition::kNone, false).ok());
  REQUIRE(restart(t.rig));
  CHECK_FALSE(has(t.rig.engine.state(), zoo));
}

TEST_CASE("api: what becomes wrong while the daemon is away leaves in force what was", "[api]") {
  Rig rig;
  const auto gateway = [](const std::string& mode) {
    return "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: main}\nspec: {forwardingMode: " +
           mode + ", snat: [{address: 192.0.2.1, dedicated: true}]}\n";
  };
  rig.manifest("gateway.yaml", gateway("nat"));
  REQUIRE(rig.start().ok());
  const std::string translated = service_yaml("shop", "198.51.100.7", "", 80, 8080);
  REQUIRE(rig.daemon().api().apply(translated, Condition::kNone, false).ok());
  REQUIRE(rig.engine.wait([](const auto& s) { return has(s, kShop); }));
  rig.stop();
  rig.manifest("gateway.yaml", gateway("dsr-l2"));
  REQUIRE(restart(rig));
  CHECK(rig.wait_problem("Service demo/shop", "spec.ports[0].targetPort").has_value());
  CHECK(has(rig.engine.state(), kShop));
}

TEST_CASE("api: a list's items become objects that stand on their own", "[api]") {
  Started t;
  const char* items = R"({"apiVersion": "v1", "kind": "ServiceList", "items": [{"metadata": {"name": "a",
      "namespace": "demo", "annotations": {"note": "yes: \"no\"\n"}}, "spec": {"type": "ClusterIP"}}]})";
  const auto made = t.api().apply(items, Condition::kNone, true);
  REQUIRE(made.ok());
  REQUIRE(t.api().apply(items, Condition::kNone, false).ok());
  CHECK(made->objects[0].after.starts_with("apiVersion: v1\nkind: Service\nmetadata:\n  annotations:\n    note: "));
  REQUIRE(t.rig.start().ok());
  CHECK(t.rig.daemon().get_object(service_key("a"))->manifest == made->objects[0].after);
}

TEST_CASE("api: a manifest that has an object of the API's comes second, also after a restart", "[api]") {
  Started t;
  REQUIRE(t.api().apply(shop(), Condition::kNone, false).ok());
  REQUIRE(t.rig.engine.wait([](const auto& s) { return has(s, kShop); }));
  t.rig.manifest("shop.yaml", service("shop", "198.51.100.55"));
  for (const bool restarted : {false, true}) {
    INFO(restarted);
    if (restarted) REQUIRE(t.rig.start().ok());
    const auto p = t.rig.wait_problem("Service demo/shop", "metadata.name");
    REQUIRE(p.has_value());
    CHECK(p->file == t.rig.path("shop.yaml"));
    CHECK(t.rig.daemon().get_object(service_key("shop"))->manifest.find("198.51.100.7") != std::string::npos);
  }
  // Once the API's has gone, the file's holds.
  REQUIRE(t.api().remove({service_key("shop")}, false, false).ok());
  CHECK(t.rig.engine.wait([](const auto& s) { return has(s, "demo/shop:http@198.51.100.55:80/TCP"); }));
}

TEST_CASE("api: what can't be read of the state is told, and the rest is taken", "[api]") {
  Started t;
  REQUIRE(t.api().apply(shop(), Condition::kNone, false).ok());
  REQUIRE(t.api().set_weight({{}, {}, *net::parse_ip("10.0.0.1")}, 0).ok());
  write_file(t.objects() + "/service@demo@bad.yaml", "a: [");
  write_file(t.objects() + "/.draft-7", "left by a crash");
  write_file(t.weights() + "/@@10.0.0.9.yaml", "weight: 1\n");
  REQUIRE(t.rig.start().ok());
  const auto told = [&](const std::string& file) {
    return t.rig.wait([&](const Snapshot& s) {
      return std::any_of(s.problems.begin(), s.problems.end(), [&](const Problem& p) { return p.file == file; });
    });
  };
  CHECK(told(t.objects() + "/service@demo@bad.yaml")->problems.size() == 2);
  CHECK(told(t.weights() + "/@@10.0.0.9.yaml")->overrides.size() == 1);
  CHECK(t.rig.engine.wait([](const auto& s) { return s.connections == 2 && has(s, kShop); }));
  CHECK_FALSE(std::filesystem::exists(t.objects() + "/.draft-7"));
  CHECK(t.rig.wait([](const Snapshot& s) { return s.files.size() == 1; }) != nullptr);  // none of them is a manifest

  // What can't be read is replaced or removed as any other.
  REQUIRE(t.api().remove({service_key("bad")}, false, false).ok());
  CHECK(t.api().reset_weight({{}, {}, *net::parse_ip("10.0.0.9")}, true)->weight.has_value() == false);
  CHECK(t.rig.wait([](const Snapshot& s) { return s.problems.empty(); }) != nullptr);
  CHECK(names_in(t.objects()).size() == 2);
  CHECK(names_in(t.weights()).size() == 1);
}

TEST_CASE("api: an object whose file is empty goes on in its last good form, and is told", "[api]") {
  Started t;
  REQUIRE(t.api().apply(shop(), Condition::kNone, false).ok());
  REQUIRE(t.rig.engine.wait([](const auto& s) { return has(s, kShop); }));
  const std::string path = t.objects() + "/service@demo@shop.yaml";
  for (int times = 0; times < 2; ++times) {
    t.rig.stop();
    write_file(path, "");
    REQUIRE(restart(t.rig));
    const auto told = [&](const Snapshot& s) {
      return std::ranges::any_of(s.problems, [&](const Problem& p) { return p.file == path; });
    };
    CHECK(told(*t.rig.wait(told)));
    CHECK(has(t.rig.engine.state(), kShop));
  }
  REQUIRE(t.api().remove({service_key("shop")}, false, false).ok());
  CHECK(t.rig.engine.wait([](const auto& s) { return !has(s, kShop); }));
}

TEST_CASE("api: objects whose names could be taken for each other have files of their own", "[api]") {
  Started t;
  const auto named = [](const std::string& ns, const std::string& name, const std::string& vip) {
    std::string text = service(name, vip);
    text.replace(text.find("namespace: demo"), 15, "namespace: " + ns);
    return text;
  };
  REQUIRE(t.api().apply(named("a.b", "c", "198.51.100.21"), Condition::kNone, false).ok());
  REQUIRE(t.api().apply(named("a", "b.c", "198.51.100.22"), Condition::kNone, false).ok());
  CHECK(names_in(t.objects()).size() == 2);
  CHECK(t.rig.engine.wait([](const auto& s) {
    return has(s, "a.b/c:http@198.51.100.21:80/TCP") && has(s, "a/b.c:http@198.51.100.22:80/TCP");
  }));
}

TEST_CASE("api: a weight that is set wins over the slice's until it is reset", "[api]") {
  Started t;
  const net::IpAddress one = *net::parse_ip("10.0.0.1");
  const auto wait_weight = [&](const std::string& real, uint32_t weight) {
    return t.rig.engine.wait([&](const auto& s) { return weight_of(s, kWeb, real) == weight; });
  };
  CHECK(absl::IsNotFound(t.api().set_weight({{}, {}, *net::parse_ip("10.9.9.9")}, 0).status()));
  CHECK(absl::IsNotFound(t.api().set_weight({"demo", "shop", one}, 0).status()));
  CHECK(absl::IsInvalidArgument(t.api().set_weight({{}, {}, one}, 65'536).status()));
  CHECK(absl::IsNotFound(t.api().reset_weight({{}, {}, one}, false).status()));
  CHECK(names_in(t.weights()).empty());

  const auto services = t.api().set_weight({{}, {}, one}, 0);
  REQUIRE(services.ok());
  CHECK(services->services == std::vector<ObjectKey>{service_key("web")});
  CHECK(services->except.empty());
  CHECK(
      t.api().reset_weight({"demo", "web", one}, false).status().message() ==
      "no weight was set for backend 10.0.0.1 of Service demo/web, but for 10.0.0.1 of every Service: guideway status "
      "lists what is set");
  CHECK(wait_weight("10.0.0.1", 0));
  CHECK(weight_of(t.rig.engine.state(), kWeb, "10.0.0.2") == 1);
  // A Service's own goes before that of all, whatever the file says, also after a restart.
  REQUIRE(t.api().set_weight({"demo", "web", one}, 5).ok());
  CHECK(wait_weight("10.0.0.1", 5));
  // Nor is it said to be drained then.
  const auto none = t.api().set_weight({{}, {}, one}, 0);
  REQUIRE(none.ok());
  CHECK(none->services.empty());
  CHECK(none->except == std::vector<ObjectKey>{service_key("web")});
  t.rig.manifest("web.yaml",
                 service("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.3", "ready"}}));
  CHECK(wait_weight("10.0.0.3", 1));
  CHECK(wait_weight("10.0.0.1", 5));
  REQUIRE(t.rig.start().ok());
  CHECK(t.rig.engine.wait([](const auto& s) { return s.connections == 2 && weight_of(s, kWeb, "10.0.0.1") == 5; }));
  const SnapshotPtr s = t.rig.wait([](const Snapshot& x) { return x.overrides.size() == 2; });
  CHECK(s->overrides.at({"demo", "web", one}).weight == 5);
  CHECK(s->overrides.at({"demo", "web", one}).since.size() == 20);

  CHECK(absl::IsFailedPrecondition(t.api().reset_weight({"demo", "web", one}, true).status()));
  const auto own = t.api().reset_weight({"demo", "web", one}, false);
  REQUIRE(own.ok());
  CHECK(own->weight == 5);
  CHECK(own->instead == 0);
  CHECK(wait_weight("10.0.0.1", 0));
  const auto all = t.api().reset_weight({{}, {}, one}, true);
  REQUIRE(all.ok());
  CHECK(all->weight == 0);
  CHECK(!all->instead);
  CHECK(wait_weight("10.0.0.1", 1));
  CHECK(names_in(t.weights()).empty());
}

// Whichever of the writers was last: what is in force is what is on the disk.
TEST_CASE("api: writers at the same time leave one state", "[api]") {
  Started t;
  std::vector<std::thread> writers;
  std::atomic<unsigned> failed = 0;
  for (unsigned w = 0; w < 8; ++w)
    writers.emplace_back([&, w] {
      for (unsigned i = 0; i < 20; ++i) {
        const std::string name = "s" + std::to_string(i % 4);
        const std::string vip = "198.51." + std::to_string(w) + "." + std::to_string(i + 1);
        if (!t.api().apply(service(name, vip), Condition::kNone, false).ok()) ++failed;
      }
    });
  for (std::thread& w : writers) w.join();
  CHECK(failed == 0);
  CHECK(names_in(t.objects()).size() == 4);
  std::vector<std::string> manifests;
  for (unsigned i = 0; i < 4; ++i) {
    const std::string name = "s" + std::to_string(i);
    manifests.push_back(t.rig.daemon().get_object(service_key(name))->manifest);
    CHECK(manifests.back() == *read_whole_file(t.objects() + "/service@demo@" + name + ".yaml"));
  }
  REQUIRE(t.rig.start().ok());
  for (unsigned i = 0; i < 4; ++i)
    CHECK(t.rig.daemon().get_object(service_key("s" + std::to_string(i)))->manifest == manifests[i]);
}

}  // namespace guideway::mgmt
