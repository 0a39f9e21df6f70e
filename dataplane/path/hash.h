// The two hashes of a packet's flow.
#pragma once

#include <cstdint>

#include "dataplane/path/burst.h"
#include "net/flow.h"

namespace guideway::path {

struct HashSeeds {
  uint64_t flow = 0;   // the group's: which real
  uint64_t table = 0;  // this worker's own: which bucket, so that nobody outside can aim at one
};

// Of its key as it stands: a fragment's is its datagram's until `match` knows better.
inline void hash(Packet& p, HashSeeds seeds) {
  const auto both = [&](const auto& key) {
    p.flow_hash = net::flow_hash(key, seeds.flow);
    p.table_hash = net::flow_hash(key, seeds.table);
  };
  p.family == Family::kIpv4 ? both(p.key4) : both(p.key6);
}

}  // namespace guideway::path
