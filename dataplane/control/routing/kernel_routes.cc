#include "dataplane/control/routing/kernel_routes.h"

#include <absl/strings/str_cat.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "log/trouble.h"

namespace guideway::control {
namespace {

constexpr size_t kBufferBytes = 256 << 10;  // the kernel fills at most 32 kB of a dump; notifications may be larger
constexpr int kDatagramsPerRead = 4096;
constexpr int kDumpAttempts = 10;

constexpr const char* kRemedy = "it is tried again; if it goes on, restart guideway-engine";

absl::Status failure(int error, const std::string& doing, std::string_view remedy = kRemedy) {
  return log::system_failure(error, "rtnetlink: " + doing, remedy);
}

// The kernel has no room for another neighbour, or has its reasons.
std::string remedy_of(int error, const net::IpAddress& neighbor) {
  if (error != ENOBUFS) return "see what stands in its way: ip neigh, ip link";
  return absl::StrCat("raise the limit of the kernel's neighbours: sysctl net.", neighbor.is_v4() ? "ipv4" : "ipv6",
                      ".neigh.default.gc_thresh3");
}

constexpr std::array kGroups{RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_NEXTHOP,   RTNLGRP_IPV4_IFADDR,
                             RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};

struct Dump {
  uint16_t type;
  uint8_t family;
};
// Links first: routes lead over them.
constexpr std::array kDumps{Dump{RTM_GETLINK, AF_UNSPEC}, Dump{RTM_GETADDR, AF_UNSPEC}, Dump{RTM_GETNEXTHOP, AF_UNSPEC},
                            Dump{RTM_GETROUTE, AF_INET},  Dump{RTM_GETROUTE, AF_INET6}, Dump{RTM_GETNEIGH, AF_UNSPEC}};

// Each family's request begins with a header of its own, of which only the first byte, the family, matters here.
size_t request_header_size(uint16_t type) {
  switch (type) {
    case RTM_GETLINK:
      return sizeof(ifinfomsg);
    case RTM_GETADDR:
      return sizeof(ifaddrmsg);
    case RTM_GETNEXTHOP:
      return sizeof(nhmsg);
    case RTM_GETROUTE:
      return sizeof(rtmsg);
    default:
      return sizeof(ndmsg);
  }
}

// Next-hop objects need 5.3, and IPv6 may be compiled out or switched off.
bool may_be_missing(const Dump& d, int error) {
  return (error == EOPNOTSUPP || error == EAFNOSUPPORT) && (d.type == RTM_GETNEXTHOP || d.family == AF_INET6);
}

void set_receive_buffer(int fd, int bytes) {
  // Above net.core.rmem_max only with CAP_NET_ADMIN; what can't be had is made up for by a dump.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

}  // namespace

KernelRoutes::KernelRoutes(const Options& options, Socket notifications, Socket requests)
    : options_(options),
      notifications_(std::move(notifications)),
      requests_(std::move(requests)),
      buffer_(kBufferBytes) {}

absl::StatusOr<KernelRoutes::Socket> KernelRoutes::open_socket(int flags) {
  Socket s(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags));
  if (!s) return failure(errno, "cannot open a socket", "");
  if (mnl_socket_bind(s.get(), 0, MNL_SOCKET_AUTOPID) < 0) return failure(errno, "cannot bind a socket", "");
  return s;
}

absl::StatusOr<std::unique_ptr<KernelRoutes>> KernelRoutes::open(const Options& options) {
  auto notifications = open_socket(SOCK_NONBLOCK);
  if (!notifications.ok()) return notifications.status();
  auto requests = open_socket(0);
  if (!requests.ok()) return requests.status();
  set_receive_buffer(mnl_socket_get_fd(notifications->get()), options.receive_buffer);
  for (int group : kGroups) {
    const int rc = mnl_socket_setsockopt(notifications->get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
    if (rc < 0 && group != RTNLGRP_NEXTHOP) return failure(errno, absl::StrCat("cannot follow group ", group), "");
  }
  std::unique_ptr<KernelRoutes> k(new KernelRoutes(options, *std::move(notifications), *std::move(requests)));
  if (absl::Status s = k->resync(); !s.ok()) return s;
  return k;
}

absl::Status KernelRoutes::receive_answer(Decoded& out) {
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(requests_.get(), buffer_.data(), buffer_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(errno, "no answer to a request");
    // Left over from a request that was given up.
    const auto* first = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    if (n >= static_cast<ssize_t>(sizeof *first) && first->nlmsg_seq != sequence_) continue;
    decode({buffer_.data(), static_cast<size_t>(n)}, out);
    return absl::OkStatus();
  }
}

absl::Status KernelRoutes::dump(uint16_t type, uint8_t family, Rib& into, bool& interrupted) {
  alignas(nlmsghdr) std::array<char, 128> request{};
  nlmsghdr* m = mnl_nlmsg_put_header(request.data());
  m->nlmsg_type = type;
  m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  m->nlmsg_seq = ++sequence_;
  *static_cast<uint8_t*>(mnl_nlmsg_put_extra_header(m, request_header_size(type))) = family;
  if (mnl_socket_sendto(requests_.get(), m, m->nlmsg_len) < 0) return failure(errno, "cannot ask for a dump");
  for (Decoded answer; !answer.done;) {
    answer = {};
    if (absl::Status s = receive_answer(answer); !s.ok()) return s;
    for (const Event& e : answer.events) into.apply(e);
    interrupted |= answer.interrupted;
    if (answer.error != 0 && !may_be_missing({type, family}, answer.error))
      return failure(answer.error, absl::StrCat("dump of type ", type, " failed"));
    if (answer.done) break;
  }
  return absl::OkStatus();
}

absl::Status KernelRoutes::resync() {
  // What is told while we dump waits in the other socket and is applied afterwards; events name the whole of what they
  // are about, so that taking in again what the dump has shown already does no harm.
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    Rib fresh;
    bool interrupted = false;
    for (const Dump& d : kDumps)
      if (absl::Status s = dump(d.type, d.family, fresh, interrupted); !s.ok()) return s;
    ++dumps_;
    // Under lasting change the last attempt is taken as it is: events follow, and the next tick dumps again.
    lost_ = interrupted;
    if (!interrupted || attempt + 1 == kDumpAttempts) {
      rib_.adopt(std::move(fresh));
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

// Whether something that was kept resolved may be so no longer.
bool KernelRoutes::apply(const Decoded& decoded) {
  bool neighbors_lost = false;
  for (const Event& e : decoded.events) {
    rib_.apply(e);
    neighbors_lost |= std::holds_alternative<Link>(e.what) ||
                      (e.action == Event::Action::kRemove && std::holds_alternative<Neighbor>(e.what));
  }
  return neighbors_lost;
}

absl::Status KernelRoutes::read() {
  bool neighbors_lost = false;
  bool all_read = false;
  for (int i = 0; i < kDatagramsPerRead && !all_read; ++i) {
    const ssize_t n = mnl_socket_recvfrom(notifications_.get(), buffer_.data(), buffer_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      all_read = true;
      continue;
    }
    if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {  // an overrun; a datagram larger than the buffer
      lost_ = true;
      continue;
    }
    if (n < 0) return failure(errno, "cannot read notifications");
    Decoded decoded;
    decode({buffer_.data(), static_cast<size_t>(n)}, decoded);
    neighbors_lost |= apply(decoded);
  }
  // Not before: what still waits is older than the dump, and after an overrun what would have followed it is missing.
  // Nor does the kernel tell of another overrun until it has seen the queue empty (NETLINK_S_CONGESTED).
  if (all_read && needs_dump()) {
    neighbors_lost = true;
    if (absl::Status s = resync(); !s.ok()) return s;
  }
  return neighbors_lost ? ask_for_missing() : absl::OkStatus();
}

absl::Status KernelRoutes::tick() {
  if (needs_dump())
    if (absl::Status s = read(); !s.ok()) return s;
  absl::Status first;
  for (const auto& [key, wanted] : kept_) {
    const Neighbor* n = rib_.neighbor_entry(key);
    if (!worth_asking(key) || (n != nullptr && n->managed)) continue;
    first.Update(ask(key, true));
  }
  return first;
}

absl::Status KernelRoutes::ask_for_missing() {
  absl::Status first;
  for (const auto& [key, wanted] : kept_)
    if (worth_asking(key) && rib_.neighbor_entry(key) == nullptr) first.Update(ask(key, true));
  return first;
}

bool KernelRoutes::worth_asking(const NeighborKey& key) const {
  const Link* link = rib_.link(key.ifindex);
  if (link == nullptr || !link->up || !link->resolves) return false;
  const Neighbor* n = rib_.neighbor_entry(key);
  return n == nullptr || !n->fixed;
}

// NTF_USE starts a resolution at once and keeps nothing; it also takes NTF_EXT_MANAGED off where that isn't repeated
// beside it. Kernels that don't know NTF_EXT_MANAGED ignore it; what they tell of the neighbour then lacks it.
absl::Status KernelRoutes::ask(const NeighborKey& key, bool keep) {
  alignas(nlmsghdr) std::array<char, 256> request{};
  nlmsghdr* m = mnl_nlmsg_put_header(request.data());
  m->nlmsg_type = RTM_NEWNEIGH;
  m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (keep ? NLM_F_CREATE : 0);
  m->nlmsg_seq = ++sequence_;
  auto* nd = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(ndmsg)));
  nd->ndm_family = key.address.is_v4() ? AF_INET : AF_INET6;
  nd->ndm_ifindex = key.ifindex;
  nd->ndm_state = NUD_NONE;
  nd->ndm_flags = NTF_USE;
  const size_t skip = key.address.is_v4() ? 12 : 0;
  mnl_attr_put(m, NDA_DST, 16 - skip, key.address.bytes.data() + skip);
  if (keep && options_.managed) mnl_attr_put_u32(m, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
  if (mnl_socket_sendto(requests_.get(), m, m->nlmsg_len) < 0) return failure(errno, "cannot ask for a neighbour");
  Decoded answer;
  while (!answer.done)
    if (absl::Status s = receive_answer(answer); !s.ok()) return s;
  if (answer.error == 0) return absl::OkStatus();
  return failure(answer.error,
                 absl::StrCat("the kernel won't resolve ", net::to_string(key.address), " on link ", key.ifindex),
                 remedy_of(answer.error, key.address));
}

absl::Status KernelRoutes::keep_resolved(int ifindex, const net::IpAddress& address) {
  const NeighborKey key{ifindex, address};
  if (++kept_[key] > 1 || !worth_asking(key)) return absl::OkStatus();
  return ask(key, true);
}

void KernelRoutes::release(int ifindex, const net::IpAddress& address) {
  const auto kept = kept_.find({ifindex, address});
  if (kept == kept_.end() || --kept->second > 0) return;
  const NeighborKey key = kept->first;
  kept_.erase(kept);
  const Neighbor* n = rib_.neighbor_entry(key);
  // Not managed: it ages by itself. A failure means that it is gone already.
  if (options_.managed && n != nullptr && !n->fixed) ask(key, false).IgnoreError();
}

}  // namespace guideway::control
