// Commands that are one call of the API each.
#include "mgmt/cli/commands.h"
#include "mgmt/cli/printable.h"
#include "mgmt/cli/show.h"

namespace guideway::mgmt {
namespace {

template <typename Request, typename Response>
void add(CLI::App& app, Client& client, const char* name, const char* what, Client::Method<Request, Response> method) {
  client.command(app, name, what)->callback([&client, method] { client.exit_code = client.call(method); });
}

int gateway(Client& client) {
  v1::GetGatewayConfigResponse response;
  if (const grpc::Status s = client.ask(&v1::Appliance::Stub::GetGatewayConfig, {}, &response); !s.ok())
    return client.fail(s);
  if (!client.for_people()) return client.print_message(response);
  const std::string manifest = printable_lines(response.manifest());
  make_printable(response);
  response.set_manifest(manifest);
  return client.print_text(show(response, client.style()));
}

}  // namespace

void add_lists(CLI::App& app, Client& client) {
  using Api = v1::Appliance::Stub;
  add(app, client, "status", "The daemon, the engine, and what is wrong", &Api::GetStatus);
  client.command(app, "gateway", "What goes for the gateway as a whole, as a GatewayConfig, also what is by default")
      ->callback([&client] { client.exit_code = gateway(client); });
  add(app, client, "drops", "Packets that didn't arrive: one line per reason, in all and by worker", &Api::ListDrops);
}

}  // namespace guideway::mgmt
