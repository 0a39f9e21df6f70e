#include "mgmt/api/local_listener.h"

#include <absl/strings/escaping.h>
#include <grp.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kRest{200};  // when the kernel has no room for another connection
constexpr std::string_view kPeer = "fd:";        // what gRPC calls the other end of a descriptor that it was given

absl::Status cant(const std::string& path, const char* what) {
  return log::failure(absl::StatusCode::kFailedPrecondition,
                      "the API can't listen at unix:" + path + ": " + what + ": " + std::strerror(errno),
                      "see that its directory exists and guidewayd may write there, or choose another with --listen");
}

// Whatever stands at the path, unless somebody serves it.
absl::Status make_way(const std::string& path, const sockaddr_un& address) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return absl::OkStatus();
  if (!S_ISSOCK(st.st_mode))
    return log::failure(absl::StatusCode::kFailedPrecondition, path + " exists and is no socket",
                        "remove it, or choose another with --listen");
  const Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return cant(path, "no socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return log::failure(absl::StatusCode::kAlreadyExists, "another guidewayd serves " + path,
                        "stop it, or choose another with --listen");
  if (errno != ECONNREFUSED) return cant(path, "what is there can't be replaced");
  return ::unlink(path.c_str()) == 0 ? absl::OkStatus() : cant(path, "the stale socket can't be removed");
}

void give_to(const std::string& path, gid_t group) {
  if (::chown(path.c_str(), static_cast<uid_t>(-1), group) != 0)
    log::warn(log::trouble_of(log::system_failure(errno, path + " can't be given to group guideway",
                                                  "only its owner can use it: run guidewayd in that group"),
                              "API"));
}

std::pair<dev_t, ino_t> place_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? std::pair(st.st_dev, st.st_ino) : std::pair<dev_t, ino_t>();
}

std::string name_of(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> text{};
  if (::getpwuid_r(uid, &entry, text.data(), text.size(), &found) != 0 || found == nullptr) return "";
  return found->pw_name;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalListener>> LocalListener::listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return log::failure(absl::StatusCode::kInvalidArgument, "--listen unix:" + path + ": not a path for a socket",
                        "it has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  const group* ours = ::getgrnam("guideway");  // which may take its time, and from bind to listen none must pass
  if (absl::Status s = make_way(path, address); !s.ok()) return s;
  Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  Fd end{::eventfd(0, EFD_CLOEXEC)};
  if (!socket || !end) return cant(path, "no socket");
  // The mask, not a later chmod: nobody else may connect in between.
  const mode_t before = ::umask(0117);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0) return cant(path, "bind");
  std::unique_ptr<LocalListener> l(new LocalListener(path, std::move(socket), std::move(end)));
  if (::listen(l->socket_.get(), kBacklog) != 0) return cant(path, "listen");
  if (ours != nullptr) give_to(path, ours->gr_gid);
  return l;
}

LocalListener::LocalListener(std::string path, Fd socket, Fd end)
    : path_(std::move(path)), socket_(std::move(socket)), end_(std::move(end)), place_(place_of(path_)) {}

LocalListener::~LocalListener() {
  const uint64_t one = 1;
  if (thread_.joinable() && ::write(end_.get(), &one, sizeof one) == sizeof one) thread_.join();
  if (place_of(path_) == place_) ::unlink(path_.c_str());  // else somebody has put his own there
}

void LocalListener::serve(grpc::Server& server) {
  thread_ = std::thread([this, &server] { accept_all(server); });
}

void LocalListener::accept_all(grpc::Server& server) {
  std::array<pollfd, 2> both{{{socket_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
  const auto rest = [&](const char* what) {
    log::error(log::trouble_of(log::system_failure(errno, what + path_), "API"));
    ::poll(&both[1], 1, static_cast<int>(kRest.count()));
  };
  while (both[1].revents == 0) {
    if (::poll(both.data(), both.size(), -1) < 0) {
      if (errno != EINTR) rest("can't wait for connections at unix:");
      continue;
    }
    const int fd = ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      grpc::AddInsecureChannelFromFd(&server, fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      rest("can't accept a connection at unix:");
    }
  }
}

std::optional<LocalCaller> local_caller(const std::string& peer) {
  int fd = -1;
  if (!peer.starts_with(kPeer)) return std::nullopt;
  std::from_chars(peer.data() + kPeer.size(), peer.data() + peer.size(), fd);
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
  return LocalCaller{who.uid, who.pid};
}

std::string to_string(const LocalCaller& caller) {
  const std::string name = absl::Utf8SafeCHexEscape(name_of(caller.uid));
  const std::string ids = "uid " + std::to_string(caller.uid) + ", pid " + std::to_string(caller.pid);
  return name.empty() ? ids : name + " (" + ids + ")";
}

}  // namespace guideway::mgmt
