#include "mgmt/compile/compiler.h"

#include <catch2/catch.hpp>

#include <set>

#include "mgmt/engine_link/frame.h"
#include "mgmt/source/decode.h"
#include "mgmt/source/yaml.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

// Store and compiler, fed with texts.
struct Bench {
  Store store;
  Compiler compiler{store};

  Delta put(const std::string& file, const std::string& text) {
    const auto parsed = parse_yaml(text);
    Decoded d = decode(std::get<Tree>(parsed), file, HostPorts());
    const auto keys = store.put_file(
        file, {std::move(d.objects), std::move(d.refused), d.unnamed, std::move(d.problems), std::move(d.skipped)});
    return compiler.update(keys);
  }
  Delta remove(const std::string& file) { return compiler.update(store.remove_file(file)); }
  engine::Service message(const std::string& name) const {
    const auto it = compiler.entries().find(name);
    if (it == compiler.entries().end()) return {};
    std::string_view bytes = it->second->frame;
    return (*take_frame(bytes))->service();
  }
  std::string owner_of_vip() const {
    return compiler.entries().empty() ? "" : compiler.entries().begin()->second->service->key.name;
  }
};

std::string gateway_yaml(const std::string& spec) {
  return "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec: {snat: [{address: "
         "192.0.2.1, "
         "dedicated: true}], " +
         spec + "}\n";
}

constexpr const char* kName = "demo/web:http@198.51.100.1:80/TCP";

std::string created(int day) { return "  creationTimestamp: \"2026-01-0" + std::to_string(day) + "T00:00:00Z\"\n"; }

}  // namespace

TEST_CASE("compile: what several SourceFilters deny is told once, and only the parts that change") {
  Bench b;
  const auto filter = [](const std::string& name, const std::string& cidrs) {
    return "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: " + name +
           "}\nspec: {deniedCIDRs: [" + cidrs + "]}\n";
  };
  const auto told = [&] {
    std::set<std::string> all;
    for (const auto& [part, frame] : b.compiler.denied().frames) {
      std::string_view bytes = *frame;
      const engine::Envelope e = **take_frame(bytes);
      CHECK(e.denied_sources().part() == part);
      for (const auto& [text, size] :
           {std::pair{e.denied_sources().ipv4(), size_t{5}}, {e.denied_sources().ipv6(), 17}})
        for (size_t at = 0; at < text.size(); at += size) {
          const net::Prefix p{*net::ip_of_bytes(std::string_view(text).substr(at, size - 1)),
                              static_cast<uint8_t>(text[at + size - 1])};
          CHECK(net::part_of(p) == part);
          CHECK(all.insert(net::to_string(p)).second);
        }
    }
    return all;
  };
  CHECK(b.put("f", filter("one", "192.0.2.0/24, \"2001:db8::/32\", 192.0.2.0/24")).denied);
  CHECK(b.put("g", filter("two", "192.0.2.0/24, 192.0.2.0/25")).denied);
  CHECK(told() == std::set<std::string>{"192.0.2.0/24", "192.0.2.0/25", "2001:db8::/32"});
  CHECK(b.compiler.denied().prefixes == 3);
  CHECK((b.compiler.denied().lengths_ipv4 == 2 && b.compiler.denied().lengths_ipv6 == 1));
  const auto before = b.compiler.denied().frames;
  CHECK_FALSE(b.put("g", filter("two", "192.0.2.0/25")).denied);  // the other one denies it still
  CHECK(b.put("g", filter("two", "192.0.2.0/26")).denied);
  CHECK(b.remove("f").denied);
  CHECK(told() == std::set<std::string>{"192.0.2.0/26"});
  CHECK(b.put("h", filter("three", "192.0.2.0/25")).denied);
  const auto part = net::part_of(*net::parse_prefix("192.0.2.0/25"));
  CHECK(*b.compiler.denied().frames.at(part) == *before.at(part));
}

TEST_CASE("compile: rate limits of a Service and of sources; of several the oldest SourceFilter's") {
  Bench b;
  const auto filter = [](const std::string& name, int day, int rate) {
    return "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata:\n  name: " + name + "\n" + created(day) +
           "spec: {sourceRateLimit: {packetsPerSecond: " + std::to_string(rate) + "}}\n";
  };
  const auto rate = [&] {
    std::string_view bytes = b.compiler.gateway_frame();
    return (*take_frame(bytes))->gateway().source_rate().packets_per_second();
  };
  CHECK(rate() == 0);
  CHECK(b.put("f", filter("young", 2, 500)).gateway);
  CHECK(rate() == 500);
  CHECK(b.put("g", filter("old", 1, 700)).gateway);
  CHECK(rate() == 700);
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].object == "SourceFilter young");
  CHECK(b.compiler.problems()[0].field == "spec.sourceRateLimit");
  b.put("h", gateway_yaml("announce: none"));
  CHECK(rate() == 700);
  CHECK(b.remove("g").gateway);
  CHECK(rate() == 500);
  CHECK(b.compiler.problems().empty());
  b.put("w", service_yaml("web", "198.51.100.1", "  annotations:\n    guideway.io/rate-limit-pps: \"300\"\n") +
                 slice_yaml("web", {{"10.0.0.1", "ready"}}));
  CHECK(b.message(kName).rate_limit() == 300);
}

TEST_CASE("compile: a service, its backends and their states") {
  Bench b;
  b.put("g", gateway_yaml(""));
  const Delta d = b.put(
      "f", service_yaml("web", "198.51.100.1") +
               slice_yaml("web", {{"10.0.0.3", "ready"}, {"10.0.0.1", "terminating"}, {"10.0.0.2", "gone"}}, 8080));
  REQUIRE(d.changed.size() == 1);
  const engine::Service s = b.message(kName);
  CHECK(s.name() == kName);
  CHECK(s.port() == 80);
  CHECK(s.protocol() == 6);
  CHECK(s.mode() == engine::FORWARDING_MODE_NAT);
  CHECK(s.table_size() == 16381);
  REQUIRE(s.reals_size() == 2);
  CHECK(s.reals(0).state() == engine::Real::STATE_TERMINATING);
  CHECK(s.reals(0).address() == std::string("\x0a\x00\x00\x01", 4));
  CHECK(s.reals(1).state() == engine::Real::STATE_READY);
  CHECK(s.reals(1).port() == 8080);
  CHECK(s.reals(1).weight() == 1);
  CHECK(d.changed[0]->backends.size() == 3);
  CHECK(b.compiler.problems().empty());
}

TEST_CASE("compile: a delta holds what differs and nothing else") {
  Bench b;
  b.put("g", gateway_yaml(""));
  std::string text;
  for (const char* n : {"a", "b", "c"})
    text += service_yaml(n, std::string("198.51.100.") + std::to_string(n[0])) + slice_yaml(n, {{"10.0.0.1", "ready"}});
  CHECK(b.put("f", text).changed.size() == 3);
  CHECK(b.put("f", text).empty());
  std::string other = text;
  other.replace(other.rfind("10.0.0.1"), 8, "10.0.0.9");
  const Delta d = b.put("f", other);
  REQUIRE(d.changed.size() == 1);
  CHECK(d.changed[0]->name == "demo/c:http@198.51.100.99:80/TCP");
  CHECK(b.put("f", "# moved down\n" + other).empty());
  const Delta gone = b.remove("f");
  CHECK(gone.removed.size() == 3);
  CHECK(gone.changed.empty());
}

TEST_CASE("compile: a delta tells which forms are to be kept anew, and no others") {
  const ObjectKey service{Kind::kService, "demo", "web"};
  const ObjectKey slice{Kind::kEndpointSlice, "demo", "web-1"};
  using Keys = std::set<ObjectKey>;
  Bench b;
  b.put("g", gateway_yaml("forwardingMode: nat"));
  CHECK(b.put("s", service_yaml("web", "198.51.100.1")).reformed == Keys{service});
  CHECK(b.put("e", slice_yaml("web", {{"10.0.0.1", "ready"}})).reformed == Keys{slice});
  CHECK(b.put("e", slice_yaml("web", {{"10.0.0.2", "ready"}})).reformed == Keys{slice});
  CHECK(b.put("g", gateway_yaml("forwardingMode: nat, announce: l2")).reformed.size() == 1);
  CHECK(b.put("g", gateway_yaml("forwardingMode: dsr-l2")).reformed.contains(service));
  CHECK(b.put("t", slice_yaml("web", {{"10.0.0.3", "ready"}})).reformed.empty());  // another file has it first
  CHECK(b.remove("e").reformed == Keys{slice});
}

TEST_CASE("compile: slices merge; the better state of a duplicate counts; families stay apart") {
  Bench b;
  b.put("g", gateway_yaml(""));
  b.put("f", service_yaml("web", "198.51.100.1") +
                 slice_yaml("web", {{"10.0.0.1", "terminating"}, {"10.0.0.2", "ready"}}) +
                 slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "gone"}}, 80, "2") +
                 slice_yaml("web", {{"fd00::1", "ready"}}, 80, "6") + slice_yaml("other", {{"10.0.0.7", "ready"}}));
  const engine::Service s = b.message(kName);
  REQUIRE(s.reals_size() == 2);
  CHECK(s.reals(0).state() == engine::Real::STATE_READY);
  CHECK(s.reals(1).state() == engine::Real::STATE_READY);
}

TEST_CASE("compile: a tunnel takes backends of the other family where there are none of the VIP's own") {
  const std::string four = slice_yaml("web", {{"10.0.0.1", "gone"}});
  const std::string six = slice_yaml("web", {{"fd00::1", "ready"}}, 80, "6");
  for (const char* mode : {"dsr-l2", "dsr-ipip", "dsr-gue", "nat"}) {
    INFO(mode);
    Bench b;
    b.put("g", gateway_yaml("forwardingMode: " + std::string(mode)));
    b.put("f", service_yaml("web", "198.51.100.1") + six);
    const bool tunnel = *parse_forwarding_mode(mode) == ForwardingMode::kDsrIpip ||
                        *parse_forwarding_mode(mode) == ForwardingMode::kDsrGue;
    REQUIRE(b.message(kName).reals_size() == (tunnel ? 1 : 0));
    if (tunnel) CHECK(b.message(kName).reals(0).address().size() == 16);
    b.put("f", service_yaml("web", "198.51.100.1") + six + four);
    CHECK(b.message(kName).reals_size() == 0);
  }
}

TEST_CASE("compile: weights, and the larger one of a backend in two slices") {
  Bench b;
  const auto weighted = [](std::string slice, const std::string& weight) {
    return slice.insert(slice.find("  labels:"), "  annotations:\n    service.cilium.io/weight: \"" + weight + "\"\n");
  };
  b.put("f", service_yaml("web", "198.51.100.1") +
                 weighted(slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "ready"}}), "3") +
                 weighted(slice_yaml("web", {{"10.0.0.2", "ready"}, {"10.0.0.3", "ready"}}, 80, "2"), "0"));
  const engine::Service s = b.message(kName);
  REQUIRE(s.reals_size() == 3);
  CHECK((s.reals(0).weight() == 3 && s.reals(1).weight() == 3 && s.reals(2).weight() == 0));
}

TEST_CASE("compile: whether new connections are taken") {
  Bench b;
  const auto weighted = [](std::string slice, const std::string& weight) {
    return slice.insert(slice.find("  labels:"), "  annotations:\n    service.cilium.io/weight: \"" + weight + "\"\n");
  };
  const auto takes_new = [&](const std::string& slices) {
    b.put("f", service_yaml("web", "198.51.100.1") + slices);
    return b.compiler.entries().at(kName)->takes_new;
  };
  const std::string drained = weighted(slice_yaml("web", {{"10.0.0.1", "ready"}}), "0");
  CHECK_FALSE(takes_new(""));
  CHECK_FALSE(takes_new(slice_yaml("web", {{"10.0.0.1", "gone"}})));
  CHECK_FALSE(takes_new(drained));
  CHECK_FALSE(takes_new(weighted(slice_yaml("web", {{"10.0.0.1", "terminating"}}), "0")));
  CHECK(takes_new(slice_yaml("web", {{"10.0.0.1", "terminating"}})));
  CHECK(takes_new(drained + slice_yaml("web", {{"10.0.0.2", "terminating"}}, 80, "2")));
  CHECK(takes_new(drained + slice_yaml("web", {{"10.0.0.2", "ready"}}, 80, "2")));
}

TEST_CASE("compile: any port of the protocols that the service names, beside another one's single port") {
  Bench b;
  std::string any = service_yaml("web", "198.51.100.1", "  annotations:\n    guideway.io/any-port: \"true\"\n");
  any.insert(any.find("  type:"), "  - {name: s, port: 81}\n  - {name: u, port: 81, protocol: UDP}\n");
  b.put("f", any + service_yaml("single", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}, 8080));
  CHECK(b.compiler.entries().size() == 3);
  CHECK(b.message("demo/single:http@198.51.100.1:80/TCP").port() == 80);
  const engine::Service tcp = b.message("demo/web:@198.51.100.1:0/TCP");
  CHECK(tcp.port() == 0);
  REQUIRE(tcp.reals_size() == 1);
  CHECK(tcp.reals(0).port() == 0);
  // The slice names no UDP port.
  CHECK(b.message("demo/web:@198.51.100.1:0/UDP").protocol() == 17);
  CHECK(b.message("demo/web:@198.51.100.1:0/UDP").reals_size() == 0);
}

TEST_CASE("compile: what a Service and GatewayConfig say reaches the engine's messages") {
  Bench b;
  b.put("g", gateway_yaml("announce: l2, encapsulation: {sourceIPv4: 198.18.0.0/16, sourceIPv6: \"2001:db8::9\"}, "
                          "idleTimeouts: {established: 1h, setup: 10s, closing: 20s, udp: 30s}, "
                          "floodGuard: {newFlowsPerSecond: 1000}, icmpErrorsPerSecond: 50"));
  std::string_view bytes = b.compiler.gateway_frame();
  const engine::Gateway g = (*take_frame(bytes))->gateway();
  REQUIRE(g.snat_size() == 1);
  CHECK((g.snat(0).dedicated() && g.snat(0).announce()));
  CHECK((g.encap_source_ipv4().size() == 4 && g.encap_prefix_ipv4() == 16));
  CHECK((g.encap_source_ipv6().size() == 16 && g.encap_prefix_ipv6() == 128));
  const engine::IdleTimeouts& t = g.idle_timeouts();
  CHECK((t.established() == 3600 && t.setup() == 10 && t.closing() == 20 && t.udp() == 30));
  CHECK((g.new_flow_rate() == 1000 && g.icmp_rate() == 50));

  std::string yaml = service_yaml("web", "198.51.100.1",
                                  "  annotations:\n    guideway.io/mtu: \"1400\"\n    guideway.io/forwarding-mode: "
                                  "dsr-gue\n    service.cilium.io/src-ranges-policy: deny\n");
  yaml.insert(yaml.find("  type:"),
              "  sessionAffinity: ClientIP\n  loadBalancerSourceRanges: [10.0.0.0/8, \"2001:db8::/32\"]\n");
  b.put("f", yaml);
  const engine::Service s = b.message(kName);
  CHECK(s.mode() == engine::FORWARDING_MODE_DSR_GUE);
  CHECK((s.mtu() == 1400 && s.affinity_seconds() == 10800 && s.source_ranges_deny() && s.announce()));
  REQUIRE(s.source_ranges_size() == 2);
  CHECK((s.source_ranges(0).address() == std::string("\x0a\0\0\0", 4) && s.source_ranges(0).length() == 8));
  CHECK((s.source_ranges(1).address().size() == 16 && s.source_ranges(1).length() == 32));
  // What doesn't say otherwise follows the gateway's default.
  CHECK(b.put("g", gateway_yaml("announce: none")).changed.size() == 1);
  CHECK_FALSE(b.message(kName).announce());
}

TEST_CASE("compile: a slice's port is found by name and protocol") {
  Bench b;
  b.put("g", gateway_yaml(""));
  std::string slice = slice_yaml("web", {{"10.0.0.1", "ready"}});
  b.put("f", service_yaml("web", "198.51.100.1") + slice);
  CHECK(b.message(kName).reals_size() == 1);
  std::string named = slice;
  named.replace(named.find("name: http"), 10, "name: https");
  b.put("f", service_yaml("web", "198.51.100.1") + named);
  CHECK(b.message(kName).reals_size() == 0);
  std::string any = slice;
  any.erase(any.find("  port: 80\n"), 11);
  b.put("f", service_yaml("web", "198.51.100.1") + any);
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].field == "ports[0].port");
  CHECK(b.compiler.problems()[0].object == "EndpointSlice demo/web-1");
  // The last good form of the slice stays in force.
  CHECK(b.message(kName).reals_size() == 0);
}

TEST_CASE("compile: publishNotReadyAddresses") {
  Bench b;
  std::string yaml = service_yaml("web", "198.51.100.1");
  yaml.insert(yaml.find("  type:"), "  publishNotReadyAddresses: true\n");
  b.put("f", yaml + slice_yaml("web", {{"10.0.0.1", "gone"}}));
  CHECK(b.message(kName).reals_size() == 1);
}

TEST_CASE("compile: the older of two claimants has the VIP, whatever the order of arrival") {
  for (const bool older_first : {true, false}) {
    Bench b;
    const std::string older = service_yaml("zz", "198.51.100.1", created(1));
    const std::string younger = service_yaml("aa", "198.51.100.1", created(2));
    b.put("1", older_first ? older : younger);
    const Delta d = b.put("2", older_first ? younger : older);
    CHECK(b.owner_of_vip() == "zz");
    CHECK(b.compiler.entries().size() == 1);
    CHECK(d.changed.size() == (older_first ? 0 : 1));
    CHECK(d.removed.size() == (older_first ? 0 : 1));
    const std::string loser = older_first ? "2" : "1";
    const auto problems = b.compiler.problems();
    const auto p = std::find_if(problems.begin(), problems.end(), [&](const Problem& q) { return q.file == loser; });
    REQUIRE(p != problems.end());
    CHECK(p->field == "status.loadBalancer.ingress[0].ip");
    CHECK(p->line == 18);
    CHECK(p->text.find("Service demo/zz") != std::string::npos);
    CHECK(b.compiler.refused().size() == 1);
    // What it held becomes free again.
    b.remove(older_first ? "1" : "2");
    CHECK(b.owner_of_vip() == "aa");
  }
}

TEST_CASE("compile: a service that moves to a VIP of another keeps its own") {
  Bench b;
  b.put("g", gateway_yaml(""));
  b.put("1", service_yaml("a", "198.51.100.1", created(1)));
  b.put("2", service_yaml("b", "198.51.100.2", created(2)) + slice_yaml("b", {{"10.0.0.1", "ready"}}));
  CHECK(b.put("2", service_yaml("b", "198.51.100.1", created(2)) + slice_yaml("b", {{"10.0.0.1", "ready"}})).empty());
  CHECK(b.message("demo/b:http@198.51.100.2:80/TCP").reals_size() == 1);
  CHECK(b.compiler.problems().size() == 1);
  // Its backends change while it waits, and reach the form that is in force.
  b.put("2", service_yaml("b", "198.51.100.1", created(2)) + slice_yaml("b", {{"10.0.0.1", "gone"}}));
  CHECK(b.message("demo/b:http@198.51.100.2:80/TCP").reals_size() == 0);
  b.remove("1");
  CHECK(b.compiler.entries().size() == 1);
  CHECK(b.compiler.entries().contains("demo/b:http@198.51.100.1:80/TCP"));
  CHECK(b.compiler.problems().empty());
}

TEST_CASE("compile: DSR can't translate ports") {
  Bench b;
  const std::string dsr = "  annotations:\n    guideway.io/forwarding-mode: dsr-ipip\n";
  b.put("f", service_yaml("web", "198.51.100.1", dsr, 80, 8080));
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].field == "spec.ports[0].targetPort");
  CHECK(b.compiler.problems()[0].line == 14);
  CHECK(b.compiler.entries().empty());
  b.put("f", service_yaml("web", "198.51.100.1", dsr) + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  CHECK(b.message(kName).mode() == engine::FORWARDING_MODE_DSR_IPIP);
  // The slice moves to another port: its last good form stays.
  b.put("f", service_yaml("web", "198.51.100.1", dsr) + slice_yaml("web", {{"10.0.0.2", "ready"}}, 8080));
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].object == "EndpointSlice demo/web-1");
  REQUIRE(b.message(kName).reals_size() == 1);
  CHECK(b.message(kName).reals(0).port() == 80);
}

TEST_CASE("compile: a slice that is wrong beside the form in force isn't good, whatever is wrong with the latest") {
  Bench b;
  const std::string dsr = created(2) + "  annotations:\n    guideway.io/forwarding-mode: dsr-ipip\n";
  b.put("g", gateway_yaml(""));
  b.put("1", service_yaml("a", "198.51.100.2", created(1)));
  b.put("2", service_yaml("web", "198.51.100.1", dsr) + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  b.put("2", service_yaml("web", "198.51.100.2", dsr) + slice_yaml("web", {{"10.0.0.2", "ready"}}, 8080));
  CHECK(b.compiler.problems().size() == 2);
  b.put("1", service_yaml("a", "198.51.100.2", created(1), 80, 81));  // and once more
  CHECK(b.compiler.problems().size() == 2);
  REQUIRE(b.message(kName).reals_size() == 1);
  CHECK(b.message(kName).reals(0).port() == 80);
}

TEST_CASE("compile: a new default that a service can't follow leaves it as it was") {
  Bench b;
  b.put("g", gateway_yaml("forwardingMode: nat"));
  b.put("f", service_yaml("web", "198.51.100.1", "", 80, 8080) + slice_yaml("web", {{"10.0.0.1", "ready"}}, 8080) +
                 service_yaml("equal", "198.51.100.2"));
  const Delta d = b.put("g", gateway_yaml("forwardingMode: dsr-ipip"));
  REQUIRE(d.changed.size() == 1);
  CHECK(d.changed[0]->mode == ForwardingMode::kDsrIpip);
  CHECK(b.message(kName).mode() == engine::FORWARDING_MODE_NAT);
  CHECK(b.message(kName).reals_size() == 1);
  CHECK(b.compiler.mode_of({Kind::kService, "demo", "web"}) == ForwardingMode::kNat);
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].field == "spec.ports[0].targetPort");
}

TEST_CASE("compile: an SNAT address can't be a VIP, and the VIP is back once it is none") {
  Bench b;
  const std::string free = gateway_yaml("").replace(gateway_yaml("").find("192.0.2.1"), 9, "192.0.2.7");
  b.put("g", free);
  b.put("f", service_yaml("web", "192.0.2.1", created(1)));
  CHECK(b.compiler.entries().size() == 1);
  const Delta d = b.put("g", gateway_yaml(""));
  CHECK((d.gateway && d.removed.size() == 1));
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].object == "Service demo/web");
  CHECK(b.compiler.problems()[0].text.find("SNAT address of GatewayConfig g (g)") != std::string::npos);
  CHECK(b.compiler.refused().size() == 1);
  CHECK(b.put("g", free).changed.size() == 1);
  CHECK(b.compiler.problems().empty());
}

TEST_CASE("compile: a GatewayConfig that is moved in its file changes nothing") {
  Bench b;
  b.put("g", gateway_yaml(""));
  CHECK(b.put("g", "# moved down\n" + gateway_yaml("")).empty());
}

TEST_CASE("compile: the same objects come to the same result, whatever the order of arrival") {
  const std::map<std::string, std::string> files = {
      {"a", service_yaml("a", "192.0.2.1", created(1))},  // an SNAT address
      {"b", service_yaml("b", "198.51.100.1", created(2))},
      {"c", service_yaml("c", "198.51.100.1", created(3)) + slice_yaml("c", {{"10.0.0.1", "ready"}})},
      {"g", gateway_yaml("forwardingMode: dsr-ipip")}};
  std::vector<std::string> order;
  for (const auto& [file, text] : files) order.push_back(file);
  std::set<std::string> results;
  do {
    Bench b;
    for (const std::string& file : order) b.put(file, files.at(file));
    std::string result = b.compiler.gateway_frame();
    for (const auto& [name, entry] : b.compiler.entries()) result += entry->frame;
    for (const Problem& p : b.compiler.problems()) result += to_string(p) + "\n";
    results.insert(result);
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(results.size() == 1);
}

TEST_CASE("compile: what is too large for a message is refused, and told by what is large") {
  const auto with = [](size_t backends, size_t ranges) {
    std::string yaml = service_yaml("web", "198.51.100.1");
    yaml.insert(yaml.find("  type:"), "  loadBalancerSourceRanges: [10.0.0.0/8]\n");
    const auto parsed = parse_yaml(yaml + slice_yaml("web", {{"10.0.0.1", "ready"}}));
    const Decoded d = decode(std::get<Tree>(parsed), "f", HostPorts());
    Object service = *d.objects[0];
    Object slice = *d.objects[1];
    auto& prefixes = std::get<Service>(service.body).source_ranges;
    prefixes.resize(ranges, prefixes[0]);
    auto& endpoints = std::get<EndpointSlice>(slice.body).endpoints;
    endpoints.resize(backends, endpoints[0]);
    for (size_t i = 0; i < backends; ++i)
      endpoints[i].address = *net::parse_ip("10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." +
                                            std::to_string(i & 255));
    return FileContents{{std::make_shared<Object>(service), std::make_shared<Object>(slice)}, {}, false, {}, {}};
  };
  struct Case {
    size_t backends;
    size_t ranges;
    std::string field;
    std::string says;
  };
  for (const Case& c : {Case{80'000, 1, "status.loadBalancer.ingress[0].ip", "has 80000 backends"},
                        {1, 120'000, "spec.loadBalancerSourceRanges", "has 120000 source ranges"},
                        {30'000, 80'000, "spec.loadBalancerSourceRanges", "has 80000 source ranges"},
                        {70'000, 20'000, "status.loadBalancer.ingress[0].ip", "has 70000 backends"}}) {
    INFO(c.says);
    Bench b;
    b.put("g", gateway_yaml(""));
    b.compiler.update(b.store.put_file("f", with(1, 1)));
    CHECK(b.compiler.entries().size() == 1);
    b.compiler.update(b.store.put_file("f", with(c.backends, c.ranges)));
    REQUIRE(b.compiler.problems().size() == 1);
    CHECK(b.compiler.problems()[0].field == c.field);
    CHECK(b.compiler.problems()[0].line == (c.ranges > 50'000 ? 13 : 18));
    CHECK(b.compiler.problems()[0].text.starts_with(c.says));
    Bench fresh;
    fresh.put("g", gateway_yaml(""));
    fresh.compiler.update(fresh.store.put_file("f", with(c.backends, c.ranges)));
    CHECK(fresh.compiler.entries().empty());
    REQUIRE(fresh.compiler.refused().size() == 1);
    CHECK(fresh.compiler.refused()[0]->name == kName);
  }
}

TEST_CASE("compile: nat without an SNAT address of its family is told") {
  Bench b;
  b.put("f", service_yaml("web", "2001:db8::1"));
  REQUIRE(b.compiler.problems().size() == 1);
  CHECK(b.compiler.problems()[0].text.find("IPv6") != std::string::npos);
}

TEST_CASE("compile: what GatewayConfig leaves out the engine is told by number") {
  Bench b;
  b.put("g", gateway_yaml("idleTimeouts: {setup: 10s}"));
  std::string_view bytes = b.compiler.gateway_frame();
  const engine::Gateway g = (*take_frame(bytes))->gateway();
  const engine::IdleTimeouts& t = g.idle_timeouts();
  CHECK((t.established() == 7440 && t.setup() == 10 && t.closing() == 60 && t.udp() == 30));
  CHECK((g.new_flow_rate() == 125'000 && g.icmp_rate() == 1000));
  CHECK(g.hash_seed() == seed_of_group("default"));
}

TEST_CASE("compile: a group's seed never changes") {
  // From an independent computation of FNV-1a and gw_mix.
  CHECK(seed_of_group("default") == seed_of_group("default"));
  CHECK(seed_of_group("default") != seed_of_group("east"));
  CHECK(seed_of_group("default") == 0xabe7c08eb75a9140U);
}

}  // namespace guideway::mgmt
