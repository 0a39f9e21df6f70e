#include "mgmt/await.h"

#include <catch2/catch.hpp>

#include <thread>

namespace guideway::mgmt {

TEST_CASE("await: what is given up never happens", "[await]") {
  EventLoop loop;
  int begun = 0;
  const auto ask = [&](std::chrono::milliseconds within) {
    return await<int>(loop, [&](const Reply<int>& reply) { reply(++begun); }, within);
  };
  CHECK(absl::IsResourceExhausted(ask(std::chrono::milliseconds(10)).status()));
  std::thread runs([&] { loop.run(); });
  CHECK(*ask(std::chrono::seconds(60)) == 1);
  // It was begun in time, so it comes to its end.
  const auto slow = await<int>(
      loop,
      [&](const Reply<int>& reply) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        reply(++begun);
      },
      std::chrono::milliseconds(50));
  CHECK(*slow == 2);
  // Nobody replies.
  CHECK(absl::IsDeadlineExceeded(await<int>(loop, [](const Reply<int>&) {}, std::chrono::milliseconds(50)).status()));
  loop.post([&] { loop.stop(); });
  runs.join();
  CHECK(absl::IsUnavailable(ask(std::chrono::milliseconds(10)).status()));
}

}  // namespace guideway::mgmt
