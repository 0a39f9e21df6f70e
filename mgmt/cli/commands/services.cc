#include <memory>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/watch.h"

namespace guideway::mgmt {
namespace {

const OptionNames kNames{{"namespace", "service"}, {"name", "service"}};

int describe(Client& client, const std::string& service) {
  v1::GetServiceRequest request;
  auto [ns, name] = split_service(service);
  if (ns.empty() || name.empty()) return wrong_usage("'" + service + "' is neither NAMESPACE/NAME nor NAME");
  request.set_namespace_(std::move(ns));
  request.set_name(std::move(name));
  return client.call(&v1::Appliance::Stub::GetService, request, kNames);
}

}  // namespace

void add_services(CLI::App& app, Client& client) {
  CLI::App* services = client.command(app, "services", "One line per VIP");
  const auto service = std::make_shared<std::string>();
  const auto watching = std::make_shared<bool>(false);
  add_watch_flag(*services, *watching);
  CLI::App* sub = client.command(*services, "describe",
                                 "All about one Service: where its objects stand, VIPs, backends, what is wrong");
  sub->add_option("service", *service, "The Service; namespace default if none is given")
      ->required()
      ->type_name("[NAMESPACE/]NAME");
  services->callback([&client, services, sub, service, watching] {
    if (services->got_subcommand(sub))
      client.exit_code = describe(client, *service);
    else
      client.exit_code = *watching ? watch_services(client) : client.call(&v1::Appliance::Stub::ListServices);
  });
}

}  // namespace guideway::mgmt
