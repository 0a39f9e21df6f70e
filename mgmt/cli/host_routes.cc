#include "mgmt/cli/host_routes.h"

#include <libmnl/libmnl.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace guideway::mgmt {
namespace {

struct Close {
  void operator()(mnl_socket* s) const { mnl_socket_close(s); }
};
using Socket = std::unique_ptr<mnl_socket, Close>;

int take_interface(const nlattr* a, void* ifindex) {
  if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
    *static_cast<uint32_t*>(ifindex) = mnl_attr_get_u32(a);
  return MNL_CB_OK;
}

// Of a route that leads to another host.
int take_route(const nlmsghdr* m, void* ifindex) {
  const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(m));
  if (m->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST) return MNL_CB_OK;
  return mnl_attr_parse(m, sizeof *route, take_interface, ifindex);
}

uint32_t interface_to(mnl_socket* socket, const net::IpAddress& destination, uint32_t sequence) {
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  nlmsghdr* m = mnl_nlmsg_put_header(buffer.data());
  m->nlmsg_type = RTM_GETROUTE;
  m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;  // so that there is an end to what is answered
  m->nlmsg_seq = sequence;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(rtmsg)));
  const bool v4 = destination.is_v4();
  route->rtm_family = v4 ? AF_INET : AF_INET6;
  route->rtm_dst_len = v4 ? 32 : 128;
  const std::string bytes = net::bytes_of(destination);
  mnl_attr_put(m, RTA_DST, bytes.size(), bytes.data());
  if (mnl_socket_sendto(socket, m, m->nlmsg_len) < 0) return 0;
  uint32_t ifindex = 0;
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t n = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 0;
    state = mnl_cb_run(buffer.data(), static_cast<size_t>(n), sequence, mnl_socket_get_portid(socket), take_route,
                       &ifindex);
  }
  return state < 0 ? 0 : ifindex;
}

Egress look_at_link(uint32_t ifindex) {
  Egress e;
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(ifindex, name.data()) == nullptr) return e;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq link{};
  std::string_view(name.data()).copy(link.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(fd, SIOCGIFMTU, &link) == 0) {
    e.interface = name.data();
    e.mtu = static_cast<uint32_t>(link.ifr_mtu);
  }
  vlan_ioctl_args vlan{};
  vlan.cmd = GET_VLAN_REALDEV_NAME_CMD;
  std::string_view(name.data()).copy(vlan.device1, sizeof vlan.device1 - 1);
  if (::ioctl(fd, SIOCGIFVLAN, &vlan) == 0) e.below = vlan.u.device2;
  if (fd >= 0) ::close(fd);
  return e;
}

}  // namespace

std::map<net::IpAddress, Egress> look_at_routes(const std::vector<net::IpAddress>& destinations) {
  std::map<net::IpAddress, Egress> found;
  const Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return found;
  std::map<uint32_t, Egress> links;
  uint32_t sequence = 0;
  for (const net::IpAddress& d : destinations) {
    const uint32_t ifindex = interface_to(socket.get(), d, ++sequence);
    if (ifindex == 0) continue;
    if (!links.contains(ifindex)) links[ifindex] = look_at_link(ifindex);
    if (!links[ifindex].interface.empty()) found[d] = links[ifindex];
  }
  return found;
}

}  // namespace guideway::mgmt
