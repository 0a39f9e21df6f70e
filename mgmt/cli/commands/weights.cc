// drain, undrain and weight: what operators do with a backend, above what its EndpointSlice says.
#include <memory>
#include <optional>

#include "mgmt/cli/commands.h"

namespace guideway::mgmt {
namespace {

const OptionNames kNames{{"address", "backend"}, {"namespace", "--service"}, {"name", "--service"}};

struct Options {
  std::string address;
  std::string service;
  std::optional<uint32_t> weight;
  bool reset = false;
};

template <typename Message>
Message named(const Options& o) {
  Message m;
  m.set_address(o.address);
  if (!o.service.empty()) set_service(o.service, m);
  return m;
}

int set(Client& client, const Options& o, uint32_t weight) {
  auto request = named<v1::SetBackendWeightRequest>(o);
  request.set_weight(weight);
  return client.call(&v1::Appliance::Stub::SetBackendWeight, request, kNames);
}

int reset(Client& client, const Options& o) {
  return client.call(&v1::Appliance::Stub::ResetBackendWeight, named<v1::ResetBackendWeightRequest>(o), kNames);
}

// Takes back a drain alone: another weight was set for another reason.
int undrain(Client& client, const Options& o) {
  auto request = named<v1::ResetBackendWeightRequest>(o);
  request.set_only_drained(true);
  return client.call(&v1::Appliance::Stub::ResetBackendWeight, request, kNames);
}

CLI::App* command(CLI::App& app, Client& client, const char* name, const char* what,
                  const std::shared_ptr<Options>& o) {
  CLI::App* sub = client.command(app, name, what);
  sub->add_option("backend", o->address, "Its address")->required()->type_name("ADDRESS");
  sub->add_option("--service", o->service,
                  "Only as a backend of this Service; namespace default if none is given. Else of every Service")
      ->type_name("[NAMESPACE/]NAME");
  return sub;
}

}  // namespace

void add_weights(CLI::App& app, Client& client) {
  const auto o = std::make_shared<Options>();
  command(app, client, "drain", "Send a backend no new connections; those that stand live on", o)
      ->callback([&client, o] { client.exit_code = set(client, *o, 0); });
  command(app, client, "undrain", "Send a drained backend connections again", o)->callback([&client, o] {
    client.exit_code = undrain(client, *o);
  });
  CLI::App* sub = command(app, client, "weight", "Give a backend another weight than its EndpointSlice does", o);
  CLI::Option* weight = sub->add_option("weight", o->weight, "Its share is weight / sum of the weights; 0 drains")
                            ->check(whole_number(0, 65'535))
                            ->type_name("WEIGHT");
  sub->add_flag("--reset", o->reset, "Back to the EndpointSlice's")->excludes(weight);
  sub->callback([&client, o] {
    if (o->reset)
      client.exit_code = reset(client, *o);
    else
      client.exit_code = o->weight ? set(client, *o, *o->weight) : wrong_usage("weight: give a WEIGHT, or --reset");
  });
}

}  // namespace guideway::mgmt
