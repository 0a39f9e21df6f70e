#include "mgmt/api/arrivals.h"

#include <string>

#include "mgmt/api/call.h"

namespace guideway::mgmt {

void Arrivals::add(Call& call) {
  const std::lock_guard lock(mutex_);
  places_[&call] = coming_.insert(coming_.end(), {Clock::now() + kWithin, &call});
  if (coming_.size() == 1) wake_.notify_one();
}

bool Arrivals::remove(Call& call) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(&call);
  if (place == places_.end()) return false;
  coming_.erase(place->second);
  places_.erase(place);
  return true;
}

void Arrivals::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (coming_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto [until, call] = coming_.front();
    if (Clock::now() < until) {
      wake_.wait_until(lock, until);
      continue;
    }
    coming_.pop_front();
    places_.erase(call);
    // It stays until it is ended, and nobody else ends it now.
    lock.unlock();
    call->give_up(absl::DeadlineExceededError("the request didn't come within " + std::to_string(kWithin.count()) +
                                              " seconds: send it as soon as the call is begun"));
    lock.lock();
  }
}

void Arrivals::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace guideway::mgmt
