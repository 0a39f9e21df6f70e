#include "pktgen-tests/bench/commit_bench.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "dataplane/control/contract/framing.h"
#include "xdp/fd.h"

extern char** environ;

namespace guideway::bench {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr unsigned kBackends = 10;

// Ended with its owner.
class Process {
 public:
  Process(std::vector<std::string> words, const std::string& log) {
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {1, 2})
      posix_spawn_file_actions_addopen(&actions, fd, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

// A connection to the engine that asks what is in force.
class Observer {
 public:
  static std::optional<Observer> connect(const std::string& path) {
    Observer o;
    o.fd_ = xdp::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::strncpy(a.sun_path, path.c_str(), sizeof a.sun_path - 1);
    if (::connect(o.fd_.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || !o.receive()) return std::nullopt;
    engine::Envelope attach;
    attach.mutable_attach()->set_version(1);
    attach.mutable_attach()->set_purpose(engine::Attach::PURPOSE_OBSERVE);
    o.send(attach);
    return o;
  }

  // The counter of the generation in force.
  uint64_t generation() {
    engine::Envelope request;
    request.mutable_status_request();
    send(request);
    const auto answer = receive();
    return answer ? answer->status().generation().counter() : 0;
  }

  // Until one above `before` is; false after ten seconds.
  bool wait_above(uint64_t before) {
    for (const auto end = Clock::now() + std::chrono::seconds(10); Clock::now() < end;) {
      if (generation() > before) return true;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return false;
  }

 private:
  void send(const engine::Envelope& message) {
    std::string bytes;
    control::append_frame(bytes, message);
    static_cast<void>(!::write(fd_.get(), bytes.data(), bytes.size()));
  }
  std::optional<engine::Envelope> receive() {
    char buffer[1 << 16];
    while (true) {
      size_t at = 0;
      auto message = control::take_frame(in_, &at);
      if (!message.ok()) return std::nullopt;
      in_.erase(0, at);
      if (*message) return std::move(**message);
      const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
      if (n <= 0) return std::nullopt;
      in_.append(buffer, static_cast<size_t>(n));
    }
  }

  xdp::Fd fd_;
  std::string in_;
};

// A service and its slice of ten backends; `weak` of them terminates.
std::string service(unsigned i, bool weak) {
  const std::string name = "svc-" + std::to_string(i);
  const std::string net = std::to_string(i / 200) + "." + std::to_string(i % 200 + 1);
  std::string s =
      "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: " + name +
      "\n  namespace: bench\n  annotations:\n    guideway.io/forwarding-mode: dsr-ipip\nspec:\n  ports:\n"
      "  - name: http\n    port: 80\n    protocol: TCP\n    targetPort: 80\n  type: LoadBalancer\n"
      "status:\n  loadBalancer:\n    ingress:\n    - ip: 198.18." +
      net +
      "\n---\naddressType: IPv4\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  labels:\n"
      "    kubernetes.io/service-name: " +
      name + "\n  name: " + name +
      "\n  namespace: bench\nports:\n- name: http\n  port: 80\n  protocol: TCP\nendpoints:\n";
  for (unsigned b = 0; b < kBackends; ++b)
    s += "- addresses:\n  - 10." + net + "." + std::to_string(b + 1) + "\n  conditions:\n    ready: " +
         (weak && b == 0 ? "false\n    serving: true\n    terminating: true\n" : "true\n");
  return s;
}

std::string services(unsigned count, unsigned changed, bool turn) {
  std::string s;
  for (unsigned i = 0; i < count; ++i) s += service(i, turn && i < changed);
  return s;
}

// Gives the moment of the close.
Clock::time_point write(const std::string& path, const std::string& text) {
  std::FILE* f = std::fopen(path.c_str(), "w");
  std::fwrite(text.data(), 1, text.size(), f);
  std::fflush(f);
  const auto closed = Clock::now();
  std::fclose(f);
  return closed;
}

struct TemporaryDirectory {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("guideway-bench-" + std::to_string(getpid()));
  TemporaryDirectory() { std::filesystem::create_directories(path / "manifests"); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

bool measure(Observer& engine, const std::string& file, unsigned objects, unsigned changed, unsigned turns) {
  std::vector<double> ms;
  for (unsigned turn = 0; turn < turns; ++turn) {
    const std::string text = services(objects / 2, changed, turn % 2 == 0);
    const uint64_t before = engine.generation();
    const auto closed = write(file, text);
    if (!engine.wait_above(before)) {
      std::fprintf(stderr, "a change didn't arrive within ten seconds\n");
      return false;
    }
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - closed).count());
    std::this_thread::sleep_for(milliseconds(20));
  }
  std::ranges::sort(ms);
  std::printf("%8u %10u %14.2f %8.2f to %5.2f\n", objects, changed, ms[ms.size() / 2], ms.front(), ms.back());
  return true;
}

}  // namespace

int run_commit(const std::string& build, unsigned turns) {
  const TemporaryDirectory dir;
  const std::string base = dir.path.string();
  const std::string file = base + "/manifests/services.yaml";
  write(file, services(50, 0, false));
  const Process engine(
      {build + "/dataplane/guideway-engine", "--port", "dpdk:net_ring0@02:00:00:00:00:01", "--yield", "--connections",
       "4096", "--socket", base + "/engine.sock", "--state-dir", base + "/engine", "--log-level", "debug"},
      base + "/engine.log");
  const Process daemon({build + "/mgmt/guidewayd", "--manifests", base + "/manifests", "--state-dir", base + "/daemon",
                        "--engine", base + "/engine.sock", "--listen", "unix:" + base + "/guideway.sock"},
                       base + "/daemon.log");
  std::optional<Observer> observer;
  for (int i = 0; i < 100 && !observer; ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    observer = Observer::connect(base + "/engine.sock");
  }
  if (!observer || !observer->wait_above(0)) {
    std::ifstream log(base + "/engine.log");
    std::fprintf(stderr, "the engine doesn't start or gets no state:\n%s",
                 std::string(std::istreambuf_iterator<char>(log), {}).c_str());
    return 1;
  }
  std::printf("%8s %10s %14s %17s\n", "objects", "changed", "in force, ms", "(min to max)");
  for (const unsigned changed : {1U, 10U, 50U})
    if (!measure(*observer, file, 100, changed, turns)) return 1;
  return 0;
}

}  // namespace guideway::bench
