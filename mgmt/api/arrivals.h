// Requests on their way. Who begins a call and doesn't send its request in time is sent away: he may hold what others
// wait for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace guideway::mgmt {

class Call;

class Arrivals {
 public:
  static constexpr std::chrono::seconds kWithin{10};

  Arrivals() : thread_([this] { run(); }) {}
  ~Arrivals() { stop(); }

  void add(Call& call);
  // Whether it is awaited: then it no longer is. Otherwise it has been ended.
  bool remove(Call& call);
  // Those that are still on their way stay so.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  using Coming = std::list<std::pair<Clock::time_point, Call*>>;

  void run();

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  Coming coming_;  // by the time until which they may
  std::unordered_map<Call*, Coming::iterator> places_;
  bool stopped_ = false;

  std::thread thread_;
};

}  // namespace guideway::mgmt
