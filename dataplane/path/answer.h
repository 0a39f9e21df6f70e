// What is addressed to the gateway itself, in the place of its VIPs: an echo request becomes its reply.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Answers are `answer` and `decided`: the stages that look for a real pass over them.
void answer(Burst& burst, const Tables& t);

}  // namespace guideway::path
