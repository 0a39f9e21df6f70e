// What a state takes of the engine's limits, which Hello tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "dataplane/engine.pb.h"
#include "mgmt/compile/compiler.h"
#include "mgmt/compile/entry.h"

namespace guideway::mgmt {

// What is too much, and where it stands in the object that asks for it.
struct Lack {
  std::string field;  // empty: the VIP's
  std::string text;   // a sentence with the remedy
};

class Budget {
 public:
  void add(const Entry& e);
  void remove(const Entry& e);
  // Why one more entry is too much; nothing if there is room. A limit of 0 is none.
  std::optional<Lack> lack_of_room(const Entry& e, const engine::Limits& limits) const;

 private:
  uint64_t services_ = 0;
  uint64_t reals_ = 0;
  uint64_t slots_ = 0;
  std::unordered_map<uint64_t, uint32_t> users_;  // of each distinct table
};

// Likewise, of the gateway as a whole.
std::optional<Lack> lack_of_room(const GatewayConfig& g, const engine::Limits& limits);
// Likewise, of all SourceFilters together.
std::optional<Lack> lack_of_room(const DeniedSources& d, const engine::Limits& limits);

}  // namespace guideway::mgmt
