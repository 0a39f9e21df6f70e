#include "mgmt/api/call_log.h"

#include <absl/status/status.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/support/server_interceptor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "log/log.h"
#include "mgmt/api/access.h"
#include "mgmt/api/local_listener.h"

namespace guideway::mgmt {
namespace {

namespace hooks = grpc::experimental;

// gRPC has no other place for what a call's maker tells its interceptors. It isn't sent.
constexpr const char* kChange = "guideway-change";

std::string take_change(std::multimap<std::string, std::string>& trailers) {
  const auto found = trailers.find(kChange);
  return found == trailers.end() ? "" : trailers.extract(found).mapped();
}

std::string common_name(const grpc::ServerContextBase& context) {
  const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  return names.empty() ? "" : shown({names[0].data(), names[0].size()});
}

struct Caller {
  std::string name;
  std::string shown;  // in a sentence
};
Caller caller_of(const std::optional<LocalCaller>& local, const grpc::ServerContextBase& context) {
  if (local) return {to_string(*local), to_string(*local)};
  const std::string name = common_name(context);
  return {name, "'" + name + "'"};
}

// As the log shows it: without its service if it is ours.
std::string shown_method(std::string_view path) {
  return shown(is_ours(path) ? path.substr(path.rfind('/') + 1) : path);
}

void write_failure(std::string_view path, const Caller& caller, std::string_view code, const std::string& error) {
  const std::string method = shown_method(path);
  const std::string failed = " failed for " + caller.shown + ": " + std::string(code);
  log::write(spdlog::level::warn, method + failed + ": " + error,
             {{"method", method}, {"caller", caller.name}, {"code", code}, {"error", error}},
             // Not in the caller's words: who invents methods mustn't use up what the log tells apart.
             (is_ours(path) ? method : "no method of ours") + failed);
}

class CallLog final : public hooks::Interceptor {
 public:
  explicit CallLog(hooks::ServerRpcInfo* call) : call_(call) {}

  void Intercept(hooks::InterceptorBatchMethods* methods) override {
    // At once: when the call ends, its descriptor may be another connection's.
    if (methods->QueryInterceptionHookPoint(hooks::InterceptionHookPoints::POST_RECV_INITIAL_METADATA))
      local_ = local_caller(call_->server_context()->peer());
    if (methods->QueryInterceptionHookPoint(hooks::InterceptionHookPoints::PRE_SEND_STATUS))
      log(methods->GetSendStatus(), take_change(*methods->GetSendTrailingMetadata()));
    methods->Proceed();
  }

 private:
  void log(const grpc::Status& s, const std::string& change) const {
    const std::string_view path = call_->method();
    if (s.error_code() == grpc::StatusCode::CANCELLED) return;  // by the caller: how watches end
    if (s.ok() && (only_reads(path) || for_anybody(path))) return;
    const Caller caller = caller_of(local_, *call_->server_context());
    if (!s.ok())
      return write_failure(path, caller, absl::StatusCodeToString(static_cast<absl::StatusCode>(s.error_code())),
                           s.error_message());
    const std::string method = shown_method(path);
    const std::string what = method + " by " + caller.shown;
    const std::string line = what + (change.empty() ? "" : ": " + change);
    const log::Fields fields = {{"method", method}, {"caller", caller.name}, {"change", change}};
    if (method == "SetLogLevel") return log::write_at_any_level(line, fields, what);
    log::write(spdlog::level::info, line, fields, what);
  }

  hooks::ServerRpcInfo* call_;
  std::optional<LocalCaller> local_;
};

class Factory final : public hooks::ServerInterceptorFactoryInterface {
 public:
  hooks::Interceptor* CreateServerInterceptor(hooks::ServerRpcInfo* call) override { return new CallLog(call); }
};

}  // namespace

std::unique_ptr<hooks::ServerInterceptorFactoryInterface> call_log() { return std::make_unique<Factory>(); }

void note_change(grpc::ServerContextBase& context, const std::string& change) {
  context.AddTrailingMetadata(kChange, change);
}

void log_cancelled(hooks::ServerRpcInfo& call, const std::string& why) {
  const grpc::ServerContextBase& context = *call.server_context();
  write_failure(call.method(), caller_of(local_caller(context.peer()), context), "CANCELLED", why);
}

}  // namespace guideway::mgmt
