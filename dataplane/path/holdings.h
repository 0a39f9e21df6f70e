// What the stages change, besides their packets: a worker's own, or copies of it for a packet that is traced.
#pragma once

#include "dataplane/path/connections.h"
#include "dataplane/path/counters.h"
#include "dataplane/path/fragments.h"
#include "dataplane/path/glean.h"
#include "dataplane/path/hand.h"
#include "dataplane/path/learn.h"
#include "dataplane/path/real_counters.h"
#include "dataplane/path/token_bucket.h"

namespace guideway::path {

struct Holdings {
  Connections connections;
  Fragments* fragments = nullptr;
  Handover handover;
  Learner learner;
  RealCounterRows reals;
  TokenBucket guard{};  // of new flows, that a flood of SYNs neither fills the tables nor pushes out who is established
  TokenBucket icmp_errors{};
  Counters counters{};
  Glean glean{};
};

}  // namespace guideway::path
