#include "mgmt/api/grpc_log.h"

#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

// What it says, for developers only, of a call with more than GRPC_ARG_MAX_METADATA_SIZE.
constexpr std::string_view kHeadersRefused = "received initial metadata size exceeds limit";

void take(gpr_log_func_args* said) {
  if (said->severity == GPR_LOG_SEVERITY_ERROR) {
    log::warn({"gRPC", said->message,
               "if a client can't connect, see that it speaks gRPC, over TCP with TLS and a certificate"});
  } else if (said->severity == GPR_LOG_SEVERITY_INFO) {
    spdlog::debug("gRPC: {}", said->message);
  } else if (const std::string_view text = said->message; text.starts_with(kHeadersRefused)) {
    // "(70557 vs. 65536)" and what developers do about it.
    log::warn({"gRPC", "a call was refused: " + std::string(text.substr(0, text.find(')') + 1)),
               "whose it was, gRPC doesn't say; its sender is told, or loses the connection"});
  }
}

}  // namespace

void take_grpc_log() {
  ::gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG);
  ::gpr_set_log_function(take);
}

}  // namespace guideway::mgmt
