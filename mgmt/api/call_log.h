// Who changed what, and whose calls failed, in the log.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <string>

namespace guideway::mgmt {

// For the server that is to be built: a line for each call that changes something, and for each that fails, with the
// caller's name: the certificate's CN over TCP, the user's over a Unix socket.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> call_log();

// What the call changed, for its line. Before it is answered.
void note_change(grpc::ServerContextBase& context, const std::string& change);

// A line for a call that we cancel: of others that end so, their callers did it.
void log_cancelled(grpc::experimental::ServerRpcInfo& call, const std::string& why);

}  // namespace guideway::mgmt
