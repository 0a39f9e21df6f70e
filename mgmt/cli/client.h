// What every command of guideway has: its way to the daemon, how it prints, how it fails.
#pragma once

#include <CLI/CLI.hpp>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/cli/printable.h"
#include "mgmt/cli/show.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {

// Exit codes: 0, or one of these.
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

inline constexpr const char* kServer = "unix:/run/guideway/guideway.sock";

// How long guidewayd has for an answer, and for one to manifests: it flushes the disk for each of their objects.
struct Patience {
  std::chrono::seconds others{10};
  std::chrono::seconds manifests{300};
};

// What on the command line fills a field of a request: {"filter.client", "--client"}.
using OptionNames = std::map<std::string, std::string>;

// What guidewayd says of a request's fields, a line each, with their options' names instead.
std::string with_options(const std::string& said, const OptionNames& names);

// Whether the method that takes this may change something, as the API's description has it.
bool may_change(const google::protobuf::Message& request);

class Client {
 public:
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::Appliance::Stub::*)(grpc::ClientContext*, const Request&, Response*);

  // Where the options put what they read.
  std::string server = kServer;
  TlsFiles tls;
  std::string tls_server_name;
  std::string output = "table";
  int exit_code = 0;  // what the command came to
  Patience patience;

  // The options of the program as a whole: where guidewayd is, and how it is spoken to.
  void options(CLI::App& app);
  // A subcommand with the options that all have.
  CLI::App* command(CLI::App& app, const char* name, const char* what);

  template <typename Request, typename Response>
  grpc::Status ask(Method<Request, Response> method, const std::type_identity_t<Request>& request, Response* r) {
    if (grpc::Status s = prepare(); !s.ok()) return s;
    std::chrono::seconds within = patience.others;
    if constexpr (requires { request.manifests(); }) within = patience.manifests;
    bool dry_run = false;
    if constexpr (requires { request.dry_run(); }) dry_run = request.dry_run();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + within);
    const grpc::Status s = (stub_.get()->*method)(&context, request, r);
    const bool late = !s.ok() && std::chrono::system_clock::now() >= context.deadline();
    return late ? unanswered(s, within, !dry_run && may_change(request)) : s;
  }

  bool for_people() const { return output == "table" || output == "wide"; }
  // Before a command, for a shell: "guideway --server tcp:gw1:9965 --tls-cert …", without options that are as by
  // default.
  std::string command_line() const;
  // Coloured on a terminal that can, unless NO_COLOR is set (no-color.org).
  Style style() const;
  // Calls `take` for each message of a stream, until it returns false (OK then) or the stream ends. Each time over a
  // connection of its own: certificates may have changed.
  template <typename Reader, typename Request, typename Response>
  grpc::Status follow(Reader method, const Request& request, Response* message, const std::function<bool()>& take) {
    stub_.reset();
    if (grpc::Status s = prepare(); !s.ok()) return s;
    grpc::ClientContext context;
    const auto reader = (stub_.get()->*method)(&context, request);
    while (reader->Read(message)) {
      if (take()) continue;
      context.TryCancel();
      reader->Finish();
      return grpc::Status::OK;
    }
    return reader->Finish();
  }

  // These give exit codes.
  template <typename Response>
  int print(const Response& response) {
    if (for_people()) return print_text(show(printable(response), style()));
    return print_message(response);
  }
  // Why it fails is said once, and not at all where nobody reads any more.
  static int print_text(const std::string& text);
  // kLine: one of many, a line of JSON or a document of YAML each.
  enum class Layout : uint8_t { kIndented, kLine };
  // As JSON, or in the form that was asked for instead.
  int print_message(const google::protobuf::Message& response, Layout layout = Layout::kIndented);
  int print_json(const std::string& json, Layout layout = Layout::kIndented);
  // With names, what guidewayd refuses of the request is a wrong command line.
  int fail(const grpc::Status& s, const OptionNames& names = {}) const;
  // What fail() says.
  std::string explain(const grpc::Status& s) const;
  template <typename Request, typename Response>
  int call(Method<Request, Response> method, const std::type_identity_t<Request>& request = {},
           const OptionNames& names = {}) {
    Response response;
    const grpc::Status s = ask(method, request, &response);
    return s.ok() ? print(response) : fail(s, names);
  }

 private:
  bool over_tcp() const { return !server.starts_with("unix:"); }
  std::string tcp_target() const { return server.starts_with("tcp:") ? server.substr(4) : server; }
  // Before the first call: the channel and the stub; why there can't be one.
  grpc::Status prepare();
  // What a call comes to whose time is over.
  grpc::Status unanswered(const grpc::Status& s, std::chrono::seconds within, bool changes) const;
  std::string why_unreachable(const std::string& error) const;

  bool printed_ = false;  // as YAML: what follows is another document
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Appliance::Stub> stub_;
};

// "demo/web" → demo, web; "web" → default, web.
std::pair<std::string, std::string> split_service(const std::string& text);

// Into a request or filter that is about one Service.
template <typename Message>
void set_service(const std::string& text, Message& m) {
  auto [ns, name] = split_service(text);
  m.set_namespace_(std::move(ns));
  m.set_name(std::move(name));
}

// Says on standard error if guidewayd doesn't know the Service that a list is empty of: it might be idle as well. No
// failure: one that was deleted a moment ago may still have connections. Nothing if `text` is empty.
void tell_unknown_service(Client& client, const std::string& text);

// Checks an option's number, decimal as people mean it: to CLI11 "010" is 8, and "-18446744073709551615" is 1.
CLI::Validator whole_number(uint32_t min, uint32_t max);

// Says on standard error what is wrong with the words given.
int wrong_usage(const std::string& text);

}  // namespace guideway::mgmt
