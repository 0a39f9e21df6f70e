#include "mgmt/api/journal.h"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

namespace guideway::mgmt {
namespace {

using Rows = std::map<std::string, std::string>;

// What a watch does with a journal: takes at most so many changes at a time, and begins anew where it must.
struct Reader {
  Rows rows;
  Journal::Position position;
  int resets = 0;

  size_t read(const Journal& journal, size_t most) {
    if (!journal.reaches_back_to(position)) {
      rows.clear();
      position = journal.beginning();
      ++resets;
    }
    size_t n = 0;
    journal.tell(position, [&](const Journal::Change& c) {
      if (n == most) return false;
      ++n;
      if (c.row != nullptr)
        rows[c.key] = *c.row;
      else
        rows.erase(c.key);
      return true;
    });
    return n;
  }
};

TEST_CASE("journal: each row once, in its last form, in the order of change", "[watch]") {
  Journal j(10);
  j.put("a", "1");
  j.put("b", "1");
  j.put("a", "2");
  j.put("a", "2");  // no change
  j.remove("none");
  Journal::Position nothing;
  std::vector<std::string> seen;
  j.tell(nothing, [&](const Journal::Change& c) {
    seen.push_back(c.key + "=" + (c.row != nullptr ? *c.row : "none"));
    return true;
  });
  CHECK(seen == std::vector<std::string>{"b=1", "a=2"});
  CHECK(nothing.told == 3);
  j.remove("b");
  j.put("c", "1");
  Reader r{.rows = {{"a", "2"}, {"b", "1"}}, .position = {.told = 3}};
  CHECK(r.read(j, 9) == 2);
  CHECK(r.rows == Rows{{"a", "2"}, {"c", "1"}});
  j.put("b", "1");  // the same as before it went
  CHECK(r.read(j, 9) == 1);
  CHECK(r.rows.at("b") == "1");
  CHECK(r.read(j, 9) == 0);
}

TEST_CASE("journal: only the last removals are remembered", "[watch]") {
  Journal j(2);
  for (const char* key : {"a", "b", "c", "d"}) j.put(key, "1");
  j.remove("a");  // 5
  j.remove("b");  // 6
  CHECK(j.reaches_back_to({.told = 0}));
  j.remove("c");  // 7: forgets the first
  CHECK_FALSE(j.reaches_back_to({.told = 4}));
  CHECK(j.reaches_back_to({.told = 5}));
  CHECK(j.reaches_back_to({.told = 7}));
  CHECK_FALSE(j.reaches_back_to({.told = 8}));  // another journal's
  j.put("b", "2");                              // what is back needs no memory
  j.remove("d");
  CHECK(j.reaches_back_to({.told = 5}));
  Reader r{.rows = {{"a", "1"}, {"b", "1"}}, .position = {.told = 2}};
  r.read(j, 9);
  CHECK(r.resets == 1);
  CHECK(r.rows == Rows{{"b", "2"}});
}

TEST_CASE("journal: readers of any pace come to the state itself", "[watch]") {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same each time
  Journal j(20);
  Rows state;
  std::vector<Reader> readers(5);
  size_t seen = 0;
  constexpr size_t kChanges = 20'000;
  for (size_t i = 0; i < kChanges; ++i) {
    const std::string key = std::to_string(random() % 100);
    if (random() % 4 == 0) {
      j.remove(key);
      state.erase(key);
    } else {
      j.put(key, state[key] = std::to_string(random() % 3));
    }
    for (size_t r = 0; r < readers.size(); ++r)
      if (random() % (1U << (2 * r)) == 0) seen += readers[r].read(j, 1 + random() % 10);
  }
  for (Reader& r : readers) {
    for (int i = 0; i < 100 && r.read(j, 7) != 0; ++i) {
    }
    CHECK(r.rows == state);
  }
  CHECK(readers.front().resets == 0);
  CHECK(readers.back().resets > 0);
  CHECK(seen < 3 * kChanges);
}

}  // namespace
}  // namespace guideway::mgmt
