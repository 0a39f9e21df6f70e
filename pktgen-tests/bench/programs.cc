#include "pktgen-tests/bench/programs.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "dataplane/control/contract/framing.h"

extern char** environ;

namespace guideway::bench {

Process::Process(std::vector<std::string> words, const std::string& log) {
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

Process::~Process() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

unsigned Process::peak_mib() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  unsigned kib = 0;
  for (std::string line; std::getline(status, line);) {
    const size_t colon = line.find(':');
    const std::string name = line.substr(0, colon);
    if (name == "VmHWM" || name == "HugetlbPages") kib += static_cast<unsigned>(std::stoul(line.substr(colon + 1)));
  }
  return kib / 1024;
}

Site::Site(std::string build)
    : build_(std::move(build)),
      base_(std::filesystem::temp_directory_path() / ("guideway-bench-" + std::to_string(getpid()))) {
  std::filesystem::create_directories(base_ + "/manifests");
}

Site::~Site() { std::filesystem::remove_all(base_); }

Process Site::start_engine(const std::vector<std::string>& more) const {
  std::vector<std::string> words = {build_ + "/dataplane/guideway-engine",
                                    "--port",
                                    "dpdk:net_ring0@02:00:00:00:00:01",
                                    "--yield",
                                    "--socket",
                                    socket(),
                                    "--state-dir",
                                    base_ + "/engine"};
  words.insert(words.end(), more.begin(), more.end());
  return {std::move(words), base_ + "/engine.log"};
}

Process Site::start_daemon() const {
  return {{build_ + "/mgmt/guidewayd", "--manifests", base_ + "/manifests", "--state-dir", base_ + "/daemon",
           "--engine", socket(), "--listen", "unix:" + base_ + "/guideway.sock"},
          base_ + "/daemon.log"};
}

void Site::complain(const char* what) const {
  std::fprintf(stderr, "%s\n", what);
  for (const char* log : {"/engine.log", "/daemon.log"}) {
    std::ifstream file(base_ + log);
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (text.size() > 2'000) text.erase(0, text.size() - 2'000);
    std::fputs(text.c_str(), stderr);
  }
}

std::optional<Observer> Observer::connect(const std::string& path) {
  for (int i = 0; i < 100; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (auto o = connect_once(path)) return o;
  }
  return std::nullopt;
}

std::optional<Observer> Observer::connect_once(const std::string& path) {
  Observer o;
  o.fd_ = xdp::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::strncpy(a.sun_path, path.c_str(), sizeof a.sun_path - 1);
  if (!o.fd_) return std::nullopt;
  if (::connect(o.fd_.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || !o.receive()) return std::nullopt;
  engine::Envelope attach;
  attach.mutable_attach()->set_version(1);
  attach.mutable_attach()->set_purpose(engine::Attach::PURPOSE_OBSERVE);
  o.send(attach);
  return o;
}

uint64_t Observer::generation() {
  engine::Envelope request;
  request.mutable_status_request();
  send(request);
  const auto answer = receive();
  return answer ? answer->status().generation().counter() : 0;
}

bool Observer::wait_above(uint64_t before, std::chrono::seconds at_most) {
  for (const auto end = Clock::now() + at_most; Clock::now() < end;) {
    if (generation() > before) return true;
    std::this_thread::sleep_for(std::chrono::microseconds(250));  // each question takes the engine's time
  }
  return false;
}

void Observer::send(const engine::Envelope& message) {
  std::string bytes;
  control::append_frame(bytes, message);
  static_cast<void>(!::write(fd_.get(), bytes.data(), bytes.size()));
}

std::optional<engine::Envelope> Observer::receive() {
  char buffer[1 << 16];
  while (true) {
    size_t at = 0;
    auto message = control::take_frame(in_, &at);
    if (!message.ok()) return std::nullopt;
    in_.erase(0, at);
    if (*message) return *std::move(message);
    const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
    if (n <= 0) return std::nullopt;
    in_.append(buffer, static_cast<size_t>(n));
  }
}

std::string service_manifest(unsigned i, bool weak) {
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

Clock::time_point write_file(const std::string& path, const std::string& text) {
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (f == nullptr) {
    std::perror(path.c_str());
    std::exit(1);
  }
  std::fwrite(text.data(), 1, text.size(), f);
  std::fflush(f);
  const auto closed = Clock::now();
  std::fclose(f);
  return closed;
}

}  // namespace guideway::bench
