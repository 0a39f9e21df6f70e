// How a thread of a server asks something of the daemon's loop.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "mgmt/event_loop.h"

namespace guideway::mgmt {

template <typename Answer>
using Reply = std::function<void(absl::StatusOr<Answer>)>;

// On the loop `begin` is given the reply that it, or something that it starts, calls once; this thread waits for it,
// but not for ever. Where the loop doesn't come to it in time, it never will: what is given up has changed nothing.
template <typename Answer>
absl::StatusOr<Answer> await(EventLoop& loop, std::function<void(Reply<Answer>)> begin,
                             std::chrono::milliseconds within = std::chrono::seconds(5)) {
  constexpr std::chrono::seconds kGrace{1};
  struct Call {
    std::promise<absl::StatusOr<Answer>> promise;
    std::atomic<bool> taken = false;  // by the loop, or by the caller who gave up
  };
  const auto call = std::make_shared<Call>();
  auto future = call->promise.get_future();
  const bool posted = loop.post([call, begin = std::move(begin)] {
    if (call->taken.exchange(true)) return;
    begin([call](absl::StatusOr<Answer> answer) { call->promise.set_value(std::move(answer)); });
  });
  if (!posted) return absl::UnavailableError("guidewayd is stopping");
  if (future.wait_for(within) == std::future_status::ready) return future.get();
  if (!call->taken.exchange(true)) return absl::ResourceExhaustedError("guidewayd has too much else to do: try again");
  if (future.wait_for(kGrace) == std::future_status::ready) return future.get();
  return absl::DeadlineExceededError("guidewayd began, but didn't come to an end in time: look before you try again");
}

}  // namespace guideway::mgmt
