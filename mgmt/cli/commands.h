// The commands of guideway, a file each under commands/: every one adds itself to the program and, where it was asked
// for, runs and leaves what it came to in Client::exit_code.
#pragma once

#include "mgmt/cli/client.h"

namespace guideway::mgmt {

void add_lists(CLI::App& app, Client& client);  // status, gateway, drops
void add_services(CLI::App& app, Client& client);
void add_backends(CLI::App& app, Client& client);
void add_top(CLI::App& app, Client& client);
void add_log_level(CLI::App& app, Client& client);
void add_connections(CLI::App& app, Client& client);
void add_filters(CLI::App& app, Client& client);
void add_objects(CLI::App& app, Client& client);  // apply, diff, delete
void add_weights(CLI::App& app, Client& client);  // drain, undrain, weight
void add_doctor(CLI::App& app, Client& client);
void add_trace(CLI::App& app, Client& client);
void add_upgrade_engine(CLI::App& app, Client& client);

}  // namespace guideway::mgmt
