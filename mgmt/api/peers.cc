#include "mgmt/api/peers.h"

#include <absl/strings/escaping.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "mgmt/api/access.h"
#include "mgmt/api/local_listener.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

// By channelz: a message of channelz.proto as JSON, or nothing of what is gone.
struct Free {
  void operator()(char* text) const { ::gpr_free(text); }
};
using Told = std::unique_ptr<char, Free>;
Json parsed(const Told& told) { return told ? Json::parse(told.get()) : Json::object(); }

// 64-bit numbers are strings there, and left out if they are 0.
intptr_t number(const Json& message, const char* at) {
  const std::string text = message.value(Pointer(at), "0");
  intptr_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

bool has_calls(const Json& socket) {
  return number(socket, "/data/streamsStarted") >
         number(socket, "/data/streamsSucceeded") + number(socket, "/data/streamsFailed");
}

// By its certificate, which nobody has judged: the address says where one is that shows another's name.
std::string name_of(const Json& socket) {
  std::string pem;
  absl::Base64Unescape(socket.value(Pointer("/security/tls/remote_certificate"), ""), &pem);
  const auto subject = subject_of(pem);
  const std::string reference = socket.value(Pointer("/ref/name"), "");  // "chttp2 ipv4:10.0.0.1:40000"
  return "the certificate with the name '" + (subject ? shown(subject->name) : "") + "' at " +
         reference.substr(reference.find(' ') + 1);
}

void add_tcp(std::vector<Peer>& to) {
  const Json servers = parsed(Told(::grpc_channelz_get_servers(0)));
  for (const Json& server : servers.value("server", Json::array())) {
    const intptr_t id = number(server, "/ref/serverId");
    bool more = true;
    for (intptr_t next = 0; more;) {
      const Json page = parsed(Told(::grpc_channelz_get_server_sockets(id, next, 0)));
      more = !page.value("end", true);
      for (const Json& reference : page.value("socketRef", Json::array())) {
        const intptr_t socket_id = number(reference, "/socketId");
        next = socket_id + 1;
        const Json socket = parsed(Told(::grpc_channelz_get_socket(socket_id))).value("socket", Json::object());
        if (has_calls(socket)) to.push_back({.caller = name_of(socket), .socket = socket_id});
      }
    }
  }
}

// What the descriptor is; nothing if it isn't a Unix socket's end that was accepted: one that we connected has no path.
std::optional<ino_t> accepted(int fd) {
  struct stat st{};
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::fstat(fd, &st) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sun_family != AF_UNIX || address.sun_path[0] == '\0')
    return std::nullopt;
  return st.st_ino;
}

void add_local(std::vector<Peer>& to) {
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    const int fd = std::stoi(name);
    const auto inode = accepted(fd);
    if (!inode) continue;
    if (const auto caller = local_caller("fd:" + name))
      to.push_back({.caller = to_string(*caller), .fd = fd, .inode = *inode});
  }
}

}  // namespace

std::vector<Peer> peers() {
  std::vector<Peer> all;
  try {
    add_tcp(all);
  } catch (const Json::exception& e) {  // what channelz tells is no promise of gRPC's
    spdlog::debug("channelz: {}", e.what());
  }
  add_local(all);
  return all;
}

bool is_connected(const Peer& peer) {
  if (peer.fd >= 0) return accepted(peer.fd) == peer.inode;
  return Told(::grpc_channelz_get_socket(peer.socket)) != nullptr;
}

}  // namespace guideway::mgmt
