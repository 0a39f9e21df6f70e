// What the API tells of SourceFilters.
#pragma once

#include <absl/status/status.h>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

void fill(const Snapshot& s, v1::ListSourceFiltersResponse& out);
// A page of them. InvalidArgument: there is no such address or page; NotFound: no such filter.
absl::Status fill(const Snapshot& s, const v1::ListDeniedPrefixesRequest& q, v1::ListDeniedPrefixesResponse& out);

}  // namespace guideway::mgmt
