// The daemon's one loop: files that became readable or writable, and calls at a time. All state of the daemon lives on
// the thread that runs it; post() is the only way in from another.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace guideway::mgmt {

// An open file, closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(fd_, o.fd_);
    o.reset();
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using TimerId = uint64_t;

  EventLoop();

  // `events` as epoll has them (EPOLLIN, EPOLLOUT); the callback gets those that came.
  void watch(int fd, uint32_t events, std::function<void(uint32_t)> callback);
  void rewatch(int fd, uint32_t events);
  void unwatch(int fd);
  TimerId call_after(std::chrono::milliseconds delay, std::function<void()> call);
  void cancel(TimerId id) { timers_by_id_.erase(id); }
  // From any thread: runs the call on the loop. False once the loop has ended: it will not run.
  bool post(std::function<void()> call);

  // Until stop().
  void run();
  void stop() { running_ = false; }

 private:
  int wait_milliseconds() const;
  void run_timers();
  void run_posted();

  Fd epoll_;
  Fd wake_;
  bool running_ = true;
  TimerId next_timer_ = 1;
  std::multimap<Clock::time_point, TimerId> timers_;
  std::unordered_map<TimerId, std::function<void()>> timers_by_id_;
  std::unordered_map<int, std::function<void(uint32_t)>> callbacks_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::function<void()>> posted_;
  bool ended_ = false;
};

}  // namespace guideway::mgmt
