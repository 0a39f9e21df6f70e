// The connection table against a slow obvious twin: a map with the time of each entry's end.
#include "dataplane/path/connection_table.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <vector>

namespace guideway::path {
namespace {

// A table with its memory. Keys are numbers; few homes and tags, so that buckets run over soon.
template <typename Entry>
class Table {
 public:
  Table(uint32_t buckets, uint32_t entries)
      : buckets_(buckets + ConnectionTable<Entry>::kSpareBuckets),
        entries_(entries + ConnectionTable<Entry>::kSpareEntries),
        free_(entries),
        table_(buckets_, entries_, free_) {}
  ConnectionTable<Entry>* operator->() { return &table_; }
  ConnectionTable<Entry>& operator*() { return table_; }

  static Entry entry(uint32_t n) {
    Entry e;
    e.key.source_port = net::Be16{static_cast<uint16_t>(n)};
    e.key.protocol = 6;
    e.real = RealIndex{n};
    return e;
  }
  static auto key(uint32_t n) { return entry(n).key; }
  // Eight homes, a few tags: most lookups meet neighbours, and tags that fit the wrong key.
  static uint64_t hash(uint32_t n) { return uint64_t{n % 7} << 48 | n % 8; }

  // What a reader beside us sees, ordered.
  std::vector<uint32_t> peek_all(Tick now) const {
    std::vector<uint32_t> seen;
    Peeked<Entry> e;
    for (uint32_t b = 0; b < table_.buckets(); ++b)
      for (uint32_t slot = 0; slot < 8; ++slot)
        if (table_.peek(b, slot, &e, now, kIdleTimeout)) seen.push_back(static_cast<uint32_t>(e.entry.real));
    std::ranges::sort(seen);
    return seen;
  }

 private:
  std::vector<Bucket> buckets_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  ConnectionTable<Entry> table_;
};

class Twin {
 public:
  struct Known {
    uint64_t touched;
    ConnectionState state;
    std::optional<uint32_t> partner;
  };
  Known* find(uint32_t n, uint64_t now) {
    const auto it = known_.find(n);
    return it == known_.end() || !lives(it->second, now) ? nullptr : &it->second;
  }
  void insert(uint32_t n, uint64_t now, ConnectionState s, std::optional<uint32_t> partner = {}) {
    known_[n] = {now, s, partner};
  }
  void touch(uint32_t n, uint64_t now, ConnectionState s) {
    for (Known* k : {&known_.at(n), partner_of(n)})
      if (k != nullptr) *k = {now, s, k->partner};
  }
  void erase(uint32_t n) {
    if (const auto partner = known_.at(n).partner) known_.erase(*partner);
    known_.erase(n);
  }
  std::vector<uint32_t> living(uint64_t now) const {
    std::vector<uint32_t> all;
    for (const auto& [n, k] : known_)
      if (lives(k, now)) all.push_back(n);
    return all;
  }

 private:
  static bool lives(const Known& k, uint64_t now) {
    return now - k.touched < kIdleTimeout[static_cast<size_t>(k.state)];
  }
  Known* partner_of(uint32_t n) {
    const auto partner = known_.at(n).partner;
    return partner ? &known_.at(*partner) : nullptr;
  }
  std::map<uint32_t, Known> known_;
};

// Random steps, the same in both. Keys come in pairs (2n, 2n + 1), which nat uses together.
template <typename Entry>
class Walk {
 public:
  Walk(uint32_t seed, uint32_t buckets, uint32_t entries, uint32_t keys)
      : random_(seed), table_(buckets, entries), keys_(keys) {}

  void step() {
    const uint32_t n = below(keys_);
    switch (below(10)) {
      case 0:
        return pass_time();
      case 1:
        return erase(n);
      case 2:
      case 3:
        return insert_pair(n & ~1U);
      case 4:
      case 5:
        return insert_one(n);
      case 6:
      case 7:
        return touch(n);
      default:
        CHECK(bool(find(n)) == (twin_.find(n, now_) != nullptr));
    }
  }

  void compare() {
    const auto living = twin_.living(now_);
    REQUIRE(table_.peek_all(tick()) == living);
    REQUIRE(table_->size() >= living.size());
    table_->expire(below(table_->buckets()), table_->buckets(), tick());
    REQUIRE(table_->size() == living.size());
    REQUIRE(table_.peek_all(tick()) == living);
    for (const uint32_t n : living) {
      const SlotRef s = find(n);
      REQUIRE(s);
      REQUIRE(table_->entry(s).key == table_.key(n));
      REQUIRE(table_->at(s).state == twin_.find(n, now_)->state);
    }
  }
  bool was_full() const { return full_ > 0; }
  bool ran_over() const { return over_ > 0; }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  Tick tick() const { return static_cast<Tick>(now_); }
  ConnectionState any_state() { return static_cast<ConnectionState>(below(5)); }
  // As the path does it, by a guess first.
  SlotRef find(uint32_t n) {
    const SlotRef found = table_->find(table_.key(n), table_.hash(n), tick());
    const SlotRef guess = table_->guess(table_.hash(n));
    if (!guess)
      REQUIRE_FALSE(found);
    else if (table_->holds(table_->at(guess), table_.key(n), tick()))
      REQUIRE(guess == found);
    return found;
  }

  // Seconds, or hours; as housekeeping does, all buckets are looked at in between.
  void pass_time() {
    const unsigned steps = below(40) == 0 ? 2'000 : 1;
    for (unsigned i = 0; i < steps; ++i) {
      now_ += below(8);
      at_ = table_->expire(at_, table_->buckets() / (steps > 1 ? 1 : 2), tick());
    }
  }

  // Whether there may be no room: all entries taken, or the group's four buckets full of living ones.
  void check_refused(uint32_t n) {
    const auto living = twin_.living(now_);
    const auto group = [](uint32_t k) { return Table<Entry>::hash(k) % 8 / 4; };
    const auto neighbors = std::ranges::count_if(living, [&](uint32_t k) { return group(k) == group(n); });
    if (table_->size() == table_->capacity()) {
      ++full_;
    } else {
      ++over_;
      REQUIRE(neighbors == 32);
    }
  }

  void insert_one(uint32_t n) {
    if (twin_.find(n, now_) != nullptr) return;
    const ConnectionState s = any_state();
    const SlotRef slot = table_->insert(table_.entry(n), table_.hash(n), tick(), s);
    if (!slot) return check_refused(n);
    REQUIRE(table_->entry(slot).key == table_.key(n));
    twin_.insert(n, now_, s);
  }

  void insert_pair(uint32_t n) {
    if (twin_.find(n, now_) != nullptr || twin_.find(n + 1, now_) != nullptr) return;
    const ConnectionState s = any_state();
    Entry back = table_.entry(n + 1);
    back.partner_hash = table_.hash(n);
    const SlotRef b = table_->insert(back, table_.hash(n + 1), tick(), s);
    if (!b) return check_refused(n + 1);
    Entry forward = table_.entry(n);
    forward.partner = table_->index_of(b);
    forward.partner_hash = table_.hash(n + 1);
    const SlotRef f = table_->insert(forward, table_.hash(n), tick(), s);
    if (!f) {
      twin_.insert(n + 1, now_, s);
      check_refused(n);
      table_->erase(b);
      return twin_.erase(n + 1);
    }
    table_->set_partner(b, f);
    twin_.insert(n, now_, s, n + 1);
    twin_.insert(n + 1, now_, s, n);
  }

  void touch(uint32_t n) {
    const SlotRef slot = find(n);
    REQUIRE(bool(slot) == (twin_.find(n, now_) != nullptr));
    if (!slot) return;
    const ConnectionState s = any_state();
    table_->touch(table_->at(slot), tick(), s);
    twin_.touch(n, now_, s);
  }

  void erase(uint32_t n) {
    const SlotRef slot = find(n);
    REQUIRE(bool(slot) == (twin_.find(n, now_) != nullptr));
    if (!slot) return;
    table_->erase(slot);
    twin_.erase(n);
  }

  std::mt19937 random_;
  Table<Entry> table_;
  Twin twin_;
  uint32_t keys_;
  uint64_t now_ = 65'400;  // near the tick's end
  uint32_t at_ = 0;
  unsigned full_ = 0;
  unsigned over_ = 0;
};

TEMPLATE_TEST_CASE("the connection table and its twin agree", "[connections]", Connection4, Connection6) {
  bool full = false;
  bool over = false;
  for (const uint32_t keys : {12U, 40U, 120U})
    for (const uint32_t entries : {24U, 100U}) {
      Walk<TestType> walk(keys * entries, 8, entries, keys);
      for (int i = 0; i < 20'000; ++i) {
        walk.step();
        if (i % 50 == 0) walk.compare();
      }
      walk.compare();
      full |= walk.was_full();
      over |= walk.ran_over();
    }
  CHECK(full);
  CHECK(over);
}

TEMPLATE_TEST_CASE("a table takes as many entries as it has", "[connections]", Connection4, Connection6) {
  Table<TestType> t(512, 1024);
  const auto hash = [](uint32_t n) { return gw_mix(n); };
  for (uint32_t n = 0; n < 1024; ++n) REQUIRE(t->insert(t.entry(n), hash(n), 0, ConnectionState::kEstablished));
  CHECK_FALSE(t->insert(t.entry(1024), hash(1024), 0, ConnectionState::kUdp));
  for (uint32_t n = 0; n < 1024; ++n) t->erase(t->find(t.key(n), hash(n), 0));
  CHECK(t->size() == 0);
  CHECK(t->insert(t.entry(1024), hash(1024), 0, ConnectionState::kUdp));
}

TEST_CASE("a thirty-third entry of a group has no room until one idles out", "[connections]") {
  Table<Connection4> t(4, 64);
  for (uint32_t n = 0; n < 32; ++n) REQUIRE(t->insert(t.entry(n), 0, 10, ConnectionState::kUdp));
  CHECK_FALSE(t->insert(t.entry(32), 0, 39, ConnectionState::kUdp));
  CHECK(t->insert(t.entry(32), 0, 40, ConnectionState::kUdp));
  CHECK(t->size() == 32);
  CHECK(t->find(t.key(32), 0, 40));
}

// A reader's clock is told it once a walk: an entry used since then isn't one that has been idle for 18 hours.
TEST_CASE("peek sees an entry used after the reader looked at the clock", "[connections]") {
  Table<Connection4> t(4, 4);
  const SlotRef s = t->insert(t.entry(1), 0, 10, ConnectionState::kEstablished);
  t->touch(t->at(s), 12, ConnectionState::kEstablished);
  CHECK(t.peek_all(11) == std::vector<uint32_t>{1});
  CHECK(t.peek_all(12 + 7'439) == std::vector<uint32_t>{1});
  CHECK(t.peek_all(12 + 7'440).empty());
}

TEST_CASE("a rehearsal finds what there is, and changes nothing") {
  using Entries = Table<Connection4>;
  constexpr uint32_t kEntries = 24;
  Entries t(8, kEntries);
  const auto hash = [](uint32_t n) { return uint64_t{n + 1} << 48; };  // one group
  for (uint32_t n = 0; n < kEntries; ++n) REQUIRE(t->insert(t.entry(n), hash(n), 10, ConnectionState::kSetup));
  const auto before = t.peek_all(10);

  auto rehearsal = t->rehearsal(nullptr);
  CHECK_FALSE(rehearsal.insert(t.entry(99), hash(99), 12, ConnectionState::kUdp));
  const SlotRef old = rehearsal.find(t.key(5), hash(5), 12);
  REQUIRE(old);
  rehearsal.touch(rehearsal.at(old), 12, ConnectionState::kEstablished);
  rehearsal.set_epoch(old, 7);
  rehearsal.set_real(old, RealIndex{77});
  rehearsal.erase(old);
  CHECK_FALSE(rehearsal.find(t.key(5), hash(5), 12));
  CHECK(rehearsal.find(t.key(6), hash(6), 12));
  const SlotRef set_aside = rehearsal.insert(t.entry(99), hash(99), 12, ConnectionState::kUdp);
  REQUIRE(set_aside);
  CHECK(rehearsal.entry(set_aside).key == t.key(99));
  CHECK_FALSE(rehearsal.insert(t.entry(98), hash(98), 12, ConnectionState::kUdp));
  CHECK(rehearsal.shed(ConnectionState::kSetup, hash(0), 12, [](SlotRef) { return false; }));
  CHECK(rehearsal.insert(t.entry(98), hash(98), 12, ConnectionState::kUdp));

  CHECK(t.peek_all(10) == before);
  CHECK(t->size() == kEntries);
  CHECK_FALSE(t->find(t.key(99), hash(99), 12));
  const auto found = t->at(t->find(t.key(5), hash(5), 12));
  CHECK(found.time == 10);
  CHECK(found.state == ConnectionState::kSetup);
  CHECK(found.entry->epoch == 0);
}

}  // namespace
}  // namespace guideway::path
