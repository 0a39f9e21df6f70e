// guideway-engine: arguments → Engine → run until a signal.
#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "dataplane/control/engine.h"
#include "log/log.h"
#include "log/trouble.h"

namespace {

// As the rest of --help is laid out: the man page is made of it.
constexpr const char* kFooter = R"(Signals:
  SIGTERM, SIGINT             It ends. The XDP programs stay, and balance DSR until the next engine takes over;
                              `guideway-engine detach` takes them away

Exit status:
  0                           It was ended by a signal, or another engine has taken its place; with --background, the new
                              one forwards
  1                           It failed, and the last line of the log says why
  2                           The command line is wrong

Files:
  /run/guideway/engine.sock   Where guidewayd connects, as root or of group guideway
  /var/lib/guideway/engine    The last commit, by which it starts without guidewayd
  /run/guideway/tables        Connections, which the next engine goes on with
  /sys/fs/bpf/guideway        The XDP program and its maps, which outlive it; the package's unit has them at
                              /run/guideway/bpf

Examples:
  guideway-engine --port af_xdp:eth0 --port af_xdp:eth1 --cores 2,3
                              Two interfaces, two workers
  guideway-engine --upgrade --port af_xdp:eth0 --port af_xdp:eth1 --cores 2,3
                              In the place of the one that runs: `guideway upgrade-engine` does it with systemd's
  guideway-engine detach --bpffs /run/guideway/bpf
                              After a stop of the package's unit: interfaces and memory as they were before the first
                              start

See also:
  guideway(1), guidewayd(8)
)";

std::vector<unsigned> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<unsigned> cores;
  for (unsigned c = 0; c < CPU_SETSIZE; ++c)
    if (CPU_ISSET(c, &set)) cores.push_back(c);
  return cores;
}

// The last ones: the first is where the kernel does most of its work.
std::vector<unsigned> choose_cores(unsigned workers) {
  std::vector<unsigned> cores = usable_cores();
  if (workers < cores.size()) cores.erase(cores.begin(), cores.end() - workers);
  return cores;
}

absl::Status wrong(const std::string& text, const char* remedy) {
  return guideway::log::failure(absl::StatusCode::kInvalidArgument, text, remedy);
}

absl::Status check_cores(const std::vector<unsigned>& cores, unsigned workers) {
  if (cores.size() > guideway::path::kMaxWorkers)
    return wrong("--cores names " + std::to_string(cores.size()) + " cores, and there are at most " +
                     std::to_string(guideway::path::kMaxWorkers) + " workers",
                 "name fewer");
  const std::vector<unsigned> usable = usable_cores();
  for (const unsigned c : cores)
    if (std::ranges::find(usable, c) == usable.end())
      return wrong("core " + std::to_string(c) + " doesn't exist or isn't ours to use",
                   "nproc and taskset -p tell which are");
  if (workers > usable.size())
    return wrong("--workers " + std::to_string(workers) + ": this machine lets us use " +
                     std::to_string(usable.size()) + " core(s)",
                 "lower it");
  if (std::ranges::adjacent_find(cores) != cores.end())
    return wrong("--cores names a core twice", "a worker has a core of its own: name each once");
  return absl::OkStatus();
}

// A missing one is named before anything is touched. CAP_PERFMON loads the XDP program, CAP_SETPCAP empties the
// bounding set; the others are kept.
absl::Status check_privileges() {
  std::ifstream file("/proc/self/status");
  uint64_t effective = 0;
  for (std::string line; std::getline(file, line);)
    if (line.rfind("CapEff:", 0) == 0) effective = std::stoull(line.substr(7), nullptr, 16);
  const auto has = [effective](unsigned c) { return (effective >> c & 1) != 0; };
  for (const auto& [number, name] : {std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
                                     {CAP_NET_RAW, "CAP_NET_RAW"},
                                     {CAP_IPC_LOCK, "CAP_IPC_LOCK"},
                                     {CAP_BPF, "CAP_BPF"},
                                     {CAP_PERFMON, "CAP_PERFMON"},
                                     {CAP_SETPCAP, "CAP_SETPCAP"}})
    if (!has(number))
      return guideway::log::failure(absl::StatusCode::kPermissionDenied,
                                    std::string("the privilege ") + name + " is missing",
                                    "start guideway-engine as root");
  return absl::OkStatus();
}

int fail(const absl::Status& why, int code = 1) {
  guideway::log::last_words(guideway::log::trouble_of(why));
  return code;
}

// Goes on in a grandchild, which is init's then, as a service manager wants its main process. The caller's own way ends
// here: with 0 once that calls what this gives, with 1 if it ends before.
std::function<void()> go_to_background() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::exit(fail(guideway::log::system_failure(errno, "can't make a pipe")));
  const auto forked = [] {
    const pid_t child = fork();
    if (child < 0) std::exit(fail(guideway::log::system_failure(errno, "can't fork")));
    return child;
  };
  if (forked() > 0) {
    close(ends[1]);
    char done = 0;
    std::_Exit(read(ends[0], &done, 1) == 1 ? 0 : 1);
  }
  setsid();
  close(ends[0]);
  if (forked() > 0) std::_Exit(0);
  return [end = ends[1]] {
    const char done = 0;
    if (write(end, &done, 1) == 1) close(end);
  };
}

}  // namespace

int main(int argc, char** argv) {
  // Who waits for us in the foreground, or reads the log, may end first.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Guideway's dataplane: polls its ports on cores of its own and sends every packet on its way.",
               "guideway-engine");
  guideway::control::EngineOptions options;
  std::vector<std::string> port_texts;
  unsigned workers = 1;
  guideway::log::Options log;
  unsigned heartbeat_ms = 10;
  bool no_huge = false;
  bool no_seccomp = false;
  bool background = false;
  app.add_option("--port", port_texts,
                 "af_xdp:IFNAME[:QUEUES], or dpdk:DEVARGS@NEXT_HOP_MAC for DPDK's memif, pcap, ring and null, such as "
                 "dpdk:net_memif0,role=server,socket=/run/memif.sock@02:00:00:00:00:01; repeat for more")
      ->type_name("SPEC");
  auto* count =
      app.add_option("--workers", workers, "how many, on the machine's last cores")
          ->check(CLI::Range(1U, guideway::path::kMaxWorkers, "1 to " + std::to_string(guideway::path::kMaxWorkers)))
          ->capture_default_str()
          ->type_name("N");
  app.add_option("--cores", options.cores, "a worker on each of these cores, such as 2,3")
      ->delimiter(',')
      ->excludes(count)
      ->type_name("LIST");
  app.add_option("--socket", options.socket, "where guidewayd connects")->capture_default_str()->type_name("PATH");
  app.add_option("--state-dir", options.state_dir, "keeps the last commit, to start without guidewayd")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--bpffs", options.bpffs, "directory on a BPF file system for the XDP program's pins")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--table-dir", options.table_dir,
                 "on a tmpfs: keeps connections for the next engine, on 2 MB pages where "
                 "a hugetlbfs is mounted at DIR/huge")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--connections", options.connections, "entries for each worker and family")
      ->check(CLI::Range(64U, 1U << 26, "64 to 67108864"))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--heartbeat-ms", heartbeat_ms,
                 "the kernel balances for a worker that is away for longer; 0: for none")
      ->check(CLI::Range(0U, 60'000U, "0 to 60000"))
      ->capture_default_str()
      ->type_name("N");
  app.add_flag("--no-huge", no_huge, "plain memory, even where there are 2 MB pages");
  app.add_flag("--no-seccomp", no_seccomp, "don't filter system calls: for debuggers and sanitizers");
  auto* upgrade = app.add_flag("--upgrade", options.upgrade,
                               "take the place of the engine that runs here, with the connections; "
                               "if that fails, it goes on. Where none runs: start as ever");
  app.add_flag("--background", background, "once it forwards, let the caller go on; if it fails, tell it so")
      ->needs(upgrade);
  app.add_flag("--yield", options.yield, "give the core away when there is nothing to do: for tests on few cores");
  auto* detach =
      app.add_subcommand("detach", "take away what an engine that has ended left: XDP programs and connections")
          ->fallthrough();
  app.callback([&] {
    if (port_texts.empty() && !detach->parsed()) throw CLI::RequiredError("--port");
  });
  guideway::log::add_options(app, log);
  app.set_version_flag("--version", "guideway-engine " GUIDEWAY_VERSION);
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  // Before there is another thread.
  const std::function<void()> tell_parent = background ? go_to_background() : [] {};
  guideway::log::start("guideway-engine", log);
  options.heartbeat = std::chrono::milliseconds(heartbeat_ms);
  options.huge = !no_huge;
  options.seccomp = !no_seccomp;
  if (detach->parsed()) {
    if (const absl::Status s = check_privileges(); !s.ok()) return fail(s);
    const absl::Status s = guideway::control::Engine::detach(options);
    return s.ok() ? 0 : fail(s);
  }
  std::ranges::sort(options.cores);
  auto ports = guideway::control::parse_ports(port_texts);
  if (!ports.ok()) return fail(ports.status(), 2);
  options.ports = *std::move(ports);
  if (const absl::Status s = check_cores(options.cores, workers); !s.ok()) return fail(s, 2);
  if (options.cores.empty()) options.cores = choose_cores(workers);
  if (const absl::Status s = check_privileges(); !s.ok()) return fail(s);

  auto engine = guideway::control::Engine::start(options);
  if (!engine.ok()) return fail(engine.status());
  tell_parent();
  if (const absl::Status s = (*engine)->run(); !s.ok()) return fail(s);
  return 0;
}
