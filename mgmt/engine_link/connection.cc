#include "mgmt/engine_link/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "log/trouble.h"
#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

absl::Status ended(const std::string& why) {
  return log::failure(absl::StatusCode::kUnavailable, "the engine closed the connection" + why,
                      "its log says why; it is tried again");
}

}  // namespace

absl::Status unexpected(const std::string& what) {
  return log::failure(absl::StatusCode::kDataLoss, "the engine " + what,
                      "install guidewayd and guideway-engine from one release; it is tried again");
}

absl::Status late(const std::string& what) {
  return log::failure(absl::StatusCode::kDeadlineExceeded, "the engine " + what + " in time",
                      "if it goes on, restart guideway-engine");
}

absl::Status Connection::connect(const std::string& path) {
  close();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return log::failure(absl::StatusCode::kInvalidArgument, "the path " + path + " is too long for a socket",
                        "name a shorter one with --engine, and with the engine's --socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const char* remedy =
        errno == EACCES ? "run guidewayd in the group that owns the socket" : "is guideway-engine running?";
    return log::failure(absl::StatusCode::kUnavailable,
                        "the engine's socket " + path + " can't be reached: " + std::strerror(errno), remedy);
  }
  fd_ = std::move(fd);
  loop_.watch(fd_.get(), EPOLLIN, [this](uint32_t events) { ready(events); });
  return absl::OkStatus();
}

void Connection::close() {
  if (fd_) loop_.unwatch(fd_.get());
  fd_.reset();
  in_.clear();
  out_.clear();
  sent_ = 0;
  waits_for_room_ = false;
}

void Connection::fail(absl::Status why) {
  if (!open()) return;
  close();
  on_closed_(why);
}

void Connection::flush() {
  if (const absl::Status s = send(); !s.ok()) fail(s);
}

absl::Status Connection::send() {
  while (sent_ < out_.size()) {
    const ssize_t n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return ended(std::string(": ") + std::strerror(errno));
    sent_ += static_cast<size_t>(n);
  }
  const bool left = sent_ < out_.size();
  if (!left) {
    out_.clear();
    sent_ = 0;
    if (out_.capacity() > kMaxEnvelopeBytes) out_.shrink_to_fit();  // a large state's room isn't needed for deltas
  }
  if (left != waits_for_room_) loop_.rewatch(fd_.get(), left ? EPOLLIN | EPOLLOUT : EPOLLIN);
  waits_for_room_ = left;
  return absl::OkStatus();
}

absl::Status Connection::receive() {
  char buffer[65536];
  while (open()) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return absl::OkStatus();
    if (n == 0) return ended("");
    if (n < 0) return ended(std::string(": ") + std::strerror(errno));
    in_.append(buffer, static_cast<size_t>(n));
    std::string_view rest = in_;
    while (open()) {
      auto message = take_frame(rest);
      if (!message.ok()) return unexpected("sent " + std::string(message.status().message()));
      if (!*message) break;
      if (absl::Status s = on_message_(**message); !s.ok()) return s;
    }
    if (open()) in_.erase(0, in_.size() - rest.size());
  }
  return absl::OkStatus();
}

void Connection::ready(uint32_t events) {
  absl::Status s;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) s = receive();
  if (s.ok() && open() && (events & EPOLLOUT) != 0) s = send();
  if (!s.ok()) fail(s);
}

}  // namespace guideway::mgmt
