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
    const bool ours = is_ours(path);
    const std::string method = shown(ours ? path.substr(path.rfind('/') + 1) : path);
    const std::string caller = local_ ? to_string(*local_) : common_name(*call_->server_context());
    const std::string shown = local_ ? caller : "'" + caller + "'";
    if (s.ok()) {
      const std::string what = method + " by " + shown;
      const std::string line = what + (change.empty() ? "" : ": " + change);
      const log::Fields fields = {{"method", method}, {"caller", caller}, {"change", change}};
      if (method == "SetLogLevel") return log::write_at_any_level(line, fields, what);
      return log::write(spdlog::level::info, line, fields, what);
    }
    const std::string code = absl::StatusCodeToString(static_cast<absl::StatusCode>(s.error_code()));
    log::write(spdlog::level::warn, method + " failed for " + shown + ": " + code + ": " + s.error_message(),
               {{"method", method}, {"caller", caller}, {"code", code}, {"error", s.error_message()}},
               // Not in the caller's words: who invents methods mustn't use up what the log tells apart.
               (ours ? method : "no method of ours") + " failed for " + shown + ": " + code);
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

}  // namespace guideway::mgmt
