// Cells that several tables have. Pure.
#pragma once

#include <vector>

#include "mgmt/cli/table.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {

inline Cell state_cell(v1::VipRow::State s) {
  if (s == v1::VipRow::STATE_REFUSED) return {word(s), Colour::kRed};
  return {word(s), s == v1::VipRow::STATE_PROGRAMMED ? Colour::kNone : Colour::kYellow};
}

inline Cell state_cell(v1::BackendRow::State s) {
  return {word(s), s == v1::BackendRow::STATE_NOT_READY ? Colour::kYellow : Colour::kNone};
}

// What the engine has none of shows as "-".
inline Cell counter(bool known, uint64_t n) { return known ? number(n) : std::string(); }

// BACKEND, STATE, WEIGHT, CONNECTIONS, LIVE, PACKETS, BYTES, SLICE, POD, NODE.
inline std::vector<Cell> backend_cells(const v1::BackendRow& b) {
  const bool known = b.has_counters();
  const v1::Counters& c = b.counters();
  return {endpoint(b.address(), b.port()),
          state_cell(b.state()),
          weight(b),
          counter(known, c.connections()),
          counter(known, c.live_connections()),
          counter(known, c.packets()),
          counter(known, c.bytes()),
          b.slice(),
          b.pod(),
          b.node()};
}

}  // namespace guideway::mgmt
