// Cells that several tables have. Pure.
#pragma once

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

}  // namespace guideway::mgmt
