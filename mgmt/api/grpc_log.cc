#include "mgmt/api/grpc_log.h"

#include <absl/strings/str_join.h>
#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "log/log.h"

namespace guideway::mgmt {
namespace {

// What it says, for developers only, of a call with more than GRPC_ARG_MAX_METADATA_SIZE.
constexpr std::string_view kHeadersRefused = "received initial metadata size exceeds limit";

constexpr std::chrono::milliseconds kLookEvery{5};
constexpr int kLooks = 40;  // it ends at once, but for a client that doesn't read

std::mutex current_mutex;
GrpcLog* current = nullptr;  // guarded by that

void take(gpr_log_func_args* said) {
  if (said->severity == GPR_LOG_SEVERITY_ERROR) {
    log::warn({"gRPC", said->message,
               "if a client can't connect, see that it speaks gRPC, over TCP with TLS and a certificate"});
  } else if (said->severity == GPR_LOG_SEVERITY_INFO) {
    spdlog::debug("gRPC: {}", said->message);
  } else if (const std::string_view text = said->message; text.starts_with(kHeadersRefused)) {
    const std::lock_guard lock(current_mutex);
    // "(70557 vs. 65536)" and what developers do about it.
    if (current != nullptr) current->refused(std::string(text.substr(0, text.find(')') + 1)));
  }
}

}  // namespace

GrpcLog::GrpcLog(EventLoop& loop) : loop_(loop) {
  const std::lock_guard lock(current_mutex);
  current = this;
  ::gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG);
  ::gpr_set_log_function(take);
}

GrpcLog::~GrpcLog() {
  const std::lock_guard lock(current_mutex);
  current = nullptr;
}

void GrpcLog::refused(const std::string& why) {
  loop_.post([this, refusal = Refusal{why, peers()}] { look(refusal); });
}

void GrpcLog::look(Refusal refusal) {
  std::set<std::string> callers;
  for (const Peer& p : refusal.connected)
    if (!is_connected(p)) callers.insert(p.caller);
  if (callers.empty() && ++refusal.looks < kLooks) {
    loop_.call_after(kLookEvery, [this, refusal = std::move(refusal)] { look(refusal); });
    return;
  }
  // More than one if others hung up meanwhile; none if it doesn't take its answer.
  const std::string caller = callers.empty() ? "a connection that stands" : absl::StrJoin(callers, " or ");
  const std::string code = absl::StatusCodeToString(absl::StatusCode::kResourceExhausted);
  log::write(spdlog::level::warn, "a call failed for " + caller + ": " + code + ": " + refusal.why,
             {{"caller", caller}, {"code", code}, {"error", refusal.why}}, "a call failed unread");
}

}  // namespace guideway::mgmt
