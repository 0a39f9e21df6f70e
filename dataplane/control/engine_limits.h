// Everything that an engine holds at most, in one place. Told to the daemon in Hello, which refuses larger states
// before they are sent and shows them; what the path declares for itself stands there and is named here.
#pragma once

#include <cstdint>

#include "dataplane/control/denied_sources.h"
#include "dataplane/control/exceptions.h"
#include "dataplane/control/maglev_tables.h"
#include "dataplane/control/routing/fib_builder.h"
#include "dataplane/control/tally.h"
#include "dataplane/path/connection.h"
#include "dataplane/path/fragments.h"
#include "dataplane/path/snat_ports.h"
#include "dataplane/path/tables.h"
#include "lb/maglev.h"
#include "lb/source_ranges.h"

namespace guideway::control {

struct Limits {
  uint32_t services = 16'384;
  uint32_t reals = 262'144;
  uint32_t real_rows = kMaxRealRows;
  uint32_t reals_per_service = lb::kMaxReals;
  uint32_t maglev_slots = MaglevTables::kSlots;
  uint32_t snat_addresses = path::kMaxSnatAddresses;
  uint32_t source_ranges = lb::kMaxSourceRanges;
  uint32_t affinity_seconds = path::kMaxIdle;
  uint32_t idle_seconds = path::kMaxIdle;
  uint32_t exceptions = kMaxExceptions;
  FibLimits fib;
  uint32_t fragments = path::Fragments::kDatagrams;
  uint32_t snat_destinations = path::SnatPorts::kDestinations;
  uint32_t denied_prefixes = kMaxDeniedPrefixes;
  uint32_t denied_lengths = kMaxDeniedLengths;
  uint32_t workers = path::kMaxWorkers;
  uint32_t ports = path::kMaxPorts;
};

}  // namespace guideway::control
