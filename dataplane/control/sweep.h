// A walk through the workers' connections, in small steps between control's other work: notes the connections that a
// change of backends has moved off their Maglev slot, forgets those that ended, and lets rows of removed reals and
// services be used again once no connection names them. Reads beside the workers; writes nothing of theirs. What the
// kernel has begun counts as theirs.
#pragma once

#include <unordered_set>
#include <vector>

#include "dataplane/control/begun.h"
#include "dataplane/control/publisher.h"
#include "dataplane/path/worker.h"

namespace guideway::control {

class Sweep {
 public:
  Sweep(Publisher& publisher, Reclaimer& reclaimer, std::vector<const path::Worker*> workers, Begun& begun)
      : publisher_(publisher), reclaimer_(reclaimer), workers_(std::move(workers)), begun_(begun) {}

  // Looks at up to `buckets` more; true while there is more to do. Begins anew if tables have changed since.
  bool step(uint32_t buckets);
  // Has the next step begin a walk, for connections that ended since the last.
  void wish() { wish_ = true; }

  uint64_t walks() const { return walks_; }
  bool overflowed() const { return overflowed_; }  // the last walk found more exceptions than there is room for

 private:
  struct FlowHash {
    size_t operator()(const net::FlowKey6& k) const { return net::flow_hash(k, 0); }
  };
  void begin();
  template <typename Entry>
  bool walk(const path::ConnectionTable<Entry>& table, path::Tick now, uint32_t& budget);
  template <typename Entry>
  void note(const Entry& entry);
  template <typename Key>
  void note_if_off(const Key& flow, path::ServiceIndex service, path::RealIndex real);
  void finish();

  Publisher& publisher_;
  Reclaimer& reclaimer_;
  std::vector<const path::Worker*> workers_;
  Begun& begun_;
  bool wish_ = false;
  bool running_ = false;
  size_t table_ = 0;  // worker × 2 + family
  uint32_t bucket_ = 0;
  Publisher::Retired retired_;  // when the walk began
  uint64_t change_ = 0;         // of tables: the last one then
  uint32_t generation_ = 0;     // what workers have noted in earlier ones, it meets
  std::unordered_set<path::RealIndex> seen_reals_;
  std::unordered_set<path::ServiceIndex> seen_services_;
  std::unordered_set<net::FlowKey6, FlowHash> off_slot_;
  std::unordered_map<path::ServiceIndex, std::vector<uint64_t>> off_slot_hashes_;
  uint64_t walks_ = 0;
  bool overflows_ = false;   // the walk that is under way
  bool overflowed_ = false;  // the last one
};

}  // namespace guideway::control
