// Which reals of a service take new flows: what a table is built from, in the order that every gateway agrees on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lb/maglev.h"
#include "net/address.h"

namespace guideway::lb {

enum class RealState : uint8_t {
  kReady,     // takes new flows
  kDraining,  // weight 0, or terminating and still serving: keeps its flows, takes none
  kGone,      // removed: TCP flows that stand may end, nothing else
};

// A real of one service, as desired.
struct Real {
  net::IpAddress address;
  uint16_t port = 0;
  uint32_t weight = 1;       // 0 drains
  bool terminating = false;  // and still serving
  friend bool operator==(const Real&, const Real&) = default;
};

RealState state_of(const Real& real);

// Indices into `reals` of those that take new flows, ordered by address and port: the ready ones, or, where there are
// none, those that are terminating and still serving (as Kubernetes does). Empty: the service has no backend.
std::vector<uint32_t> select(std::span<const Real> reals);

// What a Maglev table is built from: equal inputs share one table.
struct TableInput {
  uint32_t size = kDefaultTableSize;
  std::vector<MaglevReal> reals;  // in select()'s order
  friend bool operator==(const TableInput& a, const TableInput& b);
};
TableInput table_input(std::span<const Real> reals, std::span<const uint32_t> selected, uint32_t size, uint64_t seed);

// 64 bits of the input, to find an equal one by.
uint64_t digest(const TableInput& input);

}  // namespace guideway::lb
