// The API's answers as text for people. Pure.
#pragma once

#include <string>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/cli/style.h"

namespace guideway::mgmt {

std::string show(const v1::GetStatusResponse& r, const Style& style);
std::string show(const v1::ListServicesResponse& r, const Style& style);
std::string show(const v1::GetServiceResponse& r, const Style& style);
std::string show(const v1::ListBackendsResponse& r, const Style& style);
std::string show(const v1::ListDropsResponse& r, const Style& style);
std::string show(const v1::ListSourceFiltersResponse& r, const Style& style);
std::string show(const v1::ListDeniedPrefixesResponse& r, const Style& style);
std::string show(const v1::ListConnectionsResponse& r, const Style& style);
std::string show(const v1::CountConnectionsResponse& r, const Style& style);
std::string show(const v1::TraceResponse& r, const Style& style);
std::string show(const v1::ApplyObjectsResponse& r, const Style& style);
std::string show(const v1::DeleteObjectsResponse& r, const Style& style);
std::string show(const v1::SetBackendWeightResponse& r, const Style& style);
std::string show(const v1::ResetBackendWeightResponse& r, const Style& style);
std::string show(const v1::GetLogLevelsResponse& r, const Style& style);
std::string show(const v1::GetGatewayConfigResponse& r, const Style& style);
// Where each is, the object, and what to do.
std::string show(const google::protobuf::RepeatedPtrField<v1::Problem>& problems, const Style& style);

}  // namespace guideway::mgmt
