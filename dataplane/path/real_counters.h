// What a worker counts for each real. It alone writes its rows; control reads them whenever it likes.
#pragma once

#include <span>

#include "dataplane/path/counters.h"
#include "dataplane/path/index.h"

namespace guideway::path {

struct alignas(64) RealCounters {
  Counter packets;  // client to real
  Counter bytes;    // of IP, as the client sent them
  Counter reply_packets;
  Counter reply_bytes;
  Counter connections;  // begun
  Counter live;         // remembered now
};
static_assert(sizeof(RealCounters) == 64);

// A worker's rows, by the real's index.
class RealCounterRows {
 public:
  // There is a row for every index that control gives out. Without rows nothing may be counted.
  explicit RealCounterRows(std::span<RealCounters> rows = {}) : rows_(rows.data()) {}
  RealCounters& operator[](RealIndex i) const { return rows_[static_cast<uint32_t>(i)]; }

 private:
  RealCounters* rows_;
};

}  // namespace guideway::path
