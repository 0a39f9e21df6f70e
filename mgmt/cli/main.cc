// guideway: the command-line client of guidewayd's API.

#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <string>

#include "mgmt/api/appliance.grpc.pb.h"
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
int call(const Options& o,
         grpc::Status (v1::Appliance::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  const auto stub = v1::Appliance::NewStub(channel(o.server));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  Response response;
  if (const grpc::Status s = (stub.get()->*method)(&context, Request(), &response); !s.ok()) return fail(o, s);
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (status->parsed()) result = call(o, &v1::Appliance::Stub::GetStatus);
  if (services->parsed()) result = call(o, &v1::Appliance::Stub::ListServices);
  if (backends->parsed()) result = call(o, &v1::Appliance::Stub::ListBackends);
  if (drops->parsed()) result = call(o, &v1::Appliance::Stub::ListDrops);
  return result;
}

}  // namespace
}  // namespace guideway::mgmt

int main(int argc, char** argv) { return guideway::mgmt::run(argc, argv); }
