// What a state takes of the engine's limits, which Hello tells.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "dataplane/engine.pb.h"
#include "mgmt/compile/entry.h"

namespace guideway::mgmt {

class Budget {
 public:
  void add(const Entry& e);
  void remove(const Entry& e);
  // Why one more entry is too much, as a sentence; empty if there is room. A limit of 0 is none.
  std::string lack_of_room(const Entry& e, const engine::Limits& limits) const;

 private:
  uint64_t services_ = 0;
  uint64_t reals_ = 0;
  uint64_t slots_ = 0;
  std::unordered_map<uint64_t, uint32_t> users_;  // of each distinct table
};

}  // namespace guideway::mgmt
