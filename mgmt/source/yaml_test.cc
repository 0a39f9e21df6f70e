#include "mgmt/source/yaml.h"

#include <catch2/catch.hpp>

namespace guideway::mgmt {
namespace {

Tree good(std::string_view text) {
  auto r = parse_yaml(text);
  if (const auto* e = std::get_if<YamlError>(&r)) FAIL(e->text);
  return std::get<Tree>(std::move(r));
}

YamlError bad(std::string_view text) {
  auto r = parse_yaml(text);
  REQUIRE(std::holds_alternative<YamlError>(r));
  return std::get<YamlError>(r);
}

}  // namespace

TEST_CASE("yaml: written and read again it is the same, sorted") {
  const std::string text = "b: [1, '1', null, {}, []]\na: {z: \"x\\ny\", y: 'it''s', x: yes}\n";
  const Tree t = good(text);
  const std::string once = to_yaml(t, t.documents().at(0));
  CHECK(once == "a:\n  x: yes\n  y: \"it's\"\n  z: \"x\\ny\"\nb:\n- 1\n- \"1\"\n- null\n- {}\n- []\n");
  const Tree again = good(once);
  CHECK(to_yaml(again, again.documents().at(0)) == once);
}

TEST_CASE("yaml: fields, lines and paths") {
  const Tree t = good("a:\n  b:\n  - c: 1\n    d.e/f: \"2\"\n  - ~\nn: null\nq: 'null'\n");
  const Field root(t, t.documents().at(0));
  CHECK(root["a"]["b"].is_list());
  std::vector<Field> items;
  root["a"]["b"].each([&](Field f) { items.push_back(f); });
  REQUIRE(items.size() == 2);
  CHECK(items[0]["c"].value() == "1");
  CHECK(items[0]["c"].line() == 3);
  CHECK_FALSE(items[0]["c"].quoted());
  CHECK(items[0]["d.e/f"].quoted());
  CHECK(items[0]["d.e/f"].line() == 4);
  CHECK(items[0]["d.e/f"].path(root.index()) == "a.b[0][d.e/f]");
  CHECK(items[1].empty());
  CHECK(items[1].path(root.index()) == "a.b[1]");
  CHECK(root["n"].empty());
  CHECK(root["q"].value() == "null");
  const Field missing = items[0]["x"]["y"];
  CHECK(missing.absent());
  CHECK(missing.line() == 3);
}

TEST_CASE("yaml: documents keep their number") {
  const Tree t = good("---\na: 1\n---\n# nothing\n---\nb: 2\n");
  REQUIRE(t.documents().size() == 3);
  CHECK(t.documents()[1] == Tree::kNone);
  CHECK(Field(t, t.documents()[2])["b"].line() == 6);
  CHECK(good("").documents().empty());
}

TEST_CASE("yaml: what is refused, and where") {
  CHECK(bad("a: 1\n---\nb: [1\n").document == 2);
  CHECK(bad("a: 1\nb: &x 2\n").text.find("anchors") != std::string::npos);
  CHECK(bad("a: 1\nb: &x [2]\n").line == 2);
  CHECK(bad("a: 1\nb: *x\n").text.find("aliases") != std::string::npos);
  CHECK(bad("a: !!int 1\n").text.find("tags") != std::string::npos);
  CHECK(bad("a: 1\n\tb: 1\n").line == 2);
  CHECK(bad("x:\n  b: 1\n  c: 1\n  b: 2\n").text.find("\"b\" stands twice") != std::string::npos);
  CHECK(bad("a: \xff\n").text.find("not valid YAML") == 0);
  CHECK(bad("[a]: 1\n? [b]\n").text.find("key") != std::string::npos);
  CHECK(bad(std::string(100, '[') + std::string(100, ']')).text.find("nested deeper") == 0);
  CHECK(bad("a: |\n  x\n b: 1\n").line >= 2);
}

TEST_CASE("yaml: a text cut at any byte is an error or a tree, never more") {
  const std::string text = "---\na: {b: [1, \"x\\u0041\"], c: 'd'}\ne: |\n  f\n---\n- g: h\n";
  for (size_t n = 0; n <= text.size(); ++n) parse_yaml(std::string_view(text).substr(0, n));
  SUCCEED();
}

}  // namespace guideway::mgmt
