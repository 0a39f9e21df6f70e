// The engine's counters as the API's messages. Pure.
#pragma once

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

// Of a VIP, all its backends together, and of one backend; nothing if the engine has none of it.
void fill_counters(const Snapshot& s, const Entry& e, v1::VipRow& out);
void fill_counters(const Snapshot& s, const Entry& e, const Backend& b, v1::BackendRow& out);

void fill_drops(const engine::Hello& hello, const engine::Status& s, v1::ListDropsResponse& out);

}  // namespace guideway::mgmt
