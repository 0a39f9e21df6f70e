// What each real gets and answers.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/real_counters.h"

namespace guideway::path {

// Counts what goes to a real, or comes from it, as it was received: before `fit` cuts it or
// `apply` makes it longer.
void count(Burst& burst, const RealCounterRows& reals);

}  // namespace guideway::path
