// Flow → connection, one table a worker and family; nobody but the worker writes it. Memory comes from control.
//
// A lookup is three passes over a burst, because the cache miss is the cost and only many at once hide it:
//   prefetch_bucket(hash)      hash all
//   guess(hash)                compare tags, prefetch the entry that matches
//   holds(at(guess), key, …)   compare full keys; find() where the guess was wrong
//
//   bucket, 64 bytes: 8 × { tag 16 | time 16 | reference 32 }
//   reference: state 4 bits | overflow 1 bit (first slot only) | index of the entry 27 bits
//
// An entry whose bucket is full goes to one of the three others of its group of four, and the bucket says so. At the
// highest load, a quarter, one bucket in 4,000 overflows, and no group ever does.
//
// Entry first, tag last, so that a kill or a reader beside us never meets a half entry under a tag.
//
// A rehearsal is the table for one packet that may change nothing (trace.h): it finds what there is, keeps what it
// learns in a bucket aside that no lookup looks at, and leaves everything else as it is.
#pragma once

#include <emmintrin.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>

#include "dataplane/path/connection.h"
#include "dataplane/path/ledger.h"

namespace guideway::path {

struct alignas(64) Bucket {
  std::array<uint16_t, 8> tag{};  // 0: free
  std::array<Tick, 8> time{};     // of the last packet
  std::array<uint32_t, 8> reference{};
};
static_assert(sizeof(Bucket) == 64);

// A slot of a table, or nothing.
struct SlotRef {
  uint32_t bucket = 0xffffffffU;
  uint32_t slot = 0;
  explicit operator bool() const { return bucket != 0xffffffffU; }
  friend bool operator==(const SlotRef&, const SlotRef&) = default;
};

// An entry and what its slot says of it, read once.
template <typename Entry>
struct Found {
  SlotRef slot;
  const Entry* entry = nullptr;
  ConnectionState state{};
  Tick time = 0;  // of its last packet
};

// What a reader beside the worker sees of an entry.
template <typename Entry>
struct Peeked {
  Entry entry;
  ConnectionState state{};
  Tick idle = 0;  // seconds since its last packet
};

template <typename Entry>
class ConnectionTable {
 public:
  using Key = typename Entry::KeyType;
  static constexpr uint32_t kMaxEntries = 1U << 27;
  // What a rehearsal has for itself, behind the others.
  static constexpr uint32_t kSpareBuckets = 1;
  static constexpr uint32_t kSpareEntries = 8;

  // buckets: a power of two, at least 4 and entries / 2, so that the load is at most a quarter; zeroed. Behind them and
  // behind the entries are the spare ones.
  // free: as many as entries, without those.
  ConnectionTable(std::span<Bucket> buckets, std::span<Entry> entries, std::span<uint32_t> free)
      : buckets_(buckets.data()),
        mask_(static_cast<uint32_t>(buckets.size() - kSpareBuckets - 1)),
        entries_(entries.data()),
        capacity_(static_cast<uint32_t>(entries.size() - kSpareEntries)),
        free_(free.data()),
        free_count_(capacity_) {
    for (uint32_t i = 0; i < capacity_; ++i) free_[i] = capacity_ - 1 - i;
  }

  // One at a time, while the table stays as it is. `ledger` is a rehearsal's, too.
  ConnectionTable rehearsal(Ledger* ledger) const {
    ConnectionTable copy = *this;
    copy.ledger_ = ledger;
    copy.rehearses_ = true;
    return copy;
  }

  void prefetch_bucket(uint64_t hash) const { rte_prefetch0(&buckets_[home(hash)]); }

  // The slot that the hash's entry has, as far as tags can tell; its entry is on its way. Nothing: there is none. Where
  // entries have gone to other buckets any slot is given, also a free one.
  SlotRef guess(uint64_t hash) const {
    const uint32_t at = home(hash);
    const Bucket& b = buckets_[at];
    const uint32_t fit = matches(b, tag_of(hash));
    if (fit == 0) return overflowed(b) ? SlotRef{at, 0} : SlotRef{};
    const auto slot = static_cast<uint32_t>(std::countr_zero(fit));
    prefetch_entry(b.reference[slot]);
    return {at, slot};
  }

  // Whether it is the entry of `key`, and its time isn't up. A free slot still says what it held.
  bool holds(const Found<Entry>& f, const Key& key, Tick now) const {
    return buckets_[f.slot.bucket].tag[f.slot.slot] != 0 && f.entry->key == key &&
           !is_over(f.time, f.state, now, idle_);
  }

  // The slot of `key`, or nothing; an entry whose time is up doesn't count.
  [[gnu::noinline]] SlotRef find(const Key& key, uint64_t hash, Tick now) const {
    const uint32_t at = home(hash);
    const uint32_t buckets = overflowed(buckets_[at]) ? kGroup : 1;
    for (uint32_t other = 0; other < buckets; ++other)
      if (const SlotRef s = among(at ^ other, tag_of(hash), key, now)) return s;
    return {};
  }

  Found<Entry> at(SlotRef s) const {
    const Bucket& b = buckets_[s.bucket];
    const uint32_t reference = b.reference[s.slot];
    return {s, &entries_[index(reference)], state_of(reference), b.time[s.slot]};
  }

  const Entry& entry(SlotRef s) const { return entries_[index(buckets_[s.bucket].reference[s.slot])]; }
  uint32_t index_of(SlotRef s) const { return index(buckets_[s.bucket].reference[s.slot]); }
  Tick idle_time(SlotRef s, Tick now) const { return static_cast<Tick>(now - buckets_[s.bucket].time[s.slot]); }

  // The other direction's slot, if the entry has one.
  SlotRef partner(SlotRef s) const {
    const Entry& e = entry(s);
    return e.partner == kNoPartner ? SlotRef{} : slot_of(e.partner, e.partner_hash);
  }

  // The one write per packet, and only when a tick or the state has changed; both directions of a nat flow live alike.
  void touch(const Found<Entry>& f, Tick now, ConnectionState state) {
    if (f.time == now && f.state == state) [[likely]]
      return;
    stamp_both(f.slot, now, state);
  }

  // What may change of a standing entry; a reader beside us sees the one real or the other.
  void set_epoch(SlotRef s, uint32_t epoch) {
    if (!rehearses_) entries_[index_of(s)].epoch = epoch;
  }
  void set_real(SlotRef s, RealIndex real) {
    if (!rehearses_) std::atomic_ref(entries_[index_of(s)].real).store(real, std::memory_order_relaxed);
  }
  // Of one that has just been inserted.
  void set_partner(SlotRef s, SlotRef partner) { entries_[index_of(s)].partner = index_of(partner); }

  // Nothing if all entries are taken (expire() frees those that idled out), or the group of buckets that the hash
  // allows is full of living ones.
  SlotRef insert(const Entry& value, uint64_t hash, Tick now, ConnectionState state) {
    if (free_count_ == 0) return {};
    if (rehearses_) [[unlikely]]
      return set_aside(value, hash, now, state);
    const uint32_t at = home(hash);
    SlotRef s;
    for (uint32_t other = 0; other < kGroup && !s; ++other) s = vacancy(at ^ other, now);
    if (!s) return {};
    if (s.bucket != at) buckets_[at].reference[0] |= kOverflow;
    Bucket& b = buckets_[s.bucket];
    const uint32_t i = free_[--free_count_];
    entries_[i] = value;
    b.time[s.slot] = now;
    b.reference[s.slot] = (b.reference[s.slot] & kOverflow) | static_cast<uint32_t>(state) << kStateShift | i;
    std::atomic_ref(b.tag[s.slot]).store(tag_of(hash), std::memory_order_release);
    if (ledger_ != nullptr) ledger_->opened(value);
    return s;
  }

  // Also the other direction, if it has one.
  void erase(SlotRef s) {
    if (const SlotRef p = partner(s)) release(p);
    release(s);
  }

  // Frees the oldest entry of that state in the group of buckets that the hash allows, but none that is `spared`; false
  // if there is none.
  template <typename Spared>
  bool shed(ConnectionState state, uint64_t hash, Tick now, Spared spared) {
    SlotRef oldest;
    for (uint32_t other = 0; other < kGroup; ++other) {
      const uint32_t at = home(hash) ^ other;
      const Bucket& b = buckets_[at];
      for (uint32_t slot = 0; slot < 8; ++slot) {
        if (b.tag[slot] == 0 || state_of(b.reference[slot]) != state || is_erased({at, slot})) continue;
        if (oldest && idle_time(oldest, now) >= idle_time({at, slot}, now)) continue;
        if (!spared(SlotRef{at, slot})) oldest = {at, slot};
      }
    }
    if (oldest) erase(oldest);
    return bool{oldest};
  }

  // Frees what idled out in `count` buckets from `from` on; gives where to go on. Called from housekeeping.
  uint32_t expire(uint32_t from, uint32_t count, Tick now) {
    for (uint32_t n = 0; n < count; ++n, from = (from + 1) & mask_) {
      Bucket& b = buckets_[from];
      for (uint32_t slot = 0; slot < 8; ++slot)
        if (b.tag[slot] != 0 && expired(b, slot, now)) erase({from, slot});
      if (overflowed(b) && !any_guest(from)) b.reference[0] &= ~kOverflow;
    }
    return from;
  }

  // Who is told what comes and goes, from now on; it outlives the table.
  void set_ledger(Ledger* ledger) { ledger_ = ledger; }
  // By which entries idle out from now on, standing ones too.
  void set_idle_timeouts(const IdleTimeouts& idle) { idle_ = idle; }

  // Every entry: before its worker runs.
  template <typename Visit>
  void for_each(Visit visit) const {
    for_each_entry([&](SlotRef s) { visit(at(s)); });
  }

  // Takes up what stands in this memory, of a table that hashed by `seed`: what isn't whole, has idled for
  // longer than `kMaxIdle`, or that `adopt(Entry&)` doesn't want, is forgotten. `seconds` gives how long ago a time
  // was. Before anything else is asked of the table; gives how many entries stay.
  template <typename Seconds, typename Adopt>
  uint32_t recover(uint64_t seed, Seconds seconds, Adopt adopt) {
    std::fill_n(free_, capacity_, 0U);  // 1: taken
    for_each_slot([&](SlotRef s) {
      if (s.slot == 0) buckets_[s.bucket].reference[0] &= ~kOverflow;
      if (buckets_[s.bucket].tag[s.slot] == 0) return;
      const Found<Entry> f = at(s);
      const uint32_t i = index_of(s);
      const bool whole = i < capacity_ && free_[i] == 0 && f.state <= ConnectionState::kClient &&
                         stands_right(s, net::flow_hash(entries_[i].key, seed)) && seconds(f.time) < kMaxIdle;
      if (whole)
        free_[i] = 1;
      else
        buckets_[s.bucket].tag[s.slot] = 0;
    });
    // Each direction must know the other, or neither stays.
    const auto forget = [&](SlotRef s) {
      free_[index_of(s)] = 0;
      buckets_[s.bucket].tag[s.slot] = 0;
    };
    const auto lonely = [&](SlotRef s) {
      if (entry(s).partner == kNoPartner)
        return entry(s).mode == Mode::kNat && entry(s).direction != Direction::kNone &&
               entry(s).direction != Direction::kNext;
      const SlotRef p = partner(s);
      return !p || p == s || entry(p).partner == kNoPartner || !(partner(p) == s);
    };
    for_each_entry([&](SlotRef s) {
      if (lonely(s)) forget(s);
    });
    for_each_entry([&](SlotRef s) {
      const SlotRef p = partner(s);
      if (p && s.bucket * 8 + s.slot > p.bucket * 8 + p.slot) return;  // looked at with its partner
      if (adopt(entries_[index_of(s)], p ? &entries_[index_of(p)] : nullptr)) return;
      if (p) forget(p);
      forget(s);
    });
    for_each_entry([&](SlotRef s) {
      const uint32_t at = home(net::flow_hash(entry(s).key, seed));
      if (at != s.bucket) buckets_[at].reference[0] |= kOverflow;
    });
    free_count_ = 0;
    // In place: what is written is never ahead of what is read.
    for (uint32_t i = 0; i < capacity_; ++i)
      if (free_[i] == 0) free_[free_count_++] = i;
    return size();
  }

  // What a reader beside the worker may see: a copy of the entry in a slot, and nothing if it changed meanwhile.
  bool peek(uint32_t bucket, uint32_t slot, Peeked<Entry>* out, Tick now, const IdleTimeouts& idle) const {
    Bucket& b = buckets_[bucket];
    const uint16_t tag = std::atomic_ref(b.tag[slot]).load(std::memory_order_acquire);
    if (tag == 0 || idled_out(b, slot, now, idle)) return false;
    const uint32_t reference = std::atomic_ref(b.reference[slot]).load(std::memory_order_relaxed);
    const auto age = static_cast<Tick>(now - b.time[slot]);
    *out = {entries_[index(reference)], state_of(reference), age <= kMaxIdle ? age : Tick{0}};
    std::atomic_thread_fence(std::memory_order_acquire);
    return std::atomic_ref(b.tag[slot]).load(std::memory_order_relaxed) == tag &&
           index(std::atomic_ref(b.reference[slot]).load(std::memory_order_relaxed)) == index(reference);
  }

  uint32_t size() const { return capacity_ - free_count_; }
  uint32_t capacity() const { return capacity_; }
  uint32_t buckets() const { return mask_ + 1; }

 private:
  static constexpr uint32_t kGroup = 4;
  static constexpr uint32_t kStateShift = 28;
  static constexpr uint32_t kOverflow = 1U << 27;
  static constexpr uint32_t kIndex = kOverflow - 1;

  static uint32_t index(uint32_t reference) { return reference & kIndex; }
  static ConnectionState state_of(uint32_t reference) { return static_cast<ConnectionState>(reference >> kStateShift); }
  static bool overflowed(const Bucket& b) { return (b.reference[0] & kOverflow) != 0; }
  static uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash >> 48 | 1); }
  uint32_t home(uint64_t hash) const { return static_cast<uint32_t>(hash) & mask_; }

  template <typename Visit>
  void for_each_slot(Visit visit) const {
    for (uint32_t bucket = 0; bucket <= mask_; ++bucket)
      for (uint32_t slot = 0; slot < 8; ++slot) visit(SlotRef{bucket, slot});
  }
  template <typename Visit>
  void for_each_entry(Visit visit) const {
    for_each_slot([&](SlotRef s) {
      if (buckets_[s.bucket].tag[s.slot] != 0) visit(s);
    });
  }
  // Whether an entry of that hash may stand there.
  bool stands_right(SlotRef s, uint64_t hash) const {
    return (home(hash) ^ s.bucket) < kGroup && buckets_[s.bucket].tag[s.slot] == tag_of(hash);
  }

  static bool is_over(Tick time, ConnectionState state, Tick now, const IdleTimeouts& idle) {
    return static_cast<Tick>(now - time) >= idle[static_cast<size_t>(state)];
  }
  static bool expired(const Bucket& b, uint32_t slot, Tick now, const IdleTimeouts& idle) {
    return is_over(b.time[slot], state_of(b.reference[slot]), now, idle);
  }
  bool expired(const Bucket& b, uint32_t slot, Tick now) const { return expired(b, slot, now, idle_); }

  // The same for a reader, whose clock may stand before an entry's last packet.
  static bool idled_out(const Bucket& b, uint32_t slot, Tick now, const IdleTimeouts& idle) {
    return static_cast<int16_t>(now - b.time[slot]) >= 0 && expired(b, slot, now, idle);
  }

  static uint32_t matches(const Bucket& b, uint16_t tag) {
    const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(b.tag.data()));
    const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<int16_t>(tag)));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
  }

  void prefetch_entry(uint32_t reference) const {
    const auto* e = reinterpret_cast<const char*>(&entries_[index(reference)]);
    for (size_t line = 0; line < sizeof(Entry); line += 64) rte_prefetch0(e + line);
  }

  SlotRef among(uint32_t bucket, uint16_t tag, const Key& key, Tick now) const {
    for (uint32_t fit = matches(buckets_[bucket], tag); fit != 0; fit &= fit - 1) {
      const SlotRef s{bucket, static_cast<uint32_t>(std::countr_zero(fit))};
      if (holds(at(s), key, now) && !is_erased(s)) return s;
    }
    return {};
  }

  // A free slot; else one whose entry idled out, freed.
  SlotRef vacancy(uint32_t bucket, Tick now) {
    Bucket& b = buckets_[bucket];
    if (const uint32_t free = matches(b, 0); free != 0) return {bucket, static_cast<uint32_t>(std::countr_zero(free))};
    for (uint32_t slot = 0; slot < 8; ++slot)
      if (expired(b, slot, now)) {
        erase({bucket, slot});
        return {bucket, slot};
      }
    return {};
  }

  [[gnu::noinline]] void stamp_both(SlotRef s, Tick now, ConnectionState state) {
    if (rehearses_) return;
    stamp(s, now, state);
    if (const SlotRef p = partner(s)) stamp(p, now, state);
  }

  void stamp(SlotRef s, Tick now, ConnectionState state) {
    Bucket& b = buckets_[s.bucket];
    b.time[s.slot] = now;
    b.reference[s.slot] = (b.reference[s.slot] & (kOverflow | kIndex)) | static_cast<uint32_t>(state) << kStateShift;
  }

  // A rehearsal's insert(), which needs room where the hash allows like any other.
  [[gnu::noinline]] SlotRef set_aside(const Entry& value, uint64_t hash, Tick now, ConnectionState state) {
    if (!has_vacancy(hash, now) || spare_ == kSpareEntries) return {};
    const SlotRef s{mask_ + 1, spare_};
    const uint32_t i = capacity_ + spare_++;
    --free_count_;
    entries_[i] = value;
    Bucket& b = buckets_[s.bucket];
    b.time[s.slot] = now;
    b.reference[s.slot] = static_cast<uint32_t>(state) << kStateShift | i;
    if (ledger_ != nullptr) ledger_->opened(value);
    return s;
  }
  bool is_erased(SlotRef s) const { return rehearses_ && std::ranges::find(erased_, s) != erased_.end(); }
  bool has_vacancy(uint64_t hash, Tick now) const {
    for (uint32_t other = 0; other < kGroup; ++other) {
      const Bucket& b = buckets_[home(hash) ^ other];
      for (uint32_t slot = 0; slot < 8; ++slot)
        if (b.tag[slot] == 0 || expired(b, slot, now) || is_erased({home(hash) ^ other, slot})) return true;
    }
    return false;
  }

  // The slot that refers to entry `i`, whose hash is `hash`.
  SlotRef slot_of(uint32_t i, uint64_t hash) const {
    for (uint32_t other = 0; other < kGroup; ++other) {
      const uint32_t at = home(hash) ^ other;
      for (uint32_t slot = 0; slot < 8; ++slot)
        if (buckets_[at].tag[slot] != 0 && index(buckets_[at].reference[slot]) == i) return {at, slot};
    }
    return {};
  }

  void release(SlotRef s) {
    Bucket& b = buckets_[s.bucket];
    if (rehearses_) [[unlikely]] {
      if (erased_count_ < erased_.size()) erased_[erased_count_++] = s;
      ++free_count_;
    } else {
      std::atomic_ref(b.tag[s.slot]).store(0, std::memory_order_release);
      free_[free_count_++] = index(b.reference[s.slot]);
    }
    if (ledger_ != nullptr) ledger_->closed(entries_[index(b.reference[s.slot])]);
  }

  // Whether the group's other buckets hold an entry: it may be one of ours, as an entry doesn't say its bucket.
  bool any_guest(uint32_t bucket) const {
    for (uint32_t other = 1; other < kGroup; ++other)
      if (matches(buckets_[bucket ^ other], 0) != 0xff) return true;
    return false;
  }

  Bucket* buckets_;
  uint32_t mask_;
  Entry* entries_;
  uint32_t capacity_;
  uint32_t* free_;
  IdleTimeouts idle_ = kIdleTimeout;
  Ledger* ledger_ = nullptr;
  uint32_t free_count_;
  // A rehearsal's.
  bool rehearses_ = false;
  uint32_t spare_ = 0;  // entries aside
  uint32_t erased_count_ = 0;
  std::array<SlotRef, 8> erased_{};
};

}  // namespace guideway::path
