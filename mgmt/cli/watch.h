// `guideway services --watch` and `guideway backends --watch`: the rows, then those that change, as they do. When
// guidewayd goes away they connect again and go on where they were. These return only when that can't help.
#pragma once

#include "mgmt/cli/client.h"

namespace guideway::mgmt {

// `service`: as --service has it; empty: all.
int watch_services(Client& client, const std::string& service);
int watch_backends(Client& client, const std::string& service);

}  // namespace guideway::mgmt
