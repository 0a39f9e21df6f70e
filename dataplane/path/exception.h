// The table of connections off their Maglev slot, as workers read it. Kept by control/exceptions.h.
#pragma once

#include <rte_hash.h>

#include <cstdint>

#include "dataplane/path/index.h"
#include "net/flow.h"

namespace guideway::path {

inline hash_sig_t exception_hash(const net::FlowKey6& key) {
  return static_cast<hash_sig_t>(net::flow_hash(key, 0) >> 32);
}

// The real of a connection that is off its slot, or none.
inline RealIndex find_exception(const rte_hash* table, const net::FlowKey6& key) {
  void* value = nullptr;
  if (rte_hash_lookup_with_hash_data(table, &key, exception_hash(key), &value) < 0) return kNone<RealIndex>;
  return static_cast<RealIndex>(reinterpret_cast<uintptr_t>(value));
}

}  // namespace guideway::path
