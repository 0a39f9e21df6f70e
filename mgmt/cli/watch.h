// `guideway services --watch` and `guideway backends --watch`: the rows, then those that change, as they do. When
// guidewayd goes away they connect again and go on where they were. These return only when that can't help.
#pragma once

#include "mgmt/cli/client.h"

namespace guideway::mgmt {

void add_watch_flag(CLI::App& command, bool& watching);
int watch_services(Client& client);
int watch_backends(Client& client);

}  // namespace guideway::mgmt
