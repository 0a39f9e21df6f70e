#include "mgmt/cli/client.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "mgmt/cli/yaml.h"

namespace guideway::mgmt {

CLI::App* Client::command(CLI::App& app, const char* name, const char* what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->add_option("-o,--output", output, "table, wide (with every column), json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
      ->capture_default_str()
      ->type_name("FORMAT");
  sub->fallthrough();
  return sub;
}

v1::Appliance::Stub& Client::stub() {
  if (!stub_) {
    // A single large answer (10,000 services) passes gRPC's default of 4 MB.
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    stub_ = v1::Appliance::NewStub(grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments));
  }
  return *stub_;
}

int Client::print_text(const std::string& text) const {
  std::cout << text << std::flush;
  return std::cout ? 0 : kFailed;
}

Style Client::style() const {
  const auto set = [](const char* name, std::string_view unless) {
    const char* value = std::getenv(name);
    return value != nullptr && value != unless;
  };
  return {.wide = output == "wide",
          .colours = ::isatty(STDOUT_FILENO) == 1 && !set("NO_COLOR", "") && set("TERM", "dumb")};
}

int Client::print_message(const google::protobuf::Message& response, Layout layout) const {
  google::protobuf::util::JsonPrintOptions json;
  json.add_whitespace = layout == Layout::kIndented;
  json.always_print_primitive_fields = true;
  json.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(response, &text, json).ok()) {
    std::cerr << "guideway: the answer can't be shown as JSON\n";
    return kFailed;
  }
  return print_json(layout == Layout::kLine ? text + "\n" : text);
}

int Client::print_json(const std::string& json) const {
  if (output != "yaml") return print_text(json);
  if (const auto yaml = yaml_of_json(json)) return print_text(*yaml);
  std::cerr << "guideway: the answer can't be shown as YAML; -o json can\n";
  return kFailed;
}

int Client::fail(const grpc::Status& s) const {
  std::cerr << "guideway: " << explain(s) << "\n";
  return kFailed;
}

std::string Client::explain(const grpc::Status& s) const {
  if (s.error_code() != grpc::StatusCode::UNAVAILABLE && s.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED)
    return s.error_message();
  return "guidewayd can't be reached at " + server + " (" + s.error_message() +
         "): is it running, is --server right, and may you use its socket (group guideway)?";
}

std::pair<std::string, std::string> split_service(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {"default", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

int wrong_usage(const std::string& text) {
  std::cerr << "guideway: " << text << "\n";
  return kUsage;
}

}  // namespace guideway::mgmt
