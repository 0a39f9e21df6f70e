// The API's words for objects, backends and weights, and what it writes of them. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/api/responses.h"
#include "mgmt/daemon.h"

namespace guideway::mgmt {

// Each names all that is wrong. `field`: where the reference stands, for the error.
absl::StatusOr<ObjectKey> to_key(const v1::ObjectRef& ref, const std::string& field);
absl::StatusOr<ObjectKey> to_service(const v1::GetServiceRequest& q);
absl::StatusOr<ServiceFilter> to_filter(const std::string& ns, const std::string& name);
absl::StatusOr<OverrideKey> to_override(const std::string& ns, const std::string& name, const std::string& address);
absl::StatusOr<BackendKey> to_backend(const v1::GetBackendRequest& q);
absl::StatusOr<ApiSource::Condition> to_condition(v1::ApplyObjectsRequest::Condition condition);

void fill(const ObjectKey& key, v1::ObjectRef& out);
void fill(const ShownObject& o, v1::GetObjectResponse& out);
void fill(const ShownObject& o, v1::GetGatewayConfigResponse& out);
void fill(const ApplyResult& result, v1::ApplyObjectsResponse& out);
void fill(const std::vector<Applied>& removed, v1::DeleteObjectsResponse& out);

}  // namespace guideway::mgmt
