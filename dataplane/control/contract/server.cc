#include "dataplane/control/contract/server.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/control/contract/framing.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

constexpr size_t kMaxConnections = 16;
constexpr size_t kMaxUnsent = 16 << 20;   // bytes a peer may leave unread
constexpr size_t kBytesAtOnce = 1 << 18;  // of a peer, taken in a round: some milliseconds of tiny messages

std::optional<gid_t> guideway_group() {
  const group* g = getgrnam("guideway");
  return g == nullptr ? std::nullopt : std::optional(g->gr_gid);
}

std::optional<ucred> peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? std::optional(peer) : std::nullopt;
}

// 0: we don't see it, as it is in another namespace.
uint32_t pid_of(int fd) {
  const auto peer = peer_of(fd);
  return peer ? static_cast<uint32_t>(peer->pid) : 0;
}

// Root, or whom we run as.
bool is_one_of_us(int fd) {
  const auto peer = peer_of(fd);
  return peer && (peer->uid == 0 || peer->uid == geteuid());
}

// One of us, or of the daemon's group.
bool is_welcome(int fd) {
  const auto peer = peer_of(fd);
  const auto group = guideway_group();
  return is_one_of_us(fd) || (peer && group && peer->gid == *group);
}

constexpr const char* kOtherSocket = "give another --socket";

absl::Status failed(const std::string& path, const char* what, const char* remedy = kOtherSocket) {
  return log::failure(absl::StatusCode::kUnavailable,
                      absl::StrCat("cannot ", what, " the socket ", path, ": ", std::strerror(errno)), remedy);
}

}  // namespace

absl::StatusOr<sockaddr_un> ContractServer::address_of(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.size() >= sizeof a.sun_path)
    return log::failure(absl::StatusCode::kInvalidArgument,
                        absl::StrCat("the socket's path is longer than ", sizeof a.sun_path - 1, " bytes: ", path),
                        "give a shorter --socket");
  std::memcpy(a.sun_path, path.data(), path.size());
  return a;
}

void ContractServer::join_group() {
  const auto group = guideway_group();
  const int count = getgroups(0, nullptr);
  if (!group || count < 0) return;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  if (getgroups(count, groups.data()) != count) return;
  groups.push_back(*group);
  setgroups(groups.size(), groups.data());  // where it's refused, listen() says what follows
}

absl::StatusOr<std::unique_ptr<ContractServer>> ContractServer::listen(const std::string& path, ContractState& state,
                                                                       Callbacks callbacks) {
  const auto address = address_of(path);
  if (!address.ok()) return address.status();
  const auto* a = reinterpret_cast<const sockaddr*>(&*address);
  xdp::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed(path, "make");
  const xdp::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), a, sizeof *address) == 0 || errno == EAGAIN)  // it hangs, and others wait already
    return log::failure(absl::StatusCode::kAlreadyExists, absl::StrCat("another process listens on ", path),
                        "stop it or give another --socket");
  struct stat st{};
  if (lstat(path.c_str(), &st) == 0 && !S_ISSOCK(st.st_mode))
    return log::failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(path, " is there and no socket"),
                        kOtherSocket);
  unlink(path.c_str());
  const mode_t before = umask(0117);
  const int bound = bind(fd.get(), a, sizeof *address);
  umask(before);
  if (bound != 0) return failed(path, "bind");
  if (const auto group = guideway_group(); group && chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0)
    callbacks.log(log::trouble_of(failed(path, "give group guideway",
                                         "until it has it only root can connect: restart guideway-engine as root, or "
                                         "with CAP_SETGID as its unit has it"),
                                  "contract"));
  if (::listen(fd.get(), 8) != 0) return failed(path, "listen on");
  return std::unique_ptr<ContractServer>(new ContractServer(path, std::move(fd), state, std::move(callbacks)));
}

ContractServer::~ContractServer() { unlink(path_.c_str()); }

void ContractServer::add_to(std::vector<pollfd>& fds) const {
  fds.push_back({listener_.get(), POLLIN, 0});
  for (const Connection& c : connections_)
    fds.push_back({c.fd.get(), static_cast<short>(POLLIN | (c.out.empty() && !c.owed() && !c.waits ? 0 : POLLOUT)), 0});
}

// Who comes is heard last: where a daemon has come back, its old connection has ended by then.
void ContractServer::handle(const std::vector<pollfd>& fds) {
  bool knocked = false;
  for (const pollfd& p : fds) {
    if (p.revents == 0) continue;
    knocked = knocked || p.fd == listener_.get();
    for (Connection& c : connections_) {
      if (p.fd != c.fd.get() || c.closed) continue;
      if (c.waits || (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive(c);
      if (!c.closed && c.out.empty() && c.owed()) answer_on(c);
      if (!c.closed && !c.out.empty()) send(c);
    }
  }
  for (Connection& c : connections_)
    if (!c.closed && c.tracing != nullptr) follow_trace(c);
  connections_.remove_if([](const Connection& c) { return c.closed; });
  if (knocked) accept();
}

std::optional<xdp::Fd> ContractServer::take_successor() {
  const auto found = std::ranges::find(connections_, engine::Attach::PURPOSE_SUCCEED, &Connection::purpose);
  if (found == connections_.end()) return std::nullopt;
  xdp::Fd fd = std::move(found->fd);
  connections_.erase(found);
  return fd;
}

bool ContractServer::is_tracing() const {
  return std::ranges::any_of(connections_, [](const Connection& c) { return c.tracing != nullptr; });
}

void ContractServer::follow_trace(Connection& c) {
  auto trace = c.tracing->step(Tracing::Clock::now());
  if (!trace) return;
  c.tracing.reset();
  engine::Envelope answer;
  *answer.mutable_trace() = std::move(*trace);
  append_frame(c.out, answer);
  send(c);
}

void ContractServer::accept() {
  xdp::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return;
  if (!is_welcome(fd.get()))
    return callbacks_.log({"contract", "refused a peer that is neither root nor of group guideway",
                           "guidewayd needs it as its primary group"});
  if (connections_.size() >= kMaxConnections)
    return callbacks_.log({"contract", "refused a peer: 16 are connected already", "stop one of them"});
  Connection& c = connections_.emplace_back();
  c.fd = std::move(fd);
  engine::Envelope hello;
  *hello.mutable_hello() = callbacks_.hello();
  hello.mutable_hello()->set_version(kVersion);
  if (const Connection* d = driver()) hello.mutable_hello()->set_daemon_pid(pid_of(d->fd.get()));
  append_frame(c.out, hello);
  send(c);
}

const ContractServer::Connection* ContractServer::driver() const {
  const auto found = std::ranges::find_if(
      connections_, [](const Connection& c) { return !c.closed && c.purpose == engine::Attach::PURPOSE_STATE; });
  return found == connections_.end() ? nullptr : &*found;
}

void ContractServer::close(Connection& c, const std::string& why, const char* remedy) {
  if (!why.empty()) callbacks_.log({"contract", why, remedy});
  if (c.purpose == engine::Attach::PURPOSE_STATE) state_.abandon();
  c.closed = true;
  c.fd.reset();
}

// Up to the first answer, or so many bytes: who asks without end leaves control its time for the rest.
void ContractServer::receive(Connection& c) {
  char buffer[1 << 16];
  c.answered = false;
  take_messages(c);
  for (size_t taken = 0; !c.closed && !c.answered && taken < kBytesAtOnce;) {
    const ssize_t n = ::recv(c.fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return close(c);
    c.in.append(buffer, static_cast<size_t>(n));
    taken += static_cast<size_t>(n);
    take_messages(c);
  }
}

void ContractServer::take_messages(Connection& c) {
  size_t at = 0;
  while (!c.closed && !c.answered) {
    auto message = take_frame(c.in, &at);
    if (!message.ok()) return close(c, absl::StrCat("closed a peer that sent ", message.status().message()));
    if (!*message) break;
    take(c, **message);
  }
  c.in.erase(0, at);
  c.waits = c.answered && !c.in.empty();
}

void ContractServer::take(Connection& c, const engine::Envelope& message) {
  if (message.has_attach()) return attach(c, message.attach());
  if (c.purpose == engine::Attach::PURPOSE_OBSERVE &&
      (message.has_counters_request() || message.has_connections_request() || message.has_trace_request())) {
    if (c.is_answering()) return close(c, "closed a peer that asked before it had the answer to what it asked last");
    if (message.has_connections_request())
      c.listing = message.connections_request();
    else if (message.has_trace_request())
      c.tracing = callbacks_.trace(message.trace_request());
    else
      c.counting.emplace();
    return;
  }
  engine::Envelope answer;
  if (c.purpose == engine::Attach::PURPOSE_OBSERVE && message.has_status_request()) {
    *answer.mutable_status() = callbacks_.status();
  } else if (c.purpose == engine::Attach::PURPOSE_OBSERVE && message.has_log_level_request()) {
    const engine::LogLevel level = message.log_level_request().level();
    if (!engine::LogLevel_IsValid(level)) return close(c, "closed a peer that asked for a log level that isn't one");
    answer.mutable_log_level()->set_level(callbacks_.log_level(level));
  } else if (c.purpose == engine::Attach::PURPOSE_STATE) {
    auto taken = state_.take(message);
    if (!taken.ok()) return close(c, absl::StrCat("closed a daemon that sent ", taken.status().message()));
    if (!*taken) return;
    answer = std::move(**taken);
  } else {
    return close(c, "closed a peer that sent what its connection isn't for");
  }
  if (c.out.size() > kMaxUnsent)
    return close(c, "closed a peer that doesn't read", "if it is guidewayd, it hangs: restart it");
  append_frame(c.out, answer);
  c.answered = true;
  send(c);
}

// One part.
void ContractServer::answer_on(Connection& c) {
  engine::Envelope answer;
  if (c.listing) {
    auto part = callbacks_.connections(*std::exchange(c.listing, std::nullopt));
    if (!part.ok())
      return close(c, absl::StrCat("closed a peer that asked for connections: ", part.status().message()));
    *answer.mutable_connections() = std::move(*part);
  } else {
    *answer.mutable_counters() = callbacks_.counters(*c.counting);
    if (answer.counters().last()) c.counting.reset();
  }
  append_frame(c.out, answer);
}

// One daemon at a time: the first, until its connection ends.
void ContractServer::attach(Connection& c, const engine::Attach& attach) {
  if (attach.version() != kVersion)
    return close(
        c, absl::StrCat("closed a daemon that speaks version ", attach.version(), " of the contract, not ", kVersion),
        "install both from one release");
  if (const Connection* d = driver(); d != nullptr && d != &c && attach.purpose() == engine::Attach::PURPOSE_STATE)
    return close(c,
                 absl::StrCat("refused a second daemon (pid ", pid_of(c.fd.get()), ") while that of pid ",
                              pid_of(d->fd.get()), " drives this engine"),
                 "stop one of the two");
  if (attach.purpose() == engine::Attach::PURPOSE_SUCCEED && !is_one_of_us(c.fd.get()))
    return close(c, "closed a peer that wants our place and isn't root", "upgrade as root");
  c.purpose = attach.purpose();
}

void ContractServer::send(Connection& c) {
  while (!c.out.empty()) {
    const ssize_t n = ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return close(c);
    c.out.erase(0, static_cast<size_t>(n));
  }
}

}  // namespace guideway::control
