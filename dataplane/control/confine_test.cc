// Each in a process of its own: there is no way back.
#include "dataplane/control/confine.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>

namespace guideway::control {
namespace {

// What `work` returns, in a child: 0 to 255.
int in_child(const std::function<int()>& work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(work());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

// The errno of a call, or 0.
template <typename... Arguments>
int error_of(long number, Arguments... arguments) {
  errno = 0;
  return syscall(number, arguments...) == -1 ? errno : 0;
}

// Of this thread: "CapEff" → "0000000000000000".
std::string status_of(const std::string& name) {
  std::ifstream file("/proc/thread-self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "";
}

TEST_CASE("capabilities: four are kept, and none in any other set") {
  if (geteuid() != 0) {
    std::cout << "skipped: dropping capabilities needs some\n";
    return;
  }
  constexpr uint64_t kKept = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW | 1ULL << CAP_IPC_LOCK | 1ULL << CAP_BPF;
  CHECK(in_child([] {
          if (!drop_capabilities().ok()) return 1;
          for (const char* set : {"CapEff", "CapPrm"})
            if (std::stoull(status_of(set), nullptr, 16) != kKept) return 2;
          for (const char* set : {"CapBnd", "CapInh", "CapAmb"})
            if (std::stoull(status_of(set), nullptr, 16) != 0) return 3;
          if (status_of("NoNewPrivs") != "1") return 4;
          return prctl(PR_CAPBSET_DROP, CAP_CHOWN) == -1 && errno == EPERM ? 0 : 5;
        }) == 0);
}

TEST_CASE("capabilities: what can't be dropped is said") {
  if (geteuid() != 0) return;
  CHECK(in_child([] {
          __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
          std::array<__user_cap_data_struct, 2> none{};
          if (syscall(SYS_capset, &header, none.data()) != 0) return 1;
          const absl::Status s = drop_capabilities();
          return s.code() == absl::StatusCode::kPermissionDenied && s.message().find("as root") != std::string::npos
                     ? 0
                     : 2;
        }) == 0);
}

TEST_CASE("system calls: what the engine has no use for fails, and its own go on") {
  struct Call {
    const char* what;
    std::function<int()> make;
    int error;
  };
  const std::string here = "/tmp/guideway-confine-test." + std::to_string(getpid());
  const auto page = static_cast<size_t>(getpagesize());
  const auto anonymous = [page](int protection) {
    return error_of(SYS_mmap, nullptr, page, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  };
  const auto bpf = [](int command) {
    bpf_attr attributes{};
    return error_of(SYS_bpf, command, &attributes, sizeof attributes);
  };
  const char* const arguments[] = {"/bin/true", nullptr};
  const std::array<Call, 22> calls{{
      {"execve", [&] { return error_of(SYS_execve, arguments[0], arguments, nullptr); }, EPERM},
      {"fork", [] { return error_of(SYS_fork); }, EPERM},
      {"ptrace", [] { return error_of(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }, EPERM},
      {"kill", [] { return error_of(SYS_kill, getpid(), 0); }, EPERM},
      {"mount", [] { return error_of(SYS_mount, "none", "/mnt", "tmpfs", 0, nullptr); }, EPERM},
      {"chmod", [] { return error_of(SYS_chmod, "/tmp/nosuch", 0); }, EPERM},
      {"a packet socket", [] { return error_of(SYS_socket, AF_PACKET, SOCK_RAW, 0); }, EPERM},
      {"executable memory", [&] { return anonymous(PROT_READ | PROT_EXEC); }, EPERM},
      {"a terminal's input", [] { return error_of(SYS_ioctl, 0, 0x5412, "x"); }, EPERM},
      {"a BPF program", [&] { return bpf(BPF_PROG_LOAD); }, EPERM},
      {"a signal to another process", [] { return error_of(SYS_tgkill, getppid(), getppid(), 0); }, EPERM},
      {"memory", [&] { return anonymous(PROT_READ | PROT_WRITE); }, 0},
      {"a netlink socket", [] { return error_of(SYS_socket, AF_NETLINK, SOCK_RAW, 0); }, 0},
      {"a BPF map", [&] { return bpf(BPF_MAP_LOOKUP_ELEM); }, EINVAL},
      {"all of a BPF map", [&] { return bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH); }, EINVAL},
      {"a new BPF map", [&] { return bpf(BPF_MAP_CREATE); }, EINVAL},
      {"a pin", [&] { return bpf(BPF_OBJ_PIN); }, EINVAL},
      {"another program for a link", [&] { return bpf(BPF_LINK_UPDATE); }, EINVAL},
      {"a file", [&] { return error_of(SYS_openat, AT_FDCWD, here.c_str(), O_CREAT | O_RDWR, 0600); }, 0},
      {"its new name", [&] { return error_of(SYS_rename, here.c_str(), (here + ".new").c_str()); }, 0},
      {"its end", [&] { return error_of(SYS_unlink, (here + ".new").c_str()); }, 0},
      {"a signal to itself", [] { return error_of(SYS_tgkill, getpid(), gettid(), 0); }, 0},
  }};
  const int ended = in_child([&] {
    if (!allow_only_our_calls().ok() || status_of("Seccomp") != "2") return 255;
    for (size_t i = 0; i < calls.size(); ++i)
      if (const int error = calls[i].make(); error != calls[i].error) {
        std::cerr << calls[i].what << ": errno " << error << ", not " << calls[i].error << '\n';
        return static_cast<int>(i + 1);
      }
    return 0;
  });
  INFO((ended > 0 && ended < 255 ? calls[static_cast<size_t>(ended) - 1].what : "the filter"));
  CHECK(ended == 0);
}

TEST_CASE("system calls: threads that run already are filtered too") {
  CHECK(in_child([] {
          static std::atomic<int> stage{0};  // 1: the other thread runs, 2: the filter is there
          static std::atomic<int> error{-1};
          pthread_t thread{};
          const auto other = [](void*) -> void* {
            for (stage = 1; stage != 2;) sched_yield();
            error = error_of(SYS_chmod, "/tmp/nosuch", 0);
            stage = 3;
            return nullptr;
          };
          if (pthread_create(&thread, nullptr, other, nullptr) != 0) return 1;
          while (stage != 1) sched_yield();
          if (!allow_only_our_calls().ok()) return 2;
          for (stage = 2; stage != 3;) sched_yield();
          return error == EPERM ? 0 : 3;
        }) == 0);
}

}  // namespace
}  // namespace guideway::control
