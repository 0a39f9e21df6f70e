#include "mgmt/cli/client.h"

#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "mgmt/cli/endpoint.h"
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

void Client::options(CLI::App& app) {
  app.add_option("--server", server, "Where guidewayd serves its API")
      ->envname("GUIDEWAY_SERVER")
      ->capture_default_str()
      ->type_name("unix:PATH|tcp:HOST:PORT");
  app.add_option("--tls-cert", tls.certificate, "For tcp: your certificate")
      ->envname("GUIDEWAY_TLS_CERT")
      ->type_name("FILE");
  app.add_option("--tls-key", tls.key, "For tcp: its private key")->envname("GUIDEWAY_TLS_KEY")->type_name("FILE");
  app.add_option("--tls-ca", tls.ca, "For tcp: who signed guidewayd's certificate")
      ->envname("GUIDEWAY_TLS_CA")
      ->type_name("FILE");
  app.add_option("--tls-server-name", tls_server_name, "For tcp: the name in guidewayd's certificate, if it isn't HOST")
      ->envname("GUIDEWAY_TLS_SERVER_NAME")
      ->type_name("NAME");
  app.parse_complete_callback([this] {
    if (!over_tcp()) return;
    std::string host;
    uint32_t port = 0;
    if (!split_endpoint(tcp_target(), &host, &port) || port == 0)
      throw CLI::ValidationError("--server " + server + " is no address of guidewayd: give unix:PATH or tcp:HOST:PORT");
    if (tls.certificate.empty() || tls.key.empty() || tls.ca.empty())
      throw CLI::ValidationError("--server " + server + " needs --tls-cert, --tls-key and --tls-ca");
  });
}

grpc::Status Client::prepare() {
  if (stub_) return grpc::Status::OK;
  // A single large answer (10,000 services) passes gRPC's default of 4 MB.
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A daemon whose host vanished is found out while we follow it (milliseconds), and one that is back is tried at once.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!over_tcp()) {
    channel_ = grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Appliance::NewStub(channel_);
    return grpc::Status::OK;
  }
  const auto identity = read_identity(tls);
  if (!identity.ok()) return {grpc::StatusCode::FAILED_PRECONDITION, std::string(identity.status().message())};
  if (!tls_server_name.empty()) arguments.SetSslTargetNameOverride(tls_server_name);
  const auto credentials = grpc::SslCredentials({identity->ca, identity->key, identity->certificate});
  channel_ = grpc::CreateCustomChannel(tcp_target(), credentials, arguments);
  stub_ = v1::Appliance::NewStub(channel_);
  return grpc::Status::OK;
}

// Without a connection nothing was sent.
grpc::Status Client::unanswered(const grpc::Status& s, std::chrono::seconds within, bool changes) const {
  if (channel_->GetState(false) != GRPC_CHANNEL_READY) return {grpc::StatusCode::UNAVAILABLE, s.error_message()};
  return {grpc::StatusCode::DEADLINE_EXCEEDED,
          "guidewayd hasn't answered within " + std::to_string(within.count()) + " s" +
              (changes ? ", and may have done it all the same: look before you try again" : ": try again")};
}

bool may_change(const google::protobuf::Message& request) {
  const auto& service = *v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Appliance");
  for (int i = 0; i < service.method_count(); ++i)
    if (service.method(i)->input_type() == request.GetDescriptor())
      return service.method(i)->options().idempotency_level() != google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
  return true;
}

std::string Client::command_line() const {
  std::string line = "guideway";
  const auto add = [&](const char* option, const std::string& value) {
    line += std::string(" ") + option + " '" + absl::StrReplaceAll(value, {{"'", "'\\''"}}) + "'";
  };
  if (server != kServer) add("--server", server);
  if (over_tcp()) {
    add("--tls-cert", tls.certificate);
    add("--tls-key", tls.key);
    add("--tls-ca", tls.ca);
    if (!tls_server_name.empty()) add("--tls-server-name", tls_server_name);
  }
  return line;
}

int Client::print_text(const std::string& text) {
  if (!std::cout) return kFailed;  // said already
  errno = 0;
  std::cout << text << std::flush;
  if (std::cout) return 0;
  if (errno != EPIPE) std::cerr << "guideway: standard output: " << std::strerror(errno) << "\n";
  return kFailed;
}

Style Client::style() const {
  const auto set = [](const char* name, std::string_view unless) {
    const char* value = std::getenv(name);
    return value != nullptr && value != unless;
  };
  return {.wide = output == "wide",
          .colours = ::isatty(STDOUT_FILENO) == 1 && !set("NO_COLOR", "") && set("TERM", "dumb")};
}

int Client::print_message(const google::protobuf::Message& response, Layout layout) {
  google::protobuf::util::JsonPrintOptions json;
  json.add_whitespace = layout == Layout::kIndented;
  json.always_print_primitive_fields = true;
  json.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(response, &text, json).ok()) {
    std::cerr << "guideway: the answer can't be shown as JSON\n";
    return kFailed;
  }
  return print_json(layout == Layout::kLine ? text + "\n" : text, layout);
}

int Client::print_json(const std::string& json, Layout layout) {
  if (output != "yaml") return print_text(json);
  if (const auto yaml = yaml_of_json(json)) {
    const bool apart = std::exchange(printed_, true) || layout == Layout::kLine;
    return print_text((apart ? "---\n" : "") + *yaml);
  }
  std::cerr << "guideway: the answer can't be shown as YAML; -o json can\n";
  return kFailed;
}

std::string Client::why_unreachable(const std::string& error) const {
  if (!over_tcp()) return "is it running, is --server right, and may you use its socket (group guideway)?";
  if (const auto identity = read_identity(tls); identity.ok())
    for (const std::string& lapse : lapses(*identity, tls)) return lapse;
  const auto says = [&](const char* text) { return error.find(text) != std::string::npos; };
  if (says("certificate verify failed")) return "its certificate isn't signed by one in " + tls.ca + ", or has expired";
  if (says("is not in peer certificate"))
    return "its certificate names others than that: give one of them with --tls-server-name";
  if (says("Socket closed") || says("onnection reset")) return "it hung up, and its log says why";
  return "is it running, and is --server right?";
}

std::string with_options(const std::string& said, const OptionNames& names) {
  std::vector<std::string> lines = absl::StrSplit(said, '\n');
  for (std::string& line : lines)
    if (const auto name = names.find(line.substr(0, line.find(": "))); name != names.end())
      line.replace(0, name->first.size(), name->second);
  return absl::StrJoin(lines, "\n");
}

int Client::fail(const grpc::Status& s, const OptionNames& names) const {
  const bool refused = s.error_code() == grpc::StatusCode::INVALID_ARGUMENT;
  std::cerr << "guideway: " << (refused ? with_options(explain(s), names) : explain(s)) << "\n";
  return refused && !names.empty() ? kUsage : kFailed;
}

std::string Client::explain(const grpc::Status& s) const {
  std::string said = printable_lines(s.error_message());
  // gRPC gives its own failures the same code. What guidewayd says there is of itself ("guidewayd is stopping").
  if (s.error_code() != grpc::StatusCode::UNAVAILABLE || said.starts_with("guidewayd ")) return said;
  return "guidewayd can't be reached at " + server + " (" + said + "): " + why_unreachable(said);
}

std::pair<std::string, std::string> split_service(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {"default", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

void tell_unknown_service(Client& client, const std::string& text) {
  if (text.empty()) return;
  v1::GetServiceRequest request;
  set_service(text, request);
  v1::GetServiceResponse response;
  const grpc::Status s = client.ask(&v1::Appliance::Stub::GetService, request, &response);
  if (s.error_code() == grpc::StatusCode::NOT_FOUND) client.fail(s);
}

CLI::Validator whole_number(uint32_t min, uint32_t max) {
  const std::string range = std::to_string(min) + " to " + std::to_string(max);
  const auto check = [=](const std::string& text) {
    uint32_t n = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, n);
    const bool octal = text.size() > 1 && text.starts_with('0');
    const bool fine = error == std::errc() && rest == end && !octal && n >= min && n <= max;
    return fine ? "" : text + " is no whole number from " + range;
  };
  return {check, range};
}

int wrong_usage(const std::string& text) {
  std::cerr << "guideway: " << text << "\n";
  return kUsage;
}

}  // namespace guideway::mgmt
