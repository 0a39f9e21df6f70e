#include "mgmt/source/manifests/document_cache.h"

#include <catch2/catch.hpp>

#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

std::string lines_of(const Object& o) {
  std::string s = std::to_string(o.place.document) + ":" + std::to_string(o.place.line);
  const auto add = [&s](const auto& parts) {
    for (const auto& p : parts) s += " " + std::to_string(p.line);
  };
  if (const auto* service = std::get_if<Service>(&o.body)) {
    add(service->vips);
    add(service->ports);
  }
  if (const auto* slice = std::get_if<EndpointSlice>(&o.body)) add(slice->ports);
  return s;
}

std::string describe(const std::variant<Decoded, YamlError>& r) {
  if (const auto* e = std::get_if<YamlError>(&r))
    return std::to_string(e->document) + ":" + std::to_string(e->line) + " " + e->text;
  const auto& d = std::get<Decoded>(r);
  std::string s;
  for (const auto& o : d.objects) s += to_string(o->key) + " " + lines_of(*o) + "\n";
  for (const auto& p : d.problems) s += to_string(p) + "\n";
  for (const auto& [kind, n] : d.skipped) s += kind + "=" + std::to_string(n) + "\n";
  return s;
}

// As the file is read in one piece, without a cache.
std::string whole(const std::string& text) {
  auto parsed = parse_yaml(text);
  if (auto* e = std::get_if<YamlError>(&parsed)) return describe(*e);
  return describe(decode(std::get<Tree>(parsed), "f", HostPorts()));
}

}  // namespace

TEST_CASE("document cache: tells the same as a reading in one piece, whatever was read before") {
  const std::string a = service_yaml("a", "198.51.100.1");
  const std::string b = service_yaml("b", "198.51.100.2");
  const std::string s = slice_yaml("a", {{"10.0.0.1", "ready"}});
  const std::string pod = "---\napiVersion: v1\nkind: Pod\n";
  const std::string gateway =
      "---\napiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata:\n  name: main\nspec:\n  snat:\n"
      "  - address: 203.0.113.1\n  - address: 203.0.113.2\n";
  const std::vector<std::string> texts = {
      a + s + b,
      s + gateway + b,
      "# moved\n" + gateway + s + b,
      a + s,
      "# moved\n" + a + s + b,
      b + a,
      "",
      "---\n" + a,
      a + "---\n# empty\n---\n" + b,
      a + pod + b,
      a + "---\nx: [\n" + b,
      a + "---\n\tx\n",
      a.substr(4) + b,
      a + "...\n" + b,
      "%YAML 1.1\n" + a + b,
      a + service_yaml("x", "no address") + b,
      "x: |\n  ---\n  y\n" + a,
      "x: \"1\n\n  --- 2\"\n" + a,
      "---\r\nkind: Pod\r\napiVersion: v1\r\n---\r\nkind: Pod\r\napiVersion: v1\r\n",
      a + "--- {kind: Pod, apiVersion: v1}\n",
      a + "---x: 1\n"};
  DocumentCache cache;
  for (int round = 0; round < 2; ++round)
    for (const std::string& first : texts)
      for (const std::string& second : texts) {
        cache.read("f", first, HostPorts());
        INFO(second);
        CHECK(describe(cache.read("f", second, HostPorts())) == whole(second));
      }
}

TEST_CASE("document cache: what didn't change is the same object, and repeated ones are refused") {
  DocumentCache cache;
  const std::string a = service_yaml("a", "198.51.100.1");
  auto before = std::get<Decoded>(cache.read("f", a + service_yaml("b", "198.51.100.2"), HostPorts()));
  auto after = std::get<Decoded>(cache.read("f", a + service_yaml("b", "198.51.100.3"), HostPorts()));
  CHECK(before.objects[0] == after.objects[0]);
  CHECK(before.objects[1] != after.objects[1]);
  const auto twice = std::get<Decoded>(cache.read("f", a + a, HostPorts()));
  CHECK(twice.objects.size() == 1);
  REQUIRE(twice.problems.size() == 1);
  CHECK(twice.problems[0].document == 2);
}

}  // namespace guideway::mgmt
