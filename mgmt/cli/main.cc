// guideway: the command-line client of guidewayd's API.

#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <type_traits>
#include <vector>

#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/cli/doctor.h"
#include "mgmt/cli/host.h"
#include "mgmt/cli/show.h"

namespace guideway::mgmt {
namespace {

struct Options {
  std::string server = "unix:/run/guideway/guideway.sock";
  std::string output = "table";
};

int fail(const Options& o, const grpc::Status& s) {
  std::cerr << "guideway: ";
  if (s.error_code() == grpc::StatusCode::UNAVAILABLE || s.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    std::cerr << "guidewayd can't be reached at " << o.server << " (" << s.error_message()
              << "): is it running, is --server right, and may you use its socket (group guideway)?\n";
  else
    std::cerr << s.error_message() << "\n";
  return 1;
}

// A single large answer (10,000 services) passes gRPC's default of 4 MB.
std::shared_ptr<grpc::Channel> channel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

template <typename Request, typename Response>
using Method = grpc::Status (v1::Appliance::Stub::*)(grpc::ClientContext*, const Request&, Response*);

template <typename Request, typename Response>
grpc::Status ask(v1::Appliance::Stub& stub, Method<Request, Response> method,
                 const std::type_identity_t<Request>& request, Response* r) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return (stub.*method)(&context, request, r);
}

template <typename Response>
int print(const Options& o, const Response& response) {
  if (o.output == "table") {
    std::cout << show(response) << std::flush;
    return std::cout ? 0 : 1;
  }
  google::protobuf::util::JsonPrintOptions json;
  json.add_whitespace = true;
  json.always_print_primitive_fields = true;
  json.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(response, &text, json).ok()) {
    std::cerr << "guideway: the answer can't be shown as JSON\n";
    return 1;
  }
  std::cout << text << std::flush;
  return std::cout ? 0 : 1;
}

template <typename Request, typename Response>
int call(const Options& o, Method<Request, Response> method, const Request& request = {}) {
  const auto stub = v1::Appliance::NewStub(channel(o.server));
  Response response;
  if (const grpc::Status s = ask(*stub, method, request, &response); !s.ok()) return fail(o, s);
  return print(o, response);
}

constexpr uint32_t kMaxPage = 1'000;  // that the daemon gives

struct ConnectionOptions {
  std::string service;
  std::string vip;
  std::string protocol;
  std::vector<std::string> states;
  v1::ConnectionFilter filter;  // client and backend
  uint32_t limit = 100;
  bool count = false;
};

// "192.0.2.10", "192.0.2.10:80", "2001:db8::10" or "[2001:db8::10]:80"; what is an address the daemon says. False if
// the port is none.
bool split_endpoint(const std::string& text, std::string* address, uint32_t* port) {
  size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  *address = text;
  if (text.starts_with('[') && bracket != std::string::npos) {
    *address = text.substr(1, bracket - 1);
    if (bracket + 1 == text.size()) return true;
    colon = bracket + 1;
    if (text[colon] != ':') return false;
  } else if (colon == std::string::npos || text.find(':') != colon) {
    return true;  // no port
  } else {
    *address = text.substr(0, colon);
  }
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, *port);
  return error == std::errc() && rest == end && *port > 0 && *port <= 65'535 && !address->empty();
}

int connections(const Options& o, ConnectionOptions& c) {
  v1::ConnectionFilter& f = c.filter;
  const size_t slash = c.service.find('/');
  f.set_namespace_(slash == std::string::npos ? "default" : c.service.substr(0, slash));
  f.set_name(slash == std::string::npos ? c.service : c.service.substr(slash + 1));
  if (c.service.empty()) f.clear_namespace_();
  std::string address;
  uint32_t port = 0;
  if (!split_endpoint(c.vip, &address, &port)) {
    std::cerr << "guideway: --vip " << c.vip << " is neither ADDRESS nor ADDRESS:PORT\n";
    return 2;
  }
  f.set_vip(address);
  f.set_vip_port(port);
  const auto upper = [](std::string text) {
    for (char& l : text) l = static_cast<char>(std::toupper(static_cast<unsigned char>(l)));
    return text;
  };
  v1::Protocol protocol = v1::PROTOCOL_UNSPECIFIED;
  if (!c.protocol.empty()) v1::Protocol_Parse("PROTOCOL_" + upper(c.protocol), &protocol);
  f.set_protocol(protocol);
  for (const std::string& s : c.states) {
    v1::ConnectionRow::State state{};
    v1::ConnectionRow::State_Parse("STATE_" + upper(s), &state);
    f.add_states(state);
  }
  const auto stub = v1::Appliance::NewStub(channel(o.server));
  if (c.count) {
    v1::CountConnectionsRequest request;
    *request.mutable_filter() = f;
    v1::CountConnectionsResponse sum;
    do {
      v1::CountConnectionsResponse part;
      request.set_page_token(sum.next_page_token());
      if (const grpc::Status s = ask(*stub, &v1::Appliance::Stub::CountConnections, request, &part); !s.ok())
        return fail(o, s);
      sum.set_connections(sum.connections() + part.connections());
      sum.set_next_page_token(part.next_page_token());
    } while (!sum.next_page_token().empty());
    return print(o, sum);
  }
  v1::ListConnectionsRequest request;
  *request.mutable_filter() = f;
  v1::ListConnectionsResponse all;
  do {
    v1::ListConnectionsResponse page;
    request.set_page_size(std::min(c.limit - static_cast<uint32_t>(all.connections_size()), kMaxPage));
    request.set_page_token(all.next_page_token());
    if (const grpc::Status s = ask(*stub, &v1::Appliance::Stub::ListConnections, request, &page); !s.ok())
      return fail(o, s);
    all.set_next_page_token(page.next_page_token());
    all.mutable_connections()->MergeFrom(*page.mutable_connections());
  } while (!all.next_page_token().empty() && static_cast<uint32_t>(all.connections_size()) < c.limit);
  const int code = print(o, all);
  if (!all.next_page_token().empty())
    std::cerr << "guideway: there may be more: --limit " << uint64_t{c.limit} * 10 << " shows more, --count how many\n";
  return code;
}

// 1 if there is a problem; hints are no failure.
int doctor(const Options& o) {
  const auto stub = v1::Appliance::NewStub(channel(o.server));
  v1::GetStatusResponse status;
  v1::ListServicesResponse services;
  grpc::Status s = ask(*stub, &v1::Appliance::Stub::GetStatus, {}, &status);
  if (s.ok()) s = ask(*stub, &v1::Appliance::Stub::ListServices, {}, &services);
  std::vector<std::string> interfaces;
  std::vector<uint32_t> cores;
  for (const auto& p : status.engine().status().ports())
    if (p.kind() == "af_xdp") interfaces.push_back(p.name());
  for (const auto& w : status.engine().status().workers()) cores.push_back(w.core());
  const auto findings =
      examine(look_at_host(interfaces, cores), status, services, s.ok() ? "" : o.server + ": " + s.error_message());
  std::cout << (o.output == "json" ? to_json(findings) : show(findings)) << std::flush;
  const bool ill =
      std::ranges::any_of(findings, [](const Finding& f) { return f.severity == Finding::Severity::kProblem; });
  return ill || !std::cout ? 1 : 0;
}

int run(int argc, char** argv) {
  Options o;
  int result = 0;
  CLI::App app{"Shows what Guideway does. Talks to guidewayd.", "guideway"};
  app.set_version_flag("--version", "guideway " GUIDEWAY_VERSION);
  app.add_option("--server", o.server, "Where guidewayd serves its API")->capture_default_str()->type_name("unix:PATH");
  app.require_subcommand(1);
  const auto command = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("-o,--output", o.output, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str()
        ->type_name("FORMAT");
    sub->fallthrough();
    return sub;
  };
  const CLI::App* status = command("status", "The daemon, the engine, and what is wrong");
  const CLI::App* services = command("services", "One line per VIP");
  const CLI::App* backends = command("backends", "One line per VIP and backend");
  const CLI::App* drops = command("drops", "Packets that didn't arrive: one line per reason, in all and by worker");
  ConnectionOptions c;
  CLI::App* list = command("connections", "Connections that the engine remembers: those that all options given fit");
  list->add_option("--service", c.service, "Those of a Service; namespace default if none is given")
      ->type_name("NAMESPACE/NAME");
  std::string client;
  list->add_option("--client", client, "Those from an address or a prefix")->type_name("ADDRESS[/LENGTH]");
  list->add_option("--vip", c.vip, "Those to a VIP; an IPv6 address with a port in brackets")
      ->type_name("ADDRESS[:PORT]");
  std::string backend;
  list->add_option("--backend", backend, "Those that a backend serves")->type_name("ADDRESS");
  list->add_option("--protocol", c.protocol, "tcp, udp or sctp")
      ->check(CLI::IsMember({"tcp", "udp", "sctp"}))
      ->type_name("PROTOCOL");
  list->add_option("--state", c.states, "Those in a state; may be given several times")
      ->check(CLI::IsMember({"udp", "setup", "established", "closing", "closed"}))
      ->allow_extra_args(false)
      ->type_name("STATE");
  CLI::Option* limit = list->add_option("--limit", c.limit, "Show at most so many")
                           ->check(CLI::Range(1U, 1'000'000U, "1 to 1000000"))
                           ->capture_default_str()
                           ->type_name("N");
  list->add_flag("--count", c.count, "Show only how many there are")->excludes(limit);
  const CLI::App* examine_host =
      command("doctor", "What stands in the gateway's way on this host, with the remedy; run it where the engine runs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (status->parsed()) result = call(o, &v1::Appliance::Stub::GetStatus);
  if (services->parsed()) result = call(o, &v1::Appliance::Stub::ListServices);
  if (backends->parsed()) result = call(o, &v1::Appliance::Stub::ListBackends);
  if (drops->parsed()) result = call(o, &v1::Appliance::Stub::ListDrops);
  if (examine_host->parsed()) result = doctor(o);
  if (list->parsed()) {
    c.filter.set_client(client);
    c.filter.set_backend(backend);
    result = connections(o, c);
  }
  return result;
}

}  // namespace
}  // namespace guideway::mgmt

int main(int argc, char** argv) { return guideway::mgmt::run(argc, argv); }
