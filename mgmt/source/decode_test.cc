// The decoder against what kubectl prints (testdata/, from a real API server), and against what it must refuse.
#include "mgmt/source/decode.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>

#include "mgmt/source/encode.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/source/yaml.h"
#include "mgmt/testing/places.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

Decoded decode_text(const std::string& text) {
  auto r = parse_yaml(text);
  if (const auto* e = std::get_if<YamlError>(&r)) FAIL(e->text);
  return decode(std::get<Tree>(r), "test.yaml", HostPorts());
}

Decoded decode_file(const std::string& name) {
  const char* source = std::getenv("GUIDEWAY_SOURCE");
  REQUIRE(source != nullptr);
  const auto text = read_whole_file(std::string(source) + "/mgmt/testdata/" + name);
  REQUIRE(text.ok());
  return decode_text(*text);
}

const Object& object(const Decoded& d, const std::string& name) {
  for (const ObjectPtr& o : d.objects)
    if (o->key.name == name) return *o;
  FAIL("no object " << name);
  return *d.objects.front();
}

const Service& service(const Decoded& d, const std::string& name) { return std::get<Service>(object(d, name).body); }

}  // namespace

TEST_CASE("decode: Services as kubectl prints them") {
  const Decoded d = decode_file("kubectl-services.yaml");
  CHECK(d.problems.empty());
  CHECK(d.objects.size() == 13);
  for (const char* name : {"applied", "dual", "dual6", "extname", "headless", "headless-nosel", "lb", "lb-class",
                           "lb-local", "nodeport", "plain", "v6only"})
    CHECK_FALSE(service(d, name).ours);
  const Service& s = service(d, "extip");
  CHECK(s.ours);
  REQUIRE(s.vips.size() == 1);
  CHECK(net::to_string(s.vips[0].address) == "203.0.113.10");
  CHECK(s.vips[0].field == "spec.externalIPs[0]");
  CHECK(s.vips[0].line == 128);
  REQUIRE(s.ports.size() == 1);
  CHECK(s.ports[0].name == "http");
  CHECK(s.ports[0].target == 8080);
  CHECK(object(d, "extip").created == "2026-11-23T07:35:55Z");
  CHECK(object(d, "extip").key.ns == "demo");
}

TEST_CASE("decode: EndpointSlices as kubectl prints them") {
  const Decoded d = decode_file("kubectl-endpointslices.yaml");
  CHECK(d.problems.empty());
  CHECK(d.objects.size() == 6);
  const auto slice = [&](const char* name) { return std::get<EndpointSlice>(object(d, name).body); };
  const EndpointSlice lb = slice("lb-a1");
  CHECK(lb.service == "lb");
  REQUIRE(lb.endpoints.size() == 4);
  CHECK((lb.endpoints[0].ready && lb.endpoints[0].serving && !lb.endpoints[0].terminating));
  CHECK(lb.endpoints[0].target == "lb-1");
  CHECK(lb.endpoints[0].node == "worker-1");
  CHECK((!lb.endpoints[1].ready && lb.endpoints[1].serving && lb.endpoints[1].terminating));
  CHECK((!lb.endpoints[2].ready && !lb.endpoints[2].serving));
  CHECK(lb.ports.size() == 2);
  const EndpointSlice defaults = slice("lb-a2");
  CHECK((defaults.endpoints[0].ready && defaults.endpoints[0].serving && !defaults.endpoints[0].terminating));
  CHECK(slice("plain-a1").endpoints.empty());
  CHECK(slice("extname-f1").type == AddressType::kOther);
  CHECK(slice("lb-local-v6").type == AddressType::kIpv6);
  const EndpointSlice dual = slice("dual-a1");
  REQUIRE(dual.ports.size() == 3);
  CHECK(dual.ports[0].name.empty());
  CHECK(dual.ports[1].protocol == net::Protocol::kUdp);
  CHECK(dual.ports[2].port == 0);
}

TEST_CASE("decode: managed fields, JSON, and kinds that aren't for the gateway") {
  for (const char* file : {"kubectl-service-managed-fields.yaml", "kubectl-endpointslice-managed-fields.yaml",
                           "kubectl-services.json.yaml"}) {
    const Decoded d = decode_file(file);
    CHECK(d.problems.empty());
    CHECK(d.objects.size() == 1);
  }
  CHECK(decode_file("kubectl-networkpolicies.yaml").skipped.at("NetworkPolicy (networking.k8s.io/v1)") == 3);
  CHECK(decode_file("kubectl-nodes.yaml").skipped.at("Node (v1)") == 3);
  CHECK(decode_file("kubectl-pod.yaml").skipped.at("Pod (v1)") == 1);
  CHECK(decode_file("kubectl-crd.yaml").problems.empty());
}

TEST_CASE("decode: a list as the API server sends it, whose items have no kind") {
  const Decoded d = decode_text("{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a, namespace: b}}]}");
  CHECK(d.problems.empty());
  REQUIRE(d.objects.size() == 1);
  CHECK(to_string(d.objects[0]->key) == "Service b/a");
}

TEST_CASE("decode: forwarding modes and classes") {
  const auto wish = [](const std::string& annotations) {
    return service(decode_text(service_yaml("a", "198.51.100.1", "  annotations:\n" + annotations)), "a").mode;
  };
  CHECK(wish("    x: y\n") == ModeWish::kDefault);
  CHECK(wish("    guideway.io/forwarding-mode: dsr-l2\n") == ModeWish::kDsrL2);
  CHECK(wish("    guideway.io/forwarding-mode: dsr-ipip\n") == ModeWish::kDsrIpip);
  CHECK(wish("    guideway.io/forwarding-mode: dsr-gue\n") == ModeWish::kDsrGue);
  CHECK(wish("    service.cilium.io/forwarding-mode: dsr\n") == ModeWish::kDefaultDsr);
  CHECK(wish("    service.cilium.io/forwarding-mode: snat\n") == ModeWish::kCiliumSnat);
  CHECK(wish("    guideway.io/forwarding-mode: nat\n    service.cilium.io/forwarding-mode: dsr\n") == ModeWish::kNat);
  const std::string yaml = service_yaml("a", "198.51.100.1");
  const auto with_class = [&](const std::string& c) {
    return service(decode_text(std::string(yaml).insert(yaml.find("  type:"), "  loadBalancerClass: " + c + "\n")),
                   "a");
  };
  CHECK(with_class("guideway.io/gateway").ours);
  CHECK_FALSE(with_class("example.com/other").ours);
}

TEST_CASE("decode: SCTP") {
  std::string yaml = service_yaml("a", "198.51.100.1");
  yaml.insert(yaml.find("  type:"), "  - name: s\n    port: 80\n    protocol: SCTP\n");
  const Decoded d = decode_text(yaml);
  CHECK(d.problems.empty());
  REQUIRE(service(d, "a").ports.size() == 2);
  CHECK(service(d, "a").ports[1].protocol == net::Protocol::kSctp);
}

TEST_CASE("decode: addresses that a Service asks for, where its status has none") {
  const auto vips = [](const std::string& annotations, const std::string& spec, const char* type = "LoadBalancer",
                       const std::string& status = "") {
    const Decoded d =
        decode_text("{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {" + annotations +
                    "}}, spec: {type: " + type + ", ports: [{port: 80}]" + spec + "}, status: {" + status + "}}");
    CHECK(d.problems.empty());
    std::string all;
    for (const Vip& v : service(d, "a").vips) all += net::to_string(v.address) + " " + v.field + "\n";
    return all;
  };
  CHECK(vips("lbipam.cilium.io/ips: \"198.51.100.1, 2001:db8::1\"", "") ==
        "198.51.100.1 metadata.annotations[lbipam.cilium.io/ips]\n"
        "2001:db8::1 metadata.annotations[lbipam.cilium.io/ips]\n");
  CHECK(vips("io.cilium/lb-ipam-ips: 198.51.100.1", "") ==
        "198.51.100.1 metadata.annotations[io.cilium/lb-ipam-ips]\n");
  CHECK(vips("metallb.io/loadBalancerIPs: 198.51.100.1", "") ==
        "198.51.100.1 metadata.annotations[metallb.io/loadBalancerIPs]\n");
  CHECK(vips("metallb.universe.tf/loadBalancerIPs: 198.51.100.1", "") ==
        "198.51.100.1 metadata.annotations[metallb.universe.tf/loadBalancerIPs]\n");
  CHECK(vips("", ", loadBalancerIP: 198.51.100.1") == "198.51.100.1 spec.loadBalancerIP\n");
  // Asked for in two ways it is still one; external addresses are there whatever the others.
  CHECK(
      vips("metallb.io/loadBalancerIPs: 198.51.100.1", ", loadBalancerIP: 198.51.100.1, externalIPs: [203.0.113.1]") ==
      "198.51.100.1 metadata.annotations[metallb.io/loadBalancerIPs]\n203.0.113.1 spec.externalIPs[0]\n");
  CHECK(vips("lbipam.cilium.io/ips: 198.51.100.1", ", loadBalancerIP: 198.51.100.2", "LoadBalancer",
             "loadBalancer: {ingress: [{ip: 198.51.100.9}]}") == "198.51.100.9 status.loadBalancer.ingress[0].ip\n");
  CHECK(vips("lbipam.cilium.io/ips: 198.51.100.1", "", "ClusterIP").empty());
}

TEST_CASE("decode: how a Service's packets are treated") {
  const auto with = [](const std::string& annotations, const std::string& spec = "") {
    return decode_text("{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {" + annotations +
                       "}}, spec: {externalIPs: [198.51.100.1], ports: [{port: 80}]" + spec + "}}");
  };
  const auto fine = [&](const std::string& annotations, const std::string& spec = "") {
    const Decoded d = with(annotations, spec);
    CHECK(d.problems.empty());
    return service(d, "a");
  };
  const Service plain = fine("");
  CHECK((plain.mtu == 0 && plain.affinity_seconds == 0 && plain.source_ranges.empty() && !plain.source_ranges_deny));
  CHECK((!plain.any_port && !plain.announce));
  CHECK(fine("guideway.io/mtu: \"1500\"").mtu == 1500);
  CHECK(fine("guideway.io/any-port: \"true\"").any_port);
  CHECK(fine("guideway.io/announce: l2").announce == true);
  CHECK(fine("guideway.io/announce: none").announce == false);
  CHECK(fine("service.cilium.io/lb-algorithm: maglev") == plain);

  CHECK(fine("", ", sessionAffinity: ClientIP").affinity_seconds == 10800);
  CHECK(fine("", ", sessionAffinity: None").affinity_seconds == 0);
  const std::string long_affinity = ", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: ";
  CHECK(fine("", long_affinity + "60}}").affinity_seconds == 60);
  const Decoded capped = with("", long_affinity + "86400}}");
  CHECK(service(capped, "a").affinity_seconds == 65000);
  REQUIRE(capped.problems.size() == 1);
  CHECK(capped.problems[0].field == "spec.sessionAffinityConfig.clientIP.timeoutSeconds");

  const Decoded random = with("service.cilium.io/lb-algorithm: random");
  CHECK(service(random, "a").ours);
  REQUIRE(random.problems.size() == 1);
  CHECK(random.problems[0].field == "metadata.annotations[service.cilium.io/lb-algorithm]");

  const auto ranges = [](const Service& s) {
    std::string all = s.source_ranges_deny ? "deny" : "allow";
    for (const net::Prefix& p : s.source_ranges) all += " " + net::to_string(p);
    return all;
  };
  const std::string older = "service.beta.kubernetes.io/load-balancer-source-ranges: \"10.0.0.0/8, 2001:db8::/32\"";
  CHECK(ranges(fine("", ", loadBalancerSourceRanges: [192.0.2.7/24, 192.0.2.0/24, 203.0.113.9]")) ==
        "allow 192.0.2.0/24 203.0.113.9/32");
  CHECK(ranges(fine(older)) == "allow 10.0.0.0/8 2001:db8::/32");
  CHECK(ranges(fine(older, ", loadBalancerSourceRanges: [192.0.2.0/24]")) == "allow 192.0.2.0/24");
  CHECK(ranges(fine(older + ", service.cilium.io/src-ranges-policy: deny")) == "deny 10.0.0.0/8 2001:db8::/32");
  CHECK(ranges(fine(older + ", service.cilium.io/src-ranges-policy: allow")) == "allow 10.0.0.0/8 2001:db8::/32");
  // Nobody is denied by no ranges.
  CHECK(ranges(fine("service.cilium.io/src-ranges-policy: deny")) == "allow");
}

TEST_CASE("decode: an annotation with our prefix that isn't known is refused, others are anybody's") {
  const auto fields = [](const std::string& kind, const std::string& annotations, const std::string& rest) {
    const Decoded d = decode_text("{" + kind + ", metadata: {name: a, annotations: {" + annotations +
                                  "}, labels: {guideway.io/tier: web}}, " + rest + "}");
    CHECK(d.refused.size() == d.problems.size());
    CHECK(d.objects.size() + d.refused.size() == 1);
    std::string all;
    for (const Problem& p : d.problems) all += p.field + " " + p.text + "\n";
    return all;
  };
  const auto of_service = [&](const std::string& annotations,
                              const std::string& spec = "externalIPs: [198.51.100.1], ports: [{port: 80}]") {
    return fields("apiVersion: v1, kind: Service", annotations, "spec: {" + spec + "}");
  };
  CHECK(of_service("guideway.io/forwarding-mod: dsr-l2") ==
        "metadata.annotations[guideway.io/forwarding-mod] is unknown; known here: guideway.io/forwarding-mode, "
        "guideway.io/maglev-table-size, guideway.io/mtu, guideway.io/any-port, guideway.io/rate-limit-pps, "
        "guideway.io/announce\n");
  CHECK(
      of_service("guideway.io/forwarding-mode: nat, guideway.io/maglev-table-size: \"251\", guideway.io/mtu: \"1500\", "
                 "guideway.io/any-port: \"true\", guideway.io/rate-limit-pps: \"1\", guideway.io/announce: l2, "
                 "service.cilium.io/forwarding-mod: dsr, guideway.example/x: y")
          .empty());
  CHECK(of_service("guideway.io/forwarding-mod: dsr-l2", "ports: [{port: 80}]").empty());  // not the gateway's
  const auto of_slice = [&](const std::string& annotations) {
    return fields("apiVersion: discovery.k8s.io/v1, kind: EndpointSlice", annotations, "addressType: IPv4");
  };
  CHECK(of_slice("guideway.io/weight: \"0\"") ==
        "metadata.annotations[guideway.io/weight] is unknown; known here: service.cilium.io/weight\n");
  CHECK(of_slice("service.cilium.io/weight: \"0\", endpoints.kubernetes.io/last-change-trigger-time: x").empty());
}

TEST_CASE("decode: a field that Kubernetes doesn't have is told, and the rest counts") {
  const std::string ignored = "is no field that Kubernetes is known to have here, and is ignored: is it misspelt?";
  const auto told = [&](const std::string& text) {
    const Decoded d = decode_text(text);
    CHECK(d.objects.size() == 1);
    CHECK(d.refused.empty());
    std::string fields;
    for (const Problem& p : d.problems) {
      CHECK(p.text == ignored);
      fields += p.field + " ";
    }
    return fields;
  };
  CHECK(told("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {externalIPs: [198.51.100.1], "
             "loadBalancerSourceRange: [10.0.0.0/8], ports: [{port: 80, protcol: UDP}], sessionAffinity: ClientIP, "
             "sessionAffinityConfig: {clientIP: {timeoutSecond: 60}}}}") ==
        "spec.loadBalancerSourceRange spec.ports[0].protcol spec.sessionAffinityConfig.clientIP.timeoutSecond ");
  CHECK(told("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1}, addressType: IPv4, "
             "ports: [{port: 80, prot: UDP}], endpoints: [{addresses: [10.0.0.1], nodename: a, "
             "conditions: {redy: false}}]}") == "ports[0].prot endpoints[0].nodename endpoints[0].conditions.redy ");
  CHECK(told("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80, protcol: UDP}]}}")
            .empty());
  // What a later version may have at each endpoint is told once, and of many ten.
  CHECK(told("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1}, addressType: IPv4, "
             "ports: [{port: 80}], endpoints: [{addresses: [10.0.0.1], new: a}, {addresses: [10.0.0.2], new: b}]}") ==
        "endpoints[0].new ");
  std::string many =
      "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {externalIPs: [198.51.100.1], "
      "ports: [{port: 80}]";
  for (int i = 0; i < 20; ++i) many += ", x" + std::to_string(i) + ": 1";
  const std::string fields = told(many + "}}");
  CHECK(std::count(fields.begin(), fields.end(), ' ') == 10);
}

TEST_CASE("decode: weights of EndpointSlices") {
  const auto weight = [](const std::string& annotations) {
    const Decoded d = decode_text(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, "
        "annotations: {" +
        annotations + "}}, addressType: IPv4}");
    CHECK(d.problems.empty());
    return std::get<EndpointSlice>(object(d, "a").body).weight;
  };
  CHECK(weight("") == 1);
  CHECK(weight("service.cilium.io/weight: \"0\"") == 0);
  CHECK(weight("service.cilium.io/weight: \"65535\"") == 65535);
}

TEST_CASE("decode: GatewayConfig") {
  const Decoded d = decode_text(
      "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec:\n  groupName: east\n"
      "  hashSeed: \"18446744073709551615\"\n  forwardingMode: dsr-l2\n  snat:\n  - address: 192.0.2.1\n"
      "    ports: 20000-29999\n  - {address: \"2001:db8::1\", dedicated: true}\n"
      "  encapsulation: {sourceIPv4: 192.0.2.9, sourceIPv6: \"2001:db8::/64\"}\n  announce: l2\n"
      "  idleTimeouts: {established: 1h30m, setup: 10s, udp: \"90s\"}\n  floodGuard: {newFlowsPerSecond: 1000}\n"
      "  icmpErrorsPerSecond: 50\n");
  CHECK(d.problems.empty());
  const auto& g = std::get<GatewayConfig>(object(d, "g").body);
  CHECK(g.group == "east");
  CHECK(g.seed == UINT64_MAX);
  CHECK(g.mode == ForwardingMode::kDsrL2);
  REQUIRE(g.snat.size() == 2);
  CHECK((g.snat[0].port_min == 20000 && g.snat[0].port_max == 29999 && !g.snat[0].dedicated));
  CHECK((g.snat[1].port_min == 1024 && g.snat[1].port_max == 65535 && g.snat[1].dedicated));
  CHECK((!g.snat[0].announce && g.snat[1].announce));
  CHECK(net::to_string(g.encap_ipv4.value()) == "192.0.2.9/32");
  CHECK(net::to_string(g.encap_ipv6.value()) == "2001:db8::/64");
  CHECK(g.announce);
  CHECK(g.idle == IdleTimeouts{5400, 10, 0, 90});
  CHECK(g.new_flow_rate == 1000);
  CHECK(g.icmp_rate == 50);
}

TEST_CASE("decode: of a SourceFilter's list a wrong line is told, and the rest is kept") {
  const Decoded d = decode_text(
      "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec:\n  deniedCIDRs:\n"
      "  - 192.0.2.0/24\n  - 192.0.2.1/24\n  - 2001:db8::/32\n  - 2001:db8::/129\n  - nonsense\n  - [a]\n  - "
      "198.51.100.7\n"
      "  - \"::ffff:192.0.2.0/120\"\n");
  const auto& f = std::get<SourceFilter>(object(d, "f").body);
  std::vector<std::string> kept;
  for (const net::Prefix& p : f.denied) kept.push_back(net::to_string(p));
  CHECK(kept == std::vector<std::string>{"192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"});
  std::vector<std::string> told;
  for (const Problem& p : d.problems) told.push_back(p.object + " " + p.field + " " + std::to_string(p.line));
  CHECK(told == std::vector<std::string>{"SourceFilter f spec.deniedCIDRs[1] 7", "SourceFilter f spec.deniedCIDRs[3] 9",
                                         "SourceFilter f spec.deniedCIDRs[4] 10",
                                         "SourceFilter f spec.deniedCIDRs[5] 11",
                                         "SourceFilter f spec.deniedCIDRs[7] 13"});
  CHECK(d.problems[0].text == "has bits below its length, and is left out: write 192.0.2.0/24");
  CHECK(d.refused.empty());

  std::string wrong =
      "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec:\n  deniedCIDRs:\n";
  for (int i = 0; i < 50; ++i) wrong += "  - x\n";
  const Decoded many = decode_text(wrong);
  REQUIRE(many.problems.size() == 21);
  CHECK(many.problems[20].text == "has 30 more that are wrong and left out");
  const Decoded unknown =
      decode_text("apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec: {denied: []}\n");
  CHECK(unknown.refused.size() == 1);
}

TEST_CASE("decode: rate limits, and what is none") {
  const auto filter = [](const std::string& rate) {
    return decode_text(
        "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec:\n  sourceRateLimit: " + rate +
        "\n");
  };
  const Decoded d = filter("{packetsPerSecond: 1000}");
  const auto& f = std::get<SourceFilter>(object(d, "f").body);
  CHECK(f.rate == SourceRate{1000, 0, 24, 48, 5});
  for (const char* wrong : {"{}", "{burst: 5}", "{packetsPerSecond: 0}", "{packetsPerSecond: 10000001}",
                            "{packetsPerSecond: 1, ipv4PrefixLength: 33}", "{packetsPerSecond: 1, ipv6PrefixLength: 0}",
                            "{packetsPerSecond: 1, more: 1}", "5"}) {
    INFO(wrong);
    CHECK(filter(wrong).refused.size() == 1);
  }
}

TEST_CASE("decode: the shipped example is good") {
  const auto text = read_whole_file(std::string(std::getenv("GUIDEWAY_SOURCE")) + "/configs/gateway.yaml");
  REQUIRE(text.ok());
  const Decoded d = decode_text(*text);
  CHECK(d.problems.empty());
  CHECK(d.objects.size() == 1);
}

TEST_CASE("decode: what is kept of an object reads back as the same") {
  for (const char* file : {"every-field.yaml", "kubectl-services.yaml", "kubectl-endpointslices.yaml",
                           "demo/gateway.yaml", "demo/web.yaml"}) {
    const Decoded d = decode_file(file);
    CHECK(d.problems.empty());
    for (const ObjectPtr& o : d.objects) {
      const std::string text = encode(*o, named_mode(*o));
      const Decoded again = decode_text(text);
      INFO(text);
      CHECK(again.problems.empty());
      REQUIRE(again.objects.size() == 1);
      CHECK(without_places(*again.objects[0]) == without_places(*o));
    }
  }
}

}  // namespace guideway::mgmt
