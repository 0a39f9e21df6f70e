// A snapshot, and parts that other answers have too, as the API's messages. Pure.
#pragma once

#include <absl/status/status.h>

#include <set>
#include <string>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

// One backend of one VIP.
struct BackendKey {
  ObjectKey service;
  VipKey vip;
  net::IpAddress address;
  uint16_t port = 0;  // 0: the packet's own
};

// Which Services a list is about: empty is any.
struct ServiceFilter {
  std::string ns;
  std::string name;
  bool all() const { return ns.empty() && name.empty(); }
  bool has(const std::string& of_ns, const std::string& of_name) const {
    return (ns.empty() || ns == of_ns) && (name.empty() || name == of_name);
  }
};

void fill(const Snapshot& s, v1::GetStatusResponse& out);
void fill(const Snapshot& s, const ServiceFilter& filter, v1::ListServicesResponse& out);
void fill(const Snapshot& s, const ServiceFilter& filter, v1::ListBackendsResponse& out);
// `former`: Daemon::take_former(). NotFound: nothing is known of it.
absl::Status fill(const Snapshot& s, const std::set<ObjectKey>& former, const ObjectKey& key,
                  v1::GetServiceResponse& out);
absl::Status fill(const Snapshot& s, const BackendKey& key, v1::GetBackendResponse& out);
// Rows of both, without counters.
void fill(const Snapshot::Vip& v, v1::VipRow& out);
void fill(const Entry& e, const Backend& b, v1::BackendRow& out);
void fill(const Problem& p, v1::Problem& out);
void fill(const std::map<std::string, uint32_t>& skipped, google::protobuf::RepeatedPtrField<v1::SkippedKind>& out);

}  // namespace guideway::mgmt
