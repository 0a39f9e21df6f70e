// The API's answers as text for people. Pure.
#pragma once

#include <string>

#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {

std::string show(const v1::GetStatusResponse& r);
std::string show(const v1::ListServicesResponse& r);
std::string show(const v1::ListBackendsResponse& r);
std::string show(const v1::ListDropsResponse& r);
std::string show(const v1::ListConnectionsResponse& r);
std::string show(const v1::CountConnectionsResponse& r);
std::string show(const v1::ApplyObjectsResponse& r);
std::string show(const v1::DeleteObjectsResponse& r);
std::string show(const v1::SetBackendWeightResponse& r);
std::string show(const v1::ResetBackendWeightResponse& r);

}  // namespace guideway::mgmt
