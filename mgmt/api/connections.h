// Questions for connections and their answers, between the API's messages and the contract's. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "dataplane/engine.pb.h"
#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {

// Errors name the field.
absl::StatusOr<engine::ConnectionFilter> to_engine(const v1::ConnectionFilter& filter);

// Of a page that ends at a place; nobody but us reads it.
std::string page_token(const engine::ConnectionsPosition& next);
absl::StatusOr<engine::ConnectionsPosition> position_of(const std::string& page_token);

void fill(const engine::Connection& c, v1::ConnectionRow& out);

}  // namespace guideway::mgmt
