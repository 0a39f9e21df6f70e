#include "mgmt/api/reflection_limit.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <string>
#include <string_view>

#include "mgmt/api/call_log.h"

namespace guideway::mgmt {
namespace {

namespace hooks = grpc::experimental;

constexpr int kMost = 8;

// Lives as long as the call.
class Stream final : public hooks::Interceptor {
 public:
  Stream(hooks::ServerRpcInfo* call, std::atomic<int>& open) : call_(call), open_(open), beyond_(++open > kMost) {}
  ~Stream() override { --open_; }

  void Intercept(hooks::InterceptorBatchMethods* methods) override {
    if (beyond_ && methods->QueryInterceptionHookPoint(hooks::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      log_cancelled(*call_,
                    "there are " + std::to_string(kMost) + " streams of reflection open, which is all at a time");
      call_->server_context()->TryCancel();
    }
    methods->Proceed();
  }

 private:
  hooks::ServerRpcInfo* call_;
  std::atomic<int>& open_;
  const bool beyond_;
};

class Factory final : public hooks::ServerInterceptorFactoryInterface {
 public:
  hooks::Interceptor* CreateServerInterceptor(hooks::ServerRpcInfo* call) override {
    return std::string_view(call->method()).starts_with("/grpc.reflection.") ? new Stream(call, open_) : nullptr;
  }

 private:
  std::atomic<int> open_ = 0;
};

}  // namespace

std::unique_ptr<hooks::ServerInterceptorFactoryInterface> reflection_limit() { return std::make_unique<Factory>(); }

}  // namespace guideway::mgmt
