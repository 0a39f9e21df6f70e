#include "mgmt/model/store.h"

#include <catch2/catch.hpp>

namespace guideway::mgmt {
namespace {

ObjectPtr make(const std::string& name, uint32_t table_size = 0) {
  auto o = std::make_shared<Object>();
  o->key = {Kind::kService, "demo", name};
  Service s;
  s.table_size = table_size;
  o->body = s;
  return o;
}

FileContents contents(std::vector<ObjectPtr> objects) {
  FileContents c;
  c.objects = std::move(objects);
  return c;
}

const ObjectKey kA{Kind::kService, "demo", "a"};
const ObjectKey kB{Kind::kService, "demo", "b"};

}  // namespace

TEST_CASE("store: only what differs is a change") {
  Store s;
  CHECK(s.put_file("f", contents({make("a"), make("b")})) == std::vector{kA, kB});
  CHECK(s.put_file("f", contents({make("a"), make("b")})).empty());
  CHECK(s.put_file("f", contents({make("a", 251), make("b")})) == std::vector{kA});
  CHECK(s.put_file("f", contents({make("b")})) == std::vector{kA});
  CHECK(s.latest(kA) == nullptr);
  CHECK(s.remove_file("f") == std::vector{kB});
  CHECK(s.files().empty());
}

TEST_CASE("store: a bad object keeps its form, an unnamed one keeps all") {
  Store s;
  s.put_file("f", contents({make("a"), make("b")}));
  FileContents bad;
  bad.refused = {kA};
  CHECK(s.put_file("f", bad) == std::vector{kB});
  CHECK(s.latest(kA) != nullptr);
  FileContents unnamed;
  unnamed.unnamed = true;
  CHECK(s.put_file("f", unnamed).empty());
  CHECK(s.latest(kA) != nullptr);
  s.fail_file("f", {"f", 1, 2, "", "", "broken"});
  CHECK(s.latest(kA) != nullptr);
  CHECK(s.problems().size() == 1);
}

TEST_CASE("store: the first file owns an object, the next one waits") {
  Store s;
  s.put_file("f", contents({make("a")}));
  CHECK(s.put_file("g", contents({make("a", 251)})).empty());
  CHECK(s.owner(kA) == "f");
  REQUIRE(s.problems().size() == 1);
  CHECK(s.problems()[0].file == "g");
  CHECK(s.problems()[0].text.find("stands in f") == 0);
  CHECK(s.remove_file("f") == std::vector{kA});
  CHECK(s.owner(kA) == "g");
  CHECK(std::get<Service>(s.latest(kA)->body).table_size == 251);
  CHECK(s.problems().empty());
}

}  // namespace guideway::mgmt
