// What a call changed, in words for the log: "Service demo/web configured, EndpointSlice demo/web-1 created". Pure.
#pragma once

#include <string>

#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {

std::string change_of(const v1::ApplyObjectsRequest& q, const v1::ApplyObjectsResponse& r);
std::string change_of(const v1::DeleteObjectsRequest& q, const v1::DeleteObjectsResponse& r);
std::string change_of(const v1::SetBackendWeightRequest& q, const v1::SetBackendWeightResponse& r);
std::string change_of(const v1::ResetBackendWeightRequest& q, const v1::ResetBackendWeightResponse& r);
std::string change_of(const v1::SetLogLevelRequest& q, const v1::SetLogLevelResponse& r);

}  // namespace guideway::mgmt
