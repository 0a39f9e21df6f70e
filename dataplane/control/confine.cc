#include "dataplane/control/confine.h"

#include <absl/strings/str_cat.h>
#include <cap-ng.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "log/trouble.h"

namespace guideway::control {

namespace {

// Whatever their arguments are. Found by watching the engine through its namespace tests, and by what libc, DPDK's
// memif and the XDP sockets' library do in its place elsewhere.
constexpr int kCalls[] = {
    // Waiting, and the doorbells of ports.
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(sched_yield), SCMP_SYS(futex), SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_settime),
    SCMP_SYS(signalfd4),
    // Sockets: the contract, netlink, AF_XDP, memif.
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(listen), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    // Files: the snapshot, pins, the log, pcap, the group database, /sys.
    SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write),
    SCMP_SYS(writev), SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64), SCMP_SYS(flock), SCMP_SYS(rename), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rmdir),
    // The contract's socket, once more where a successor has failed.
    SCMP_SYS(umask), SCMP_SYS(chown), SCMP_SYS(fchownat),
    // Memory.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
    // The process itself.
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(getcpu), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(geteuid), SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group)};

constexpr int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_XDP};

// Questions about an interface, and whether the log is a terminal.
constexpr unsigned long kIoctls[] = {SIOCGIFNAME, SIOCGIFINDEX, SIOCGIFFLAGS, SIOCGIFHWADDR,
                                     SIOCGIFMTU,  SIOCETHTOOL,  TCGETS};

// Maps are read and written, and grow by segments; a trace asks the program what it does with a frame; it takes over
// from an earlier engine's (its maps are pinned then), and is taken off its interface. None is loaded or attached.
constexpr bpf_cmd kBpfCommands[] = {BPF_MAP_LOOKUP_ELEM,
                                    BPF_MAP_UPDATE_ELEM,
                                    BPF_MAP_DELETE_ELEM,
                                    BPF_MAP_GET_NEXT_KEY,
                                    BPF_OBJ_GET_INFO_BY_FD,
                                    BPF_LINK_DETACH,
                                    BPF_PROG_TEST_RUN,
                                    BPF_MAP_CREATE,
                                    BPF_LINK_UPDATE,
                                    BPF_OBJ_PIN,
                                    BPF_MAP_LOOKUP_AND_DELETE_BATCH};

class Filter {
 public:
  Filter() : filter_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {
    if (filter_ == nullptr) error_ = -ENOMEM;
  }

  void set(scmp_filter_attr attribute, uint32_t value) {
    if (error_ == 0) error_ = seccomp_attr_set(filter_.get(), attribute, value);
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> where = {}) {
    if (error_ == 0)
      error_ = seccomp_rule_add_array(filter_.get(), SCMP_ACT_ALLOW, call, static_cast<unsigned>(where.size()),
                                      where.begin());
  }
  // Of an int: the register's upper half is anything.
  void allow_if(int call, unsigned argument, uint64_t value, uint32_t mask = ~0U) {
    allow(call, {{argument, SCMP_CMP_MASKED_EQ, mask, value}});
  }
  // 0, or a negative errno.
  int load() {
    if (error_ == 0) error_ = seccomp_load(filter_.get());
    return error_;
  }

 private:
  struct Release {
    void operator()(void* filter) const { seccomp_release(filter); }
  };
  std::unique_ptr<void, Release> filter_;
  int error_ = 0;
};

}  // namespace

absl::Status drop_capabilities() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return log::failure(absl::StatusCode::kInternal,
                        absl::StrCat("the kernel refuses PR_SET_NO_NEW_PRIVS: ", std::strerror(errno)),
                        "look for a filter of system calls around guideway-engine that refuses prctl");
  capng_clear(CAPNG_SELECT_ALL);
  capng_updatev(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_NET_ADMIN, CAP_NET_RAW,
                CAP_IPC_LOCK, CAP_BPF, -1);
  if (const int error = capng_apply(CAPNG_SELECT_ALL); error != 0)
    return log::failure(
        absl::StatusCode::kPermissionDenied,
        absl::StrCat("capabilities can't be dropped (libcap-ng's error ", error, "): it takes CAP_SETPCAP"),
        "start guideway-engine as root");
  return absl::OkStatus();
}

absl::Status allow_only_our_calls() {
  Filter filter;
  filter.set(SCMP_FLTATR_CTL_TSYNC, 1);
  filter.set(SCMP_FLTATR_CTL_LOG, 1);
  // Before Linux 5.16 a filter would also switch speculative stores off, which workers would pay with every packet.
  filter.set(SCMP_FLTATR_CTL_SSB, 1);
  filter.set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: before 5.11 each call goes through it
  for (const int call : kCalls) filter.allow(call);
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) filter.allow_if(call, 2, 0, PROT_EXEC);
  for (const int family : kFamilies) filter.allow_if(SCMP_SYS(socket), 0, static_cast<uint64_t>(family));
  for (const unsigned long request : kIoctls) filter.allow_if(SCMP_SYS(ioctl), 1, request);
  for (const bpf_cmd command : kBpfCommands) filter.allow_if(SCMP_SYS(bpf), 0, command);
  filter.allow_if(SCMP_SYS(tgkill), 0, static_cast<uint64_t>(getpid()));  // abort()
  if (const int error = filter.load(); error != 0)
    return log::failure(absl::StatusCode::kInternal,
                        absl::StrCat("system calls can't be filtered: ", std::strerror(-error)),
                        "the kernel needs CONFIG_SECCOMP_FILTER, or start with --no-seccomp");
  return absl::OkStatus();
}

}  // namespace guideway::control
