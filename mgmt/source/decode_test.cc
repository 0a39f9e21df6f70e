// The decoder against what kubectl prints (testdata/, from a real API server), and against what it must refuse.
#include "mgmt/source/decode.h"

#include <catch2/catch.hpp>

#include <cstdlib>

#include "mgmt/source/encode.h"
#include "mgmt/source/manifests/directory.h"
#include "mgmt/source/yaml.h"
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
  CHECK(s.vips[0].field() == "spec.externalIPs[0]");
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
  CHECK(wish("    service.cilium.io/forwarding-mode: dsr\n") == ModeWish::kDefaultDsr);
  CHECK(wish("    service.cilium.io/forwarding-mode: snat\n") == ModeWish::kNat);
  CHECK(wish("    guideway.io/forwarding-mode: nat\n    service.cilium.io/forwarding-mode: dsr\n") == ModeWish::kNat);
  const std::string yaml = service_yaml("a", "198.51.100.1");
  const auto with_class = [&](const std::string& c) {
    return service(decode_text(std::string(yaml).insert(yaml.find("  type:"), "  loadBalancerClass: " + c + "\n")),
                   "a");
  };
  CHECK(with_class("guideway.io/gateway").ours);
  CHECK_FALSE(with_class("example.com/other").ours);
}

TEST_CASE("decode: SCTP is reported and the rest stays") {
  std::string yaml = service_yaml("a", "198.51.100.1");
  yaml.insert(yaml.find("  type:"), "  - name: s\n    port: 81\n    protocol: SCTP\n");
  const Decoded d = decode_text(yaml);
  REQUIRE(d.problems.size() == 1);
  CHECK(d.problems[0].field == "spec.ports[1].protocol");
  CHECK(service(d, "a").ports.size() == 1);
}

TEST_CASE("decode: GatewayConfig") {
  const Decoded d = decode_text(
      "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec:\n  groupName: east\n"
      "  hashSeed: \"18446744073709551615\"\n  forwardingMode: dsr-l2\n  snat:\n  - address: 192.0.2.1\n"
      "    ports: 20000-29999\n  - {address: \"2001:db8::1\", dedicated: true}\n"
      "  encapsulation: {sourceIPv4: 192.0.2.9}\n");
  CHECK(d.problems.empty());
  const auto& g = std::get<GatewayConfig>(object(d, "g").body);
  CHECK(g.group == "east");
  CHECK(g.seed == UINT64_MAX);
  CHECK(g.mode == ForwardingMode::kDsrL2);
  REQUIRE(g.snat.size() == 2);
  CHECK((g.snat[0].port_min == 20000 && g.snat[0].port_max == 29999 && !g.snat[0].dedicated));
  CHECK((g.snat[1].port_min == 1024 && g.snat[1].port_max == 65535 && g.snat[1].dedicated));
  CHECK(g.encap_ipv4.has_value());
}

TEST_CASE("decode: the shipped example is good") {
  const auto text = read_whole_file(std::string(std::getenv("GUIDEWAY_SOURCE")) + "/configs/gateway.yaml");
  REQUIRE(text.ok());
  const Decoded d = decode_text(*text);
  CHECK(d.problems.empty());
  CHECK(d.objects.size() == 1);
}

TEST_CASE("decode: what is kept of an object reads back as the same") {
  for (const char* file :
       {"kubectl-services.yaml", "kubectl-endpointslices.yaml", "demo/gateway.yaml", "demo/web.yaml"})
    for (const ObjectPtr& o : decode_file(file).objects) {
      const Decoded again = decode_text(encode(*o, ForwardingMode::kNat));
      INFO(encode(*o, ForwardingMode::kNat));
      CHECK(again.problems.empty());
      REQUIRE(again.objects.size() == 1);
      CHECK(again.objects[0]->key == o->key);
      CHECK(again.objects[0]->created == o->created);
      // Written again it is the same text: nothing was lost.
      CHECK(encode(*again.objects[0], ForwardingMode::kNat) == encode(*o, ForwardingMode::kNat));
    }
}

}  // namespace guideway::mgmt
