// Interface, program, sockets: in this order, and back again if one of them fails.
#include "dataplane/control/af_xdp_port.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "log/trouble.h"

namespace guideway::control {
namespace {

// After a SIGKILL the kernel frees the old socket's queue a little later: 17 to 110 ms were seen.
constexpr std::chrono::milliseconds kBusyFor{1000};
constexpr std::chrono::milliseconds kBusyPause{10};
// In copy mode every packet that waits in the device is charged to the socket: a full tx ring of the largest frames.
constexpr int kSendBuffer = 16 << 20;

absl::StatusOr<Interface> usable_interface(const AfXdpPortOptions& options) {
  absl::StatusOr<Interface> found = find_interface(options.ifname);
  if (!found.ok()) return found;
  const std::string& name = options.ifname;
  if (!found->up)
    return log::failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(name, " is down"),
                        absl::StrCat("ip link set dev ", name, " up"));
  if (found->mtu > kMaxMtu)
    return log::failure(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat(name, " has an MTU of ", found->mtu, ", more than the ", kMaxMtu, " that fit a packet buffer"),
        absl::StrCat("`ip link set dev ", name, " mtu ", kMaxMtu, "` or less"));
  if (const unsigned wanted = options.queues.value_or(found->receive_queues); wanted != found->receive_queues) {
    if (absl::Status s = set_receive_queues(name, wanted); !s.ok()) return s;
    found = find_interface(name);
  }
  if (found.ok() && found->receive_queues > GW_MAX_QUEUES)
    return log::failure(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat(name, " has ", found->receive_queues, " receive queues, more than ", GW_MAX_QUEUES),
        absl::StrCat("`ethtool -L ", name, " combined ", GW_MAX_QUEUES, "` or fewer"));
  return found;
}

// Registered memory counts as locked, once for each socket.
void allow_locked_memory() {
  const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &all);  // refused without CAP_SYS_RESOURCE; then CAP_IPC_LOCK does, or the error tells
}

absl::Status socket_error(int error, const std::string& ifname, unsigned queue) {
  const std::string what = absl::StrCat("can't open an AF_XDP socket on queue ", queue, " of ", ifname);
  switch (error) {
    case EPERM:
      return log::failure(absl::StatusCode::kPermissionDenied,
                          absl::StrCat(what, ": the engine needs CAP_NET_RAW and CAP_NET_ADMIN"), "start it as root");
    case EBUSY:
      return log::failure(absl::StatusCode::kUnavailable, absl::StrCat(what, ": another socket has it"),
                          "stop the other engine (or what else uses AF_XDP there: `ss --xdp -p`)");
    case ENOBUFS:
    case ENOMEM:
      return log::failure(absl::StatusCode::kResourceExhausted, absl::StrCat(what, ": the memory can't be locked"),
                          "raise the limit (LimitMEMLOCK=infinity) or grant CAP_IPC_LOCK");
    case ENODEV:
      return log::system_failure(error, what);
    default:
      return log::system_failure(error, what, "AF_XDP asks for Linux 5.12 or newer with CONFIG_XDP_SOCKETS");
  }
}

bool is_zero_copy(int socket) {
  xdp_options options{};
  socklen_t length = sizeof options;
  return getsockopt(socket, SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
         (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

}  // namespace

void AfXdpPort::Reclaim::operator()(path::AfXdpRings* rings) const {
  path::reclaim(*rings);
  delete rings;
}

absl::StatusOr<std::unique_ptr<AfXdpPort>> AfXdpPort::load(const AfXdpPortOptions& options,
                                                           const xdp::KernelTables& tables) {
  absl::StatusOr<Interface> interface = usable_interface(options);
  if (!interface.ok()) return interface.status();
  allow_locked_memory();
  absl::StatusOr<xdp::Program> program = xdp::Program::load(options.ifname, options.bpffs, tables);
  if (!program.ok()) return program.status();
  gw_port us{};
  std::memcpy(us.mac, interface->mac.bytes.data(), sizeof us.mac);
  if (absl::Status s = program->set_port(us); !s.ok()) return s;
  return std::unique_ptr<AfXdpPort>(new AfXdpPort(*std::move(interface), *std::move(program), options.mbuf_port));
}

absl::Status AfXdpPort::attach() {
  if (absl::Status s = program_.attach(); !s.ok()) return s;
  warn();
  return absl::OkStatus();
}

absl::Status AfXdpPort::open_queues(const path::FrameMemory& memory) {
  absl::Status s = open_all(memory);
  if (!s.ok() && !program_.adopted()) (void)detach();  // an adopted one may be another engine's that runs
  return s;
}

absl::Status AfXdpPort::open_all(const path::FrameMemory& memory) {
  for (unsigned i = 0; i < interface_.receive_queues; ++i) {
    Queue queue;
    queue.rings.reset(new path::AfXdpRings(memory, mbuf_port_));
    queue.rings->heartbeat = program_.heartbeat(i);
    if (absl::Status s = open_queue(queue, i); !s.ok()) return s;
    zero_copy_ = zero_copy_ && is_zero_copy(queue.rings->socket);
    queues_.push_back(std::move(queue));
  }
  return steer();
}

void AfXdpPort::close_queues() {
  for (Queue& queue : queues_) {
    queue.socket.reset();
    queue.umem.reset();
    path::reclaim(*queue.rings);
  }
}

absl::Status AfXdpPort::reopen_queues() {
  absl::Status s;
  for (unsigned i = 0; i < queues_.size() && s.ok(); ++i) s = open_queue(queues_[i], i);
  if (s.ok()) s = steer();
  if (s.ok() || name_now()) return s;
  close_queues();
  return absl::OkStatus();
}

// Nothing if it is gone: another may have its name by now.
std::optional<std::string> AfXdpPort::name_now() const {
  char name[IF_NAMESIZE];
  if (if_indextoname(static_cast<unsigned>(interface_.ifindex), name) == nullptr) return std::nullopt;
  return name;
}

// Once all of them are ready.
absl::Status AfXdpPort::steer() {
  for (unsigned i = 0; i < queues_.size(); ++i)
    if (absl::Status s = program_.set_socket(i, queues_[i].rings->socket); !s.ok()) return s;
  return absl::OkStatus();
}

absl::Status AfXdpPort::open_queue(Queue& queue, unsigned index) const {
  const auto name = name_now();
  if (!name)
    return log::failure(absl::StatusCode::kNotFound, absl::StrCat(interface_.name, " is gone"), "see `ip link`");
  const auto deadline = std::chrono::steady_clock::now() + kBusyFor;
  int error = bind(queue, *name, index);
  while (error == EBUSY && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kBusyPause);
    error = bind(queue, *name, index);
  }
  if (error != 0) return socket_error(error, *name, index);
  if (path::prime(*queue.rings)) return absl::OkStatus();
  return log::failure(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("queue ", index, " of ", *name, " finds fewer than ", path::kAfXdpRingSize, " free packet buffers"),
      absl::StrCat("restart guideway-engine; if it goes on, with fewer queues: --port af_xdp:", *name, ":QUEUES"));
}

// 0 or an errno. Without a program of libxdp's, and with the best copy mode that the driver has.
int AfXdpPort::bind(Queue& queue, const std::string& ifname, unsigned index) {
  path::AfXdpRings& r = *queue.rings;
  // Of another socket before; libxdp takes it that they are zero.
  r.rx = r.completion = {};
  r.tx = r.fill = {};
  r.tx_rung = true;
  xsk_umem_config memory{};
  memory.fill_size = memory.comp_size = path::kAfXdpRingSize;
  memory.frame_size = path::kFrameSize;
  memory.frame_headroom = path::kFrameHeadroom;
  queue.umem.reset();  // that of the last try, which takes what the next maps
  xsk_umem* umem = nullptr;
  if (const int e = xsk_umem__create(&umem, r.memory.base, r.memory.size, &r.fill, &r.completion, &memory); e != 0)
    return -e;
  queue.umem.reset(umem);

  xsk_socket_config socket{};
  socket.rx_size = socket.tx_size = path::kAfXdpRingSize;
  socket.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
  socket.bind_flags = XDP_USE_NEED_WAKEUP;
  xsk_socket* opened = nullptr;
  if (const int e = xsk_socket__create(&opened, ifname.c_str(), index, umem, &r.rx, &r.tx, &socket); e != 0) return -e;
  queue.socket.reset(opened);
  r.socket = xsk_socket__fd(opened);
  setsockopt(r.socket, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);  // with less it is only slower
  return 0;
}

std::vector<path::AfXdpQueue> AfXdpPort::queues() {
  std::vector<path::AfXdpQueue> handles;
  for (const Queue& q : queues_) handles.emplace_back(*q.rings);
  return handles;
}

absl::StatusOr<xdp_statistics> AfXdpPort::statistics(unsigned queue) const {
  xdp_statistics s{};
  socklen_t length = sizeof s;
  if (getsockopt(queues_[queue].rings->socket, SOL_XDP, XDP_STATISTICS, &s, &length) == 0) return s;
  return log::system_failure(errno, absl::StrCat("can't read the counters of queue ", queue, " of ", interface_.name));
}

uint64_t AfXdpPort::rx_full() const {
  uint64_t sum = 0;
  // Without a frame in copy mode, and without a place in the ring. Empty fill rings are asked, not packets.
  for (unsigned q = 0; q < queues_.size(); ++q)
    if (const auto s = statistics(q); s.ok()) sum += s->rx_dropped + s->rx_ring_full;
  return sum;
}

void AfXdpPort::warn() {
  const std::string& name = interface_.name;
  if (program_.mode() == xdp::Mode::kGeneric)
    warnings_.push_back(
        {absl::StrCat(name, " runs XDP in generic mode, which is slower: its driver refused (",
                      program_.driver_refusal().empty() ? "an earlier engine" : program_.driver_refusal(), ")"),
         absl::StrCat("a NIC whose driver runs XDP (ethtool -i ", name,
                      " names this one), or what dmesg says that it wants; then restart guideway-engine")});
  if (!program_.left_out().empty())
    warnings_.push_back(
        {absl::StrCat("what an earlier engine of another version has pinned for ", name,
                      " can't be taken over, and begins ", "empty: ", absl::StrJoin(program_.left_out(), ", ")),
         "counters begin at zero, and connections that the kernel has begun may lose their backend: it passes"});
  // Two ends of a veth are mostly configured alike; only the far end's setting counts and it can't be seen from here.
  if (interface_.driver == "veth" && interface_.transmit_offload)
    warnings_.push_back(
        {absl::StrCat(name,
                      " is a veth with offloads: if its peer has them too, packets arrive with unfinished checksums; "
                      "both ends must have them off"),
         absl::StrCat("ethtool -K ", name, " tx off tso off gso off")});
}

}  // namespace guideway::control
