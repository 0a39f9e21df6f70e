// The API's names of what the model and the wire have names for.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/model/objects.h"
#include "net/headers.h"

namespace guideway::mgmt {

inline v1::Protocol to_api(net::Protocol p) {
  if (p == net::Protocol::kSctp) return v1::PROTOCOL_SCTP;
  return p == net::Protocol::kUdp ? v1::PROTOCOL_UDP : v1::PROTOCOL_TCP;
}

// 0: unspecified.
inline uint32_t ip_protocol(v1::Protocol p) {
  switch (p) {
    case v1::PROTOCOL_TCP:
      return static_cast<uint32_t>(net::Protocol::kTcp);
    case v1::PROTOCOL_UDP:
      return static_cast<uint32_t>(net::Protocol::kUdp);
    case v1::PROTOCOL_SCTP:
      return static_cast<uint32_t>(net::Protocol::kSctp);
    default:
      return 0;
  }
}

inline v1::ForwardingMode to_api(ForwardingMode m) {
  switch (m) {
    case ForwardingMode::kDsrL2:
      return v1::FORWARDING_MODE_DSR_L2;
    case ForwardingMode::kDsrIpip:
      return v1::FORWARDING_MODE_DSR_IPIP;
    case ForwardingMode::kDsrGue:
      return v1::FORWARDING_MODE_DSR_GUE;
    case ForwardingMode::kNat:
      return v1::FORWARDING_MODE_NAT;
  }
  return v1::FORWARDING_MODE_UNSPECIFIED;
}

// "LOG_LEVEL_TRACE, LOG_LEVEL_DEBUG, …": what a field may be set to.
template <typename E>
std::string choices() {
  const auto& e = *google::protobuf::GetEnumDescriptor<E>();
  std::string all;
  for (int i = 0; i < e.value_count(); ++i)
    if (e.value(i)->number() != 0) all += (all.empty() ? "" : ", ") + std::string(e.value(i)->name());
  return all;
}

}  // namespace guideway::mgmt
