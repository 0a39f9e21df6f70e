// A snapshot, and parts that other answers have too, as the API's messages. Pure.
#pragma once

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

void fill(const Snapshot& s, v1::GetStatusResponse& out);
void fill(const Snapshot& s, v1::ListServicesResponse& out);
void fill(const Snapshot& s, v1::ListBackendsResponse& out);
// False if nothing is known of it.
bool fill(const Snapshot& s, const v1::GetServiceRequest& request, v1::GetServiceResponse& out);
// Rows of both, without counters.
void fill(const Snapshot::Vip& v, v1::VipRow& out);
void fill(const Entry& e, const Backend& b, v1::BackendRow& out);
void fill(const Problem& p, v1::Problem& out);
void fill(const std::map<std::string, uint32_t>& skipped, google::protobuf::RepeatedPtrField<v1::SkippedKind>& out);

}  // namespace guideway::mgmt
