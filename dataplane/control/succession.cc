#include "dataplane/control/succession.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/server.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

constexpr auto kDyingFor = std::chrono::seconds(2);
constexpr auto kPause = std::chrono::milliseconds(50);

absl::Status broken(const char* what) {
  return log::failure(absl::StatusCode::kUnavailable, absl::StrCat("the engine that runs here ", what),
                      "look into its log, or restart guideway-engine instead of upgrading");
}

bool send_all(int fd, const engine::Envelope& message) {
  std::string out;
  append_frame(out, message);
  while (!out.empty()) {
    pollfd p{fd, POLLOUT, 0};
    const ssize_t n = ::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN && poll(&p, 1, 1'000) > 0) continue;
    if (n < 0) return false;
    out.erase(0, static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<Predecessor>> Predecessor::find(const std::string& socket, std::chrono::seconds patience) {
  const auto address = ContractServer::address_of(socket);
  if (!address.ok()) return address.status();
  const auto deadline = std::chrono::steady_clock::now() + kDyingFor;
  while (true) {
    xdp::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd)
      return log::failure(absl::StatusCode::kInternal, absl::StrCat("can't make a socket: ", std::strerror(errno)),
                          "restart guideway-engine instead of upgrading");
    // Before connect(2), which waits where so many have come that nobody took in.
    const timeval wait{.tv_sec = patience.count(), .tv_usec = 0};
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) setsockopt(fd.get(), SOL_SOCKET, option, &wait, sizeof wait);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
      if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
      if (errno == EAGAIN) return broken("doesn't answer");
      return log::failure(
          absl::StatusCode::kUnavailable,
          absl::StrCat("cannot reach the engine at ", socket, ": ", std::strerror(errno)),
          "see that --socket is that of the engine that runs, or restart guideway-engine instead of upgrading");
    }
    Predecessor p(std::move(fd));
    const auto hello = p.receive();
    // One that is just ending closes without a word; a moment later nobody listens.
    if (!hello.ok() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    if (!hello.ok()) return hello.status();
    if (hello->has_hello() && hello->hello().version() == ContractServer::kVersion) return p;
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat("the engine that runs here is of release ", hello->hello().engine_version(),
                                     ", from which this one can't take over"),
                        "restart guideway-engine instead: connections are kept");
  }
}

absl::StatusOr<engine::Envelope> Predecessor::receive() {
  char buffer[1 << 16];
  size_t at = 0;
  while (true) {
    auto message = take_frame(in_, &at);
    if (!message.ok()) return broken("sends what is no message");
    if (*message) {
      in_.erase(0, at);
      return **std::move(message);
    }
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return broken(n == 0 ? "knows no upgrade, or ended" : "doesn't answer");
    in_.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status Predecessor::relieve() {
  engine::Envelope attach;
  attach.mutable_attach()->set_version(ContractServer::kVersion);
  attach.mutable_attach()->set_purpose(engine::Attach::PURPOSE_SUCCEED);
  if (!send_all(fd_.get(), attach)) return broken("has ended");
  const auto answer = receive();
  if (!answer.ok()) return answer.status();
  if (!answer->has_stood_down()) return broken("sends something else than was asked");
  if (!answer->stood_down().refusal().empty()) return absl::FailedPreconditionError(answer->stood_down().refusal());
  return absl::OkStatus();
}

void Predecessor::taken_over() {
  engine::Envelope message;
  message.mutable_taken_over();
  send_all(fd_.get(), message);
}

void Successor::refuse(const std::string& why) {
  engine::Envelope message;
  message.mutable_stood_down()->set_refusal(why);
  send_all(fd_.get(), message);
}

bool Successor::takes_over(int signals) {
  engine::Envelope message;
  message.mutable_stood_down();
  if (!send_all(fd_.get(), message)) return false;
  std::string in;
  while (true) {
    pollfd fds[] = {{fd_.get(), POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return false;
    if (fds[1].revents != 0) return true;
    char buffer[256];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return false;
    in.append(buffer, static_cast<size_t>(n));
    size_t at = 0;
    const auto taken = take_frame(in, &at);
    if (!taken.ok()) return false;
    if (*taken) return (*taken)->has_taken_over();
  }
}

// By sd_notify(3)'s protocol, one datagram. Not by libsystemd: it would bring its compressors into a privileged
// process.
void Successor::make_main_process() const {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr && std::getenv("INVOCATION_ID") != nullptr)
    log::warn({"upgrade", "systemd can't be told of the other engine, and ends it if this one was its main process",
               "give the unit NotifyAccess=exec, as ours has it, and start it again"});
  ucred peer{};
  socklen_t size = sizeof peer;
  if (path == nullptr || getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
  const auto address = ContractServer::address_of(path);
  const xdp::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!address.ok() || !fd) return;
  sockaddr_un to = *address;
  if (to.sun_path[0] == '@') to.sun_path[0] = 0;  // an abstract one
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  const std::string text = absl::StrCat("MAINPID=", peer.pid);
  sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
}

}  // namespace guideway::control
