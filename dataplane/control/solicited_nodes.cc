#include "dataplane/control/solicited_nodes.h"

#include <absl/strings/str_cat.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace guideway::control {

namespace {

// The kernel charges memberships to their socket, 64 bytes at most each, and allows it 20 kB (net.core.optmem_max)
// before Linux 6.7.
constexpr unsigned kGroupsPerSocket = 256;

net::IpAddress group_of(const net::IpAddress& address) {
  net::IpAddress group{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
  std::copy(address.bytes.end() - 3, address.bytes.end(), group.bytes.end() - 3);
  return group;
}

// 0 or an errno.
int change(int option, int socket, int interface, const net::IpAddress& group) {
  ipv6_mreq m{};
  std::memcpy(&m.ipv6mr_multiaddr, group.bytes.data(), group.bytes.size());
  m.ipv6mr_interface = static_cast<unsigned>(interface);
  return setsockopt(socket, IPPROTO_IPV6, option, &m, sizeof m) == 0 ? 0 : errno;
}

}  // namespace

void SolicitedNodes::follow(const std::set<net::IpAddress>& announced) {
  std::set<Group> wanted;
  for (const net::IpAddress& a : announced)
    if (!a.is_v4())
      for (const int i : interfaces_) wanted.emplace(i, group_of(a));
  std::erase_if(joined_, [&](const auto& j) {
    const auto& [group, socket] = j;
    if (wanted.contains(group)) return false;
    change(IPV6_LEAVE_GROUP, sockets_[socket].fd.get(), group.first, group.second);
    --sockets_[socket].groups;
    return true;
  });
  size_t failed = 0;
  std::string first;
  for (const Group& g : wanted) {
    if (joined_.contains(g)) continue;
    const int error = join(g);
    if (error == 0 || failed++ > 0) continue;
    char name[IF_NAMESIZE] = "?";
    if_indextoname(static_cast<unsigned>(g.first), name);
    first = absl::StrCat(net::to_string(g.second), " on ", name, " (", std::strerror(error), ")");
  }
  trouble_ = failed == 0 ? ""
                         : absl::StrCat(failed, " multicast groups of announced IPv6 addresses can't be joined, first ",
                                        first, ": who asks for these addresses may not be heard");
}

// 0 or an errno.
int SolicitedNodes::join(const Group& group) {
  auto socket = std::ranges::find_if(sockets_, [](const Socket& s) { return s.groups < kGroupsPerSocket; });
  if (socket == sockets_.end()) {
    xdp::Fd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return errno;
    socket = sockets_.insert(sockets_.end(), Socket{std::move(fd)});
  }
  if (const int error = change(IPV6_JOIN_GROUP, socket->fd.get(), group.first, group.second); error != 0) return error;
  ++socket->groups;
  joined_[group] = static_cast<size_t>(socket - sockets_.begin());
  return 0;
}

}  // namespace guideway::control
