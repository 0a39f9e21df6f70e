// How a thread of a server asks something of the daemon's loop.
#pragma once

#include <absl/status/statusor.h>

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
// but not for ever: `begin` may run later than that, so it owns what it needs.
template <typename Answer>
absl::StatusOr<Answer> await(EventLoop& loop, std::function<void(Reply<Answer>)> begin) {
  constexpr std::chrono::seconds kWithin{5};
  // Shared: the loop may end with the call unrun, or the answer may come after the end.
  const auto promise = std::make_shared<std::promise<absl::StatusOr<Answer>>>();
  auto future = promise->get_future();
  const bool posted = loop.post([promise, begin = std::move(begin)] {
    begin([promise](absl::StatusOr<Answer> answer) { promise->set_value(std::move(answer)); });
  });
  if (!posted) return absl::UnavailableError("guidewayd is stopping");
  if (future.wait_for(kWithin) != std::future_status::ready)
    return absl::ResourceExhaustedError("guidewayd has too much else to do: try again");
  return future.get();
}

}  // namespace guideway::mgmt
