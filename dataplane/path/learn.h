// New decisions become connection entries.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Who learns, and with what seed its tables hash.
struct Learner {
  unsigned worker = 0;
  uint64_t table_seed = 0;
};

// DSR forwards also what there is no room for: Maglev answers again. nat needs its entries, and drops without.
void learn(Burst& burst, Connections& connections, const Tables& t, const Learner& learner, Tick now);

}  // namespace guideway::path
