#include "mgmt/cli/yaml.h"

#include <catch2/catch.hpp>

#include "mgmt/source/yaml.h"

namespace guideway::mgmt {
namespace {

// Its keys and values, as our own reader of manifests finds them.
std::string read(const std::string& text) {
  const auto parsed = parse_yaml(text);
  REQUIRE(std::holds_alternative<Tree>(parsed));
  const Tree& tree = std::get<Tree>(parsed);
  std::string out;
  for (uint32_t i = 0; i < tree.size(); ++i)
    out += std::string(tree.key(i)) + "=" + std::string(tree.value(i)) + "/" +
           std::to_string(static_cast<int>(tree.node(i).type)) + "," + std::to_string(tree.node(i).end) + " ";
  return out;
}

TEST_CASE("yaml of json: the same keys and values, in blocks", "[yaml_of_json]") {
  const std::string json = R"({
 "version": "0.1.0", "up": true, "problems": [],
 "engine": {"connected": false, "trouble": "can't: it's \"gone\"\n→ ever", "status": null, "limits": {}},
 "ports": [{"name": "eth0", "mtu": 1500, "rate": 1.5e3}, {"name": "on"}],
 "packets": "18446744073709551615", "vip": "2001:db8::1", "file": "/etc/a: b #c.yaml", "word": "", "yes": "No"})";
  const auto yaml = yaml_of_json(json);
  REQUIRE(yaml.has_value());
  CHECK(*yaml == R"(version: "0.1.0"
up: true
problems: []
engine:
  connected: false
  trouble: "can't: it's \"gone\"\n→ ever"
  status: null
  limits: {}
ports:
- name: eth0
  mtu: 1500
  rate: 1.5e3
- name: "on"
packets: "18446744073709551615"
vip: "2001:db8::1"
file: '/etc/a: b #c.yaml'
word: ""
"yes": "No"
)");
  CHECK(read(*yaml) == read(json));
}

TEST_CASE("yaml of json: what isn't JSON", "[yaml_of_json]") {
  CHECK_FALSE(yaml_of_json("{\"a\": ").has_value());
  CHECK_FALSE(yaml_of_json("{\"a\": \"\xff\"}").has_value());
}

}  // namespace
}  // namespace guideway::mgmt
