#include "mgmt/cli/doctor.h"

#include <algorithm>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/host.h"

namespace guideway::mgmt {
namespace {

// kFailed if there is a problem; hints are no failure.
int doctor(Client& client) {
  v1::GetStatusResponse status;
  v1::ListServicesResponse services;
  grpc::Status s = client.ask(&v1::Appliance::Stub::GetStatus, {}, &status);
  if (s.ok()) s = client.ask(&v1::Appliance::Stub::ListServices, {}, &services);
  v1::ListBackendsResponse backends;
  if (s.ok()) s = client.ask(&v1::Appliance::Stub::ListBackends, {}, &backends);
  std::vector<std::string> interfaces;
  std::vector<uint32_t> cores;
  for (const auto& p : status.engine().status().ports())
    if (p.kind() == "af_xdp") interfaces.push_back(p.name());
  for (const auto& w : status.engine().status().workers()) cores.push_back(w.core());
  const HostFacts host = look_at_host(interfaces, cores, encapsulated(services, backends));
  const auto findings =
      examine(host, status, services, backends, s.ok() ? "" : client.explain(s), client.command_line());
  const int code =
      client.for_people() ? client.print_text(show(findings, client.style())) : client.print_json(to_json(findings));
  const bool ill =
      std::ranges::any_of(findings, [](const Finding& f) { return f.severity == Finding::Severity::kProblem; });
  return ill ? kFailed : code;
}

}  // namespace

void add_doctor(CLI::App& app, Client& client) {
  client
      .command(app, "doctor",
               "What stands in the gateway's way on this host, with the remedy; run it where the engine runs")
      ->callback([&client] { client.exit_code = doctor(client); });
}

}  // namespace guideway::mgmt
