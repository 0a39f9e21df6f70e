#include "mgmt/api/listen.h"

#include <grp.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "mgmt/api/tls_credentials.h"
#include "mgmt/event_loop.h"
#include "net/address.h"

namespace guideway::mgmt {
namespace {

constexpr size_t kMaxBytes = 256 << 20;  // of requests and answers under way
constexpr int kMaxThreads = 64;          // one for each call but watches
constexpr int kMaxCalls = 320;           // of a connection

// gRPC would replace any socket in silence, also one that another daemon serves.
absl::Status make_way(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError("--listen " + path + ": not a path for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return absl::OkStatus();
  if (!S_ISSOCK(st.st_mode))
    return absl::FailedPreconditionError(path + " exists and is no socket: remove it or choose another with --listen");
  const Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return absl::AlreadyExistsError("another guidewayd serves " + path + ": stop it, or choose another with --listen");
  if (errno != ECONNREFUSED) return absl::FailedPreconditionError(path + " can't be replaced: " + std::strerror(errno));
  if (::unlink(path.c_str()) != 0)
    return absl::FailedPreconditionError("the stale socket " + path + " can't be removed: " + std::strerror(errno));
  return absl::OkStatus();
}

void give_to_group(const std::string& path) {
  const group* g = ::getgrnam("guideway");
  if (g != nullptr && ::chown(path.c_str(), static_cast<uid_t>(-1), g->gr_gid) != 0)
    spdlog::warn("{} can't be given to group guideway: {}; only its owner can use it", path, std::strerror(errno));
}

// A number, not a name: an address has one socket, a name may have several.
bool is_address_and_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view address = text.substr(0, colon);
  const bool brackets = address.starts_with('[') && address.ends_with(']');
  if (brackets) address = address.substr(1, address.size() - 2);
  const auto ip = net::parse_ip(address);
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
  return ip && ip->is_v4() != brackets && error == std::errc() && rest == end;
}

}  // namespace

absl::StatusOr<Listeners> Listeners::prepare(const ListenOptions& options) {
  Listeners out;
  for (const std::string& at : options.at) {
    Listener l{.at = at};
    if (at.starts_with("unix:")) {
      l.path = at.substr(5);
      l.address = at;
      l.credentials = grpc::InsecureServerCredentials();
      if (absl::Status s = make_way(l.path); !s.ok()) return s;
    } else {
      l.address = at.starts_with("tcp:") ? at.substr(4) : at;
      if (!is_address_and_port(l.address))
        return absl::InvalidArgumentError("--listen " + at + ": must be unix:PATH or tcp:ADDRESS:PORT");
      if (options.tls.certificate.empty() || options.tls.key.empty() || options.tls.ca.empty())
        return absl::InvalidArgumentError("--listen " + at +
                                          " needs --tls-cert, --tls-key and --tls-client-ca: over TCP the API is "
                                          "served with mutual TLS only");
      auto credentials = tls_credentials(options.tls, options.roles);
      if (!credentials.ok()) return credentials.status();
      l.credentials = std::move(*credentials);
    }
    out.all_.push_back(std::move(l));
  }
  return out;
}

absl::StatusOr<std::unique_ptr<grpc::Server>> Listeners::start(grpc::ServerBuilder& builder) {
  for (Listener& l : all_) builder.AddListeningPort(l.address, l.credentials, &l.port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Whoever asks more than this at once is refused, or waits; 256 watches are among a connection's calls.
  builder.SetResourceQuota(grpc::ResourceQuota("api").Resize(kMaxBytes).SetMaxThreads(kMaxThreads));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCalls);
  // Who says nothing, or vanished without a word, is let go; and clients may look after us likewise. Milliseconds.
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // The mask, not a later chmod: nobody else may connect in between.
  const mode_t before = ::umask(0117);
  auto server = builder.BuildAndStart();
  ::umask(before);
  for (const Listener& l : all_) {
    if (l.port == 0 || !server)
      return absl::FailedPreconditionError("the API can't listen at " + l.at +
                                           (l.path.empty()
                                                ? ": is the address one of this host's, and the port free?"
                                                : ": does its directory exist, and may guidewayd write there?"));
    if (l.path.empty())
      spdlog::info("API at tcp:{}{}", l.address.substr(0, l.address.rfind(':') + 1), l.port);
    else
      give_to_group(l.path);
  }
  return server;
}

}  // namespace guideway::mgmt
