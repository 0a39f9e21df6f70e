#include "mgmt/api/listen.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <set>

#include "log/trouble.h"
#include "mgmt/api/call.h"
#include "net/address.h"

namespace guideway::mgmt {
namespace {

constexpr size_t kMaxBytes = 256 << 20;  // of requests and answers under way
constexpr int kMaxThreads = 16;          // of gRPC's own: one for each stream of reflection, which are 8
constexpr int kMaxCalls = 384;           // of a connection
// What is larger gRPC refuses, and grpc_log.h finds out of whom; what has more than kMaxHeaders we refuse.
constexpr int kMaxReceivedHeaders = 64 << 10;

absl::Status wrong(const std::string& text, std::string_view remedy) {
  return log::failure(absl::StatusCode::kInvalidArgument, text, remedy);
}

}  // namespace

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

absl::StatusOr<Listeners> Listeners::prepare(const ListenOptions& options) {
  Listeners out;
  std::set<std::string> paths;  // which are taken last: a client may connect at once
  for (const std::string& at : options.at) {
    if (at.starts_with("unix:")) {
      if (!paths.insert(at.substr(5)).second) return wrong("--listen " + at + " is given twice", "give it once");
      continue;
    }
    const std::string address = at.starts_with("tcp:") ? at.substr(4) : at;
    if (!is_address_and_port(address))
      return wrong("--listen " + at + " is no place to listen at", "it must be unix:PATH or tcp:ADDRESS:PORT");
    if (options.tls.certificate.empty() || options.tls.key.empty() || options.tls.ca.empty())
      return wrong("--listen " + at + " needs --tls-cert, --tls-key and --tls-client-ca",
                   "give all three: over TCP the API is served with mutual TLS only");
    auto credentials = tls_credentials(options.tls, options.roles);
    if (!credentials.ok()) return credentials.status();
    out.tcp_.push_back({address, std::move(*credentials)});
  }
  for (const std::string& path : paths) {
    auto listener = LocalListener::listen(path);
    if (!listener.ok()) return listener.status();
    out.local_.push_back(std::move(*listener));
  }
  return out;
}

// All have the same files and roles.
Judge Listeners::judge() const {
  if (!tcp_.empty()) return tcp_[0].tls.judge;
  return [](const grpc::ServerContextBase&, std::string_view) { return absl::OkStatus(); };
}

absl::StatusOr<std::unique_ptr<grpc::Server>> Listeners::start(grpc::ServerBuilder& builder) {
  for (Tcp& t : tcp_) builder.AddListeningPort(t.address, t.tls.credentials, &t.port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Whoever asks more than this at once is refused, or waits; a connection's calls are 256 watches and twice 64 others.
  builder.SetResourceQuota(grpc::ResourceQuota("api").Resize(kMaxBytes).SetMaxThreads(kMaxThreads));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCalls);
  // What is compressed is refused (call.cc): gRPC would unpack a megabyte into a gigabyte before anybody is asked.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxReceivedHeaders);
  builder.SetMaxReceiveMessageSize(kMaxReceived);
  // Who says nothing, or vanished without a word, is let go; and clients may look after us likewise. Milliseconds.
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  auto server = builder.BuildAndStart();
  if (!server && tcp_.empty())
    return log::failure(absl::StatusCode::kInternal, "gRPC's server doesn't start", "the line before says why");
  for (const Tcp& t : tcp_) {
    if (t.port == 0 || !server)
      return log::failure(absl::StatusCode::kFailedPrecondition, "the API can't listen at tcp:" + t.address,
                          "is the address one of this host's, and the port free?");
    spdlog::info("API at tcp:{}{}", t.address.substr(0, t.address.rfind(':') + 1), t.port);
  }
  for (const auto& l : local_) l->serve(*server);
  return server;
}

}  // namespace guideway::mgmt
