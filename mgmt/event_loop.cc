#include "mgmt/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace guideway::mgmt {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  watch(wake_.get(), EPOLLIN, [this](uint32_t) {
    uint64_t n;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &n, sizeof n);
    run_posted();
  });
}

void EventLoop::watch(int fd, uint32_t events, std::function<void(uint32_t)> callback) {
  callbacks_[fd] = std::move(callback);
  epoll_event e{};
  e.events = events;
  e.data.fd = fd;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e);
}

void EventLoop::rewatch(int fd, uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.fd = fd;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &e);
}

void EventLoop::unwatch(int fd) {
  callbacks_.erase(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::call_after(std::chrono::milliseconds delay, std::function<void()> call) {
  const TimerId id = next_timer_++;
  timers_.emplace(Clock::now() + delay, id);
  timers_by_id_[id] = std::move(call);
  return id;
}

bool EventLoop::post(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    posted_.push_back(std::move(call));
  }
  const uint64_t one = 1;
  return ::write(wake_.get(), &one, sizeof one) == sizeof one;
}

int EventLoop::wait_milliseconds() const {
  if (timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60000));
}

void EventLoop::run_timers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const TimerId id = timers_.begin()->second;
    timers_.erase(timers_.begin());
    const auto it = timers_by_id_.find(id);
    if (it == timers_by_id_.end()) continue;  // cancelled
    const auto call = std::move(it->second);
    timers_by_id_.erase(it);
    call();
  }
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (const auto& call : calls) call();
}

void EventLoop::run() {
  std::array<epoll_event, 16> events;
  while (running_) {
    const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_milliseconds());
    for (int i = 0; i < n && running_; ++i) {
      const auto it = callbacks_.find(events[static_cast<size_t>(i)].data.fd);
      if (it == callbacks_.end()) continue;  // unwatched by a callback before it
      const auto callback = it->second;      // a copy: it may unwatch itself
      callback(events[static_cast<size_t>(i)].events);
    }
    run_timers();
  }
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  run_posted();  // who posted before the end waits for an answer
}

}  // namespace guideway::mgmt
