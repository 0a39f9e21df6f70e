// Whether what a packet is to become is small enough for its next link and for its service's MTU, before a byte of it
// is changed. What isn't is cut, if it is IPv4 and allows that; else its sender is told, as often as the limit allows.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/counters.h"
#include "dataplane/path/glean.h"
#include "dataplane/path/tables.h"
#include "dataplane/path/token_bucket.h"

namespace guideway::path {

// Pieces are appended to the burst. Who is told gets an ICMP error in the place of the packet, which counts as dropped.
void fit(Burst& burst, const Tables& t, TokenBucket& icmp, Counters& counters, Glean& glean);

}  // namespace guideway::path
