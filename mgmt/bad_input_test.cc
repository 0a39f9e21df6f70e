// What operators get wrong: each case is a text, and the problem that must be shown with its file, document, line and
// field, while the last good state stays in force and everything else is applied.

#include <catch2/catch.hpp>

#include <algorithm>

#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

struct Case {
  const char* description;
  std::string text;
  uint32_t document;
  std::string at;  // the line is the one where this stands first in document 2
  std::string object;
  std::string field;
  std::string says;
};

std::string changed(std::string text, const std::string& what, const std::string& to) {
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), to);
}

// Document 1 is fine and new; the fault stands in document 2, from line 19 on.
std::string second(const std::string& text) { return service_yaml("other", "198.51.100.200") + text; }

std::string web() {
  return service_yaml("web", "198.51.100.1", "  annotations:\n    guideway.io/forwarding-mode: nat\n");
}
std::string slice() { return slice_yaml("web", {{"10.0.0.1", "ready"}}); }
std::string gateway(const std::string& spec) {
  return "---\napiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata:\n  name: g\nspec:\n" + spec;
}

std::string config() { return gateway("  snat:\n  - address: 192.0.2.1\n    ports: 20000-29999\n"); }

uint32_t line_of(const Case& c) {
  const size_t at = c.text.find(c.at, c.text.find("---", 1));
  REQUIRE(at != std::string::npos);
  return static_cast<uint32_t>(std::count(c.text.begin(), c.text.begin() + static_cast<ptrdiff_t>(at), '\n') + 1);
}

std::vector<Case> cases() {
  const std::string w = "Service demo/web";
  const std::string s = "EndpointSlice demo/web-1";
  const std::string g = "GatewayConfig g";
  return {
      {"not YAML", second("---\nkind: [Service\nx: 1\n"), 2, "x: 1", "", "", "not valid YAML"},
      {"a tab", second("---\n\tkind: Service\n"), 2, "\tkind", "", "", "not valid YAML"},
      {"an alias", second("---\nkind: *x\n"), 2, "*x", "", "", "aliases"},
      {"no object", second("---\n- 1\n"), 2, "- 1", "", "", "must be a Kubernetes object"},
      {"no kind", second("---\napiVersion: v1\n"), 2, "apiVersion", "", "kind", "is missing"},
      {"no name", second(changed(web(), "name: web", "x: web")), 2, "x: web", "", "metadata.name", "is missing"},
      {"a name that isn't one", second(changed(web(), "name: web", "name: \"we b\"")), 2, "we b", "", "metadata.name",
       "must be a name: at most 253 letters, digits, '-', '.' and '_'"},
      {"port out of range", second(changed(web(), "port: 80", "port: 80000")), 2, "port: 80000", w,
       "spec.ports[0].port", "from 1 to 65535"},
      {"port missing", second(changed(web(), "    port: 80\n", "")), 2, "- name: http", w, "spec.ports[0].port",
       "is missing"},
      {"protocol unknown", second(changed(web(), "TCP", "ICMP")), 2, "ICMP", w, "spec.ports[0].protocol", "TCP, UDP"},
      {"VIP no address", second(changed(web(), "198.51.100.1", "198.51.100.1/32")), 2, "198.51.100.1/32", w,
       "status.loadBalancer.ingress[0].ip", "must be an IPv4"},
      {"VIP multicast", second(changed(web(), "198.51.100.1", "224.0.0.1")), 2, "224.0.0.1", w,
       "status.loadBalancer.ingress[0].ip", "unicast"},
      {"mode unknown", second(changed(web(), "mode: nat", "mode: gre")), 2, "mode: gre", w,
       "metadata.annotations[guideway.io/forwarding-mode]", "must be dsr-l2"},
      {"annotation of ours unknown", second(changed(web(), "forwarding-mode: nat", "forwarding-mod: nat")), 2,
       "forwarding-mod:", w, "metadata.annotations[guideway.io/forwarding-mod]",
       "known here: guideway.io/forwarding-mode"},
      {"table size no prime", second(changed(web(), "forwarding-mode: nat", "maglev-table-size: \"1000\"")), 2, "1000",
       w, "metadata.annotations[guideway.io/maglev-table-size]", "prime"},
      {"MTU no number", second(changed(web(), "forwarding-mode: nat", "mtu: jumbo")), 2, "jumbo", w,
       "metadata.annotations[guideway.io/mtu]", "from 1280 to 65535"},
      {"MTU too small", second(changed(web(), "forwarding-mode: nat", "mtu: \"500\"")), 2, "500", w,
       "metadata.annotations[guideway.io/mtu]", "from 1280 to 65535"},
      {"any port neither true nor false", second(changed(web(), "forwarding-mode: nat", "any-port: \"yes\"")), 2, "yes",
       w, "metadata.annotations[guideway.io/any-port]", "true"},
      {"any port with another target port",
       second(
           changed(changed(web(), "forwarding-mode: nat", "any-port: \"true\""), "targetPort: 80", "targetPort: 81")),
       2, "any-port", w, "metadata.annotations[guideway.io/any-port]", "spec.ports[0].targetPort"},
      {"announce unknown", second(changed(web(), "forwarding-mode: nat", "announce: bgp")), 2, "bgp", w,
       "metadata.annotations[guideway.io/announce]", "l2 or none"},
      {"algorithm unknown",
       second(changed(web(), "guideway.io/forwarding-mode: nat", "service.cilium.io/lb-algorithm: x")), 2,
       "lb-algorithm", w, "metadata.annotations[service.cilium.io/lb-algorithm]", "maglev or random"},
      {"algorithm that isn't followed",
       second(changed(web(), "guideway.io/forwarding-mode: nat", "service.cilium.io/lb-algorithm: random")), 2,
       "lb-algorithm", w, "metadata.annotations[service.cilium.io/lb-algorithm]", "balances by maglev"},
      {"source policy unknown",
       second(changed(web(), "guideway.io/forwarding-mode: nat", "service.cilium.io/src-ranges-policy: x")), 2,
       "src-ranges-policy", w, "metadata.annotations[service.cilium.io/src-ranges-policy]", "allow or deny"},
      {"source range no prefix",
       second(changed(web(), "  type: LoadBalancer",
                      "  loadBalancerSourceRanges:\n  - 10.0.0.0/33\n  type: LoadBalancer")),
       2, "10.0.0.0/33", w, "spec.loadBalancerSourceRanges[0]", "must be a prefix"},
      {"source range of the annotation no prefix",
       second(changed(web(), "guideway.io/forwarding-mode: nat",
                      "service.beta.kubernetes.io/load-balancer-source-ranges: 10.0.0.0/8;192.0.2.0/24")),
       2, "10.0.0.0/8;", w, "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
       "must be a prefix"},
      {"affinity unknown",
       second(changed(web(), "  type: LoadBalancer", "  sessionAffinity: Cookie\n  type: LoadBalancer")), 2, "Cookie",
       w, "spec.sessionAffinity", "None or ClientIP"},
      {"affinity of no time",
       second(changed(web(), "  type: LoadBalancer",
                      "  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n      timeoutSeconds: 0\n"
                      "  type: LoadBalancer")),
       2, "timeoutSeconds", w, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "from 1 to 86400"},
      {"affinity longer than the engine's",
       second(
           changed(web(), "  type: LoadBalancer",
                   "  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n      timeoutSeconds: 86400\n"
                   "  type: LoadBalancer")),
       2, "timeoutSeconds", w, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "65000 is used"},
      {"an address asked for that isn't one",
       second(changed(changed(web(), "guideway.io/forwarding-mode: nat", "lbipam.cilium.io/ips: 198.51.100.300"),
                      "    ingress:\n    - ip: 198.51.100.1\n      ipMode: VIP\n", "    ingress: []\n")),
       2, "198.51.100.300", w, "metadata.annotations[lbipam.cilium.io/ips]", "must be an IPv4"},
      {"an address asked for in spec that isn't one",
       second(changed(changed(web(), "  type: LoadBalancer", "  loadBalancerIP: any\n  type: LoadBalancer"),
                      "    ingress:\n    - ip: 198.51.100.1\n      ipMode: VIP\n", "    ingress: []\n")),
       2, "loadBalancerIP", w, "spec.loadBalancerIP", "must be an IPv4"},
      {"created at no time", second(changed(web(), "  annotations:", "  creationTimestamp: today\n  annotations:")), 2,
       "today", w, "metadata.creationTimestamp", "must be a time"},
      {"weight out of range",
       second(changed(slice(), "  labels:", "  annotations:\n    service.cilium.io/weight: \"65536\"\n  labels:") +
              web()),
       2, "65536", s, "metadata.annotations[service.cilium.io/weight]", "from 0 to 65535"},
      {"ports no list", second(changed(web(), "ports:\n  - name: http\n    port", "ports:\n    name: http\n    port")),
       2, "name: http", w, "spec.ports", "must be a list"},
      {"DSR with another target port",
       second(changed(changed(web(), "mode: nat", "mode: dsr-l2"), "targetPort: 80", "targetPort: 81")), 2,
       "targetPort", w, "spec.ports[0].targetPort", "can't translate ports"},
      {"the VIP of an older service", second(changed(web(), "198.51.100.1", "198.51.100.99")), 2, "198.51.100.99", w,
       "status.loadBalancer.ingress[0].ip", "belongs to Service demo/aged"},
      {"the VIP is an SNAT address", second(changed(web(), "198.51.100.1", "192.0.2.1")) + config(), 2, "192.0.2.1", w,
       "status.loadBalancer.ingress[0].ip", "SNAT address"},
      {"endpoint no address", second(changed(slice(), "- 10.0.0.1", "- 10.0.0.256") + web()), 2, "10.0.0.256", s,
       "endpoints[0].addresses[0]", "must be an IPv4"},
      {"endpoint of another family", second(changed(slice(), "- 10.0.0.1", "- fd00::1") + web()), 2, "fd00::1", s,
       "endpoints[0].addresses[0]", "addressType"},
      {"condition no boolean", second(changed(slice(), "ready: true", "ready: \"yes\"") + web()), 2, "yes", s,
       "endpoints[0].conditions.ready", "true or false"},
      {"addressType unknown", second(changed(slice(), "IPv4", "IPX") + web()), 2, "IPX", s, "addressType",
       "must be IPv4"},
      {"unknown field of GatewayConfig", second(gateway("  snaat: []\n")), 2, "snaat", g, "spec.snaat", "is unknown"},
      {"SNAT ports of the host", second(gateway("  snat:\n  - address: 192.0.2.1\n    ports: 10000-65000\n")), 2,
       "ports:", g, "spec.snat[0].ports", "ip_local_port_range"},
      {"SNAT ports missing", second(gateway("  snat:\n  - address: 192.0.2.1\n")), 2, "- address", g,
       "spec.snat[0].ports", "is missing"},
      {"SNAT ports no range", second(gateway("  snat:\n  - address: 192.0.2.1\n    ports: 5-1\n")), 2, "ports:", g,
       "spec.snat[0].ports", "must be a range"},
      {"hash seed too large", second(gateway("  hashSeed: 18446744073709551616\n")), 2, "hashSeed", g, "spec.hashSeed",
       "whole number"},
      {"SNAT address of the host announced",
       second(gateway("  snat:\n  - address: 192.0.2.1\n    ports: 20000-29999\n    announce: l2\n")), 2, "announce", g,
       "spec.snat[0].announce", "dedicated"},
      {"announce of the gateway unknown", second(gateway("  announce: yes\n")), 2, "announce", g, "spec.announce",
       "l2 or none"},
      {"idle timeout no time", second(gateway("  idleTimeouts:\n    udp: 30\n")), 2, "udp", g, "spec.idleTimeouts.udp",
       "must be a time"},
      {"idle timeout too long", second(gateway("  idleTimeouts:\n    established: 19h\n")), 2, "established", g,
       "spec.idleTimeouts.established", "at most 65000s"},
      {"idle timeout unknown", second(gateway("  idleTimeouts:\n    tcp: 30s\n")), 2, "tcp", g, "spec.idleTimeouts.tcp",
       "is unknown"},
      {"flood guard of no rate", second(gateway("  floodGuard:\n    newFlowsPerSecond: 0\n")), 2, "newFlows", g,
       "spec.floodGuard.newFlowsPerSecond", "whole number"},
      {"ICMP errors of no rate", second(gateway("  icmpErrorsPerSecond: many\n")), 2, "icmpErrors", g,
       "spec.icmpErrorsPerSecond", "whole number"},
      {"source to encapsulate from of the other family",
       second(gateway("  encapsulation:\n    sourceIPv4: \"2001:db8::/64\"\n")), 2, "sourceIPv4", g,
       "spec.encapsulation.sourceIPv4", "must be an IPv4"},
      {"source to encapsulate from with bits below its length",
       second(gateway("  encapsulation:\n    sourceIPv4: 198.18.0.1/16\n")), 2, "sourceIPv4", g,
       "spec.encapsulation.sourceIPv4", "write 198.18.0.0/16"},
      {"unknown kind of ours", second("---\napiVersion: guideway.io/v1alpha1\nkind: Gateway\n"), 2, "kind", "", "kind",
       "is unknown"},
  };
}

}  // namespace

TEST_CASE("bad input: shown with its place, the last good state stays, the rest is applied; also after a restart") {
  for (const Case& c : cases()) {
    INFO(c.description);
    Rig rig;
    const std::string good = web() + slice() + config();
    rig.manifest("1.yaml", service_yaml("aged", "198.51.100.99", "  creationTimestamp: \"2020-01-01T00:00:00Z\"\n"));
    rig.manifest("2.yaml", good);
    REQUIRE(rig.start().ok());
    const std::string vip = "demo/web:http@198.51.100.1:80/TCP";
    REQUIRE(rig.engine.wait([&](const auto& s) { return s.services.contains(vip); }));
    const FakeEngine::State before = rig.engine.state();

    rig.manifest("2.yaml", c.text);
    const auto find = [&](const Snapshot& s) -> const Problem* {
      for (const Problem& p : s.problems)
        if (p.file == rig.path("2.yaml") && p.document == c.document && p.object == c.object && p.field == c.field &&
            p.text.find(c.says) != std::string::npos)
          return &p;
      return nullptr;
    };
    const auto check = [&](bool restarted) {
      INFO((restarted ? "after a restart" : "while it runs"));
      const SnapshotPtr s = rig.wait([&](const Snapshot& t) { return find(t) != nullptr && t.applied; });
      std::string all;
      for (const Problem& p : s->problems) all += to_string(p) + "\n";
      INFO(all);
      const Problem* p = find(*s);
      REQUIRE(p != nullptr);
      CHECK(p->line == line_of(c));
    };
    check(false);
    // Another good object that the new text doesn't mention is removed; the bad one is as it was.
    const auto same = [&](const FakeEngine::State& s) {
      if (c.object.starts_with("EndpointSlice")) return s.services.at(vip).reals_size() == 1;
      if (c.object == "Service demo/web") return s.services.contains(vip);
      if (c.object == "GatewayConfig g") return s.gateway->SerializeAsString() == before.gateway->SerializeAsString();
      if (c.object.empty())
        return s.services.at(vip).SerializeAsString() == before.services.at(vip).SerializeAsString();
      return false;
    };
    CHECK(rig.engine.wait(same));
    const FakeEngine::State running = rig.engine.state();
    REQUIRE(rig.start().ok());
    check(true);
    REQUIRE(rig.engine.wait([&](const auto& s) { return s.connections == running.connections + 1; }));
    REQUIRE(rig.engine.wait([&](const auto& s) { return s.batches.size() > running.batches.size(); }));
    CHECK(rig.engine.wait(same));
  }
}

}  // namespace guideway::mgmt
