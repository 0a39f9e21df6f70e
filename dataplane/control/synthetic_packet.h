// The packet that a TraceRequest describes, byte by byte, as a client or a router would send it.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "dataplane/engine.pb.h"
#include "net/address.h"

namespace guideway::control {

// With its Ethernet header (to `mac`, from nobody), right lengths and checksums. `mtu`: of the port, bytes of IP.
// InvalidArgument: what is asked for is no packet; the text begins with the field.
absl::StatusOr<std::vector<uint8_t>> synthetic_packet(const engine::TraceRequest& request, const net::MacAddress& mac,
                                                      uint32_t mtu);

}  // namespace guideway::control
