#include "mgmt/api/call_log.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/support/server_interceptor.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/api/access.h"

namespace guideway::mgmt {
namespace {

namespace hooks = grpc::experimental;

// Escaped: it comes from outside.
std::string caller_of(const grpc::ServerContextBase& context) {
  const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.empty()) return "a local user";
  return "'" + absl::Utf8SafeCHexEscape({names[0].data(), names[0].size()}) + "'";
}

class CallLog final : public hooks::Interceptor {
 public:
  explicit CallLog(hooks::ServerRpcInfo* call) : call_(call) {}

  void Intercept(hooks::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(hooks::InterceptionHookPoints::PRE_SEND_STATUS))
      log(methods->GetSendStatus());
    methods->Proceed();
  }

 private:
  void log(const grpc::Status& s) const {
    const std::string_view path = call_->method();
    const std::string_view method = path.substr(path.rfind('/') + 1);
    if (s.error_code() == grpc::StatusCode::CANCELLED) return;  // by the caller: how watches end
    if (!s.ok())
      spdlog::warn("{} failed for {}: {}: {}", method, caller_of(*call_->server_context()),
                   absl::StatusCodeToString(static_cast<absl::StatusCode>(s.error_code())), s.error_message());
    else if (!only_reads(path) && !for_anybody(path))
      spdlog::info("{} by {}", method, caller_of(*call_->server_context()));
  }

  hooks::ServerRpcInfo* call_;
};

class Factory final : public hooks::ServerInterceptorFactoryInterface {
 public:
  hooks::Interceptor* CreateServerInterceptor(hooks::ServerRpcInfo* call) override { return new CallLog(call); }
};

}  // namespace

void log_calls(grpc::ServerBuilder& builder) {
  std::vector<std::unique_ptr<hooks::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>());
  builder.experimental().SetInterceptorCreators(std::move(factories));
}

}  // namespace guideway::mgmt
