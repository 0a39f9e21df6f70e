// services and backends: lists of all or of one Service, and what changes in them; services describe.
#include <memory>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/watch.h"

namespace guideway::mgmt {
namespace {

struct Options {
  std::string service;
  bool watching = false;
};

// One Service's, or all.
template <typename Request, typename Response, typename Rows>
int list(Client& client, Client::Method<Request, Response> method, const Rows& (Response::*rows)() const,
         const std::string& service) {
  Request request;
  if (!service.empty()) set_service(service, request);
  Response response;
  if (const grpc::Status s = client.ask(method, request, &response); !s.ok())
    return client.fail(s, {{"namespace", "--service"}, {"name", "--service"}});
  if ((response.*rows)().empty()) tell_unknown_service(client, service);
  return client.print(response);
}

int describe(Client& client, const std::string& service) {
  v1::GetServiceRequest request;
  set_service(service, request);
  if (request.namespace_().empty() || request.name().empty())
    return wrong_usage("'" + service + "' is neither NAMESPACE/NAME nor NAME");
  return client.call(&v1::Appliance::Stub::GetService, request, {{"namespace", "service"}, {"name", "service"}});
}

CLI::App* add_list(CLI::App& app, Client& client, const char* name, const char* what, Options& o) {
  CLI::App* sub = client.command(app, name, what);
  sub->add_option("--service", o.service, "Those of one Service; namespace default if none is given")
      ->type_name("[NAMESPACE/]NAME");
  sub->add_flag("-w,--watch", o.watching,
                "Then those that change, as they do, without counters; as JSON or YAML by message");
  return sub;
}

}  // namespace

void add_services(CLI::App& app, Client& client) {
  const auto o = std::make_shared<Options>();
  CLI::App* services = add_list(app, client, "services", "One line per VIP", *o);
  const auto service = std::make_shared<std::string>();
  CLI::App* sub = client.command(*services, "describe",
                                 "All about one Service: where its objects stand, VIPs, backends, what is wrong");
  sub->add_option("service", *service, "The Service; namespace default if none is given")
      ->required()
      ->type_name("[NAMESPACE/]NAME");
  services->callback([&client, services, sub, service, o] {
    if (services->got_subcommand(sub) && (o->watching || !o->service.empty()))
      client.exit_code =
          wrong_usage("services describe has neither --watch nor --service: it tells of the one it names");
    else if (services->got_subcommand(sub))
      client.exit_code = describe(client, *service);
    else
      client.exit_code = o->watching ? watch_services(client, o->service)
                                     : list(client, &v1::Appliance::Stub::ListServices,
                                            &v1::ListServicesResponse::services, o->service);
  });
}

void add_backends(CLI::App& app, Client& client) {
  const auto o = std::make_shared<Options>();
  add_list(app, client, "backends", "One line per VIP and backend", *o)->callback([&client, o] {
    client.exit_code =
        o->watching ? watch_backends(client, o->service)
                    : list(client, &v1::Appliance::Stub::ListBackends, &v1::ListBackendsResponse::backends, o->service);
  });
}

}  // namespace guideway::mgmt
