#include <memory>
#include <vector>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/endpoint.h"
#include "mgmt/cli/pages.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

const OptionNames kNames{{"filter.namespace", "--service"},
                         {"filter.name", "--service"},
                         {"filter.client", "--client"},
                         {"filter.vip", "--vip"},
                         {"filter.backend", "--backend"}};

struct ConnectionOptions {
  std::string service;
  std::string client;
  std::string vip;
  std::string backend;
  std::string protocol;
  std::vector<std::string> states;
  uint32_t limit = 100;
  bool count = false;
};

// False if the VIP's port is none; the rest CLI11 or the daemon says.
bool to_filter(const ConnectionOptions& c, v1::ConnectionFilter& f) {
  if (!c.service.empty()) set_service(c.service, f);
  std::string address;
  uint32_t port = 0;
  if (!split_endpoint(c.vip, &address, &port)) return false;
  f.set_vip(address);
  f.set_vip_port(port);
  f.set_client(c.client);
  f.set_backend(c.backend);
  v1::Protocol protocol = v1::PROTOCOL_UNSPECIFIED;
  if (!c.protocol.empty()) v1::Protocol_Parse("PROTOCOL_" + upper(c.protocol), &protocol);
  f.set_protocol(protocol);
  for (const std::string& s : c.states) {
    v1::ConnectionRow::State state{};
    v1::ConnectionRow::State_Parse("STATE_" + upper(s), &state);
    f.add_states(state);
  }
  return true;
}

int count(Client& client, const ConnectionOptions& c, const v1::ConnectionFilter& filter) {
  v1::CountConnectionsRequest request;
  *request.mutable_filter() = filter;
  v1::CountConnectionsResponse sum;
  do {
    v1::CountConnectionsResponse part;
    request.set_page_token(sum.next_page_token());
    if (const grpc::Status s = client.ask(&v1::Appliance::Stub::CountConnections, request, &part); !s.ok())
      return client.fail(s, kNames);
    sum.set_connections(sum.connections() + part.connections());
    sum.set_next_page_token(part.next_page_token());
  } while (!sum.next_page_token().empty());
  if (sum.connections() == 0) tell_unknown_service(client, c.service);
  return client.print(sum);
}

int list(Client& client, const ConnectionOptions& c, const v1::ConnectionFilter& filter) {
  v1::ListConnectionsRequest request;
  *request.mutable_filter() = filter;
  v1::ListConnectionsResponse all;
  const auto rows = [](auto& r) { return r.mutable_connections(); };
  if (const auto s = ask_pages(client, &v1::Appliance::Stub::ListConnections, request, c.limit, rows, all); !s.ok())
    return client.fail(s, kNames);
  if (all.connections().empty()) tell_unknown_service(client, c.service);
  const int code = client.print(all);
  if (!all.next_page_token().empty())
    std::cerr << "guideway: there may be more: " << show_more(c.limit) << ", --count how many\n";
  return code;
}

int connections(Client& client, const ConnectionOptions& c) {
  v1::ConnectionFilter filter;
  if (c.service.starts_with('/')) return wrong_usage("--service " + c.service + " is neither NAMESPACE/NAME nor NAME");
  if (!to_filter(c, filter)) return wrong_usage("--vip " + c.vip + " is neither ADDRESS nor ADDRESS:PORT");
  return c.count ? count(client, c, filter) : list(client, c, filter);
}

}  // namespace

void add_connections(CLI::App& app, Client& client) {
  const auto c = std::make_shared<ConnectionOptions>();
  CLI::App* sub =
      client.command(app, "connections", "Connections that the engine remembers: those that all options given fit");
  sub->add_option("--service", c->service, "Those of a Service; namespace default if none is given")
      ->type_name("[NAMESPACE/]NAME");
  sub->add_option("--client", c->client, "Those from an address or a prefix")->type_name("ADDRESS[/LENGTH]");
  sub->add_option("--vip", c->vip, "Those to a VIP; an IPv6 address with a port in brackets")
      ->type_name("ADDRESS[:PORT]");
  sub->add_option("--backend", c->backend, "Those that a backend serves")->type_name("ADDRESS");
  sub->add_option("--protocol", c->protocol, "tcp, udp or sctp")
      ->transform(CLI::IsMember({"tcp", "udp", "sctp"}, CLI::ignore_case))
      ->type_name("PROTOCOL");
  sub->add_option("--state", c->states, "Those in a state; may be given several times")
      ->transform(CLI::IsMember({"udp", "setup", "established", "closing", "closed"}, CLI::ignore_case))
      ->allow_extra_args(false)
      ->type_name("STATE");
  CLI::Option* limit = add_limit(*sub, c->limit);
  sub->add_flag("--count", c->count, "Show only how many there are")->excludes(limit);
  sub->callback([&client, c] { client.exit_code = connections(client, *c); });
}

}  // namespace guideway::mgmt
