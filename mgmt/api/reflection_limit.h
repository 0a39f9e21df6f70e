// Reflection is gRPC's own, and a stream that a thread serves as long as its client likes; the same threads take
// writes. So few streams are open at a time.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace guideway::mgmt {

// For the server that is to be built: those beyond end as CANCELLED, and are logged.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> reflection_limit();

}  // namespace guideway::mgmt
