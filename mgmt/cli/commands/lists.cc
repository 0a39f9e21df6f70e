// Commands that are one call of the API.
#include "mgmt/cli/commands.h"

namespace guideway::mgmt {
namespace {

template <typename Request, typename Response>
void add(CLI::App& app, Client& client, const char* name, const char* what, Client::Method<Request, Response> method) {
  client.command(app, name, what)->callback([&client, method] { client.exit_code = client.call(method); });
}

}  // namespace

void add_lists(CLI::App& app, Client& client) {
  using Api = v1::Appliance::Stub;
  add(app, client, "status", "The daemon, the engine, and what is wrong", &Api::GetStatus);
  add(app, client, "backends", "One line per VIP and backend", &Api::ListBackends);
  add(app, client, "drops", "Packets that didn't arrive: one line per reason, in all and by worker", &Api::ListDrops);
}

}  // namespace guideway::mgmt
