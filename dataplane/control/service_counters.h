// The answer to CountersRequest, in parts that are each smaller than a message may be, made as the peer takes them: a
// million numbers neither wait in memory nor keep control from its other work.
#pragma once

#include <string>

#include "dataplane/control/publisher.h"
#include "dataplane/control/tally.h"
#include "dataplane/engine.pb.h"

namespace guideway::control {

// Where the next part begins.
struct CountersCursor {
  std::string service;  // its name, or where it would stand
  size_t real = 0;
};

// The next part; it says if it is the last.
engine::Counters counters_part(const Publisher& publisher, const Tally& tally, CountersCursor& at);

}  // namespace guideway::control
