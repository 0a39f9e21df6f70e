// guidewayd: the management daemon. Needs no privilege and asks for none.

#include <CLI/CLI.hpp>
#include <malloc.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <iostream>

#include "log/log.h"
#include "mgmt/api/grpc_log.h"
#include "mgmt/api/server.h"
#include "mgmt/daemon.h"
#include "mgmt/metrics/exporter.h"

namespace guideway::mgmt {
namespace {

constexpr std::chrono::seconds kLogPeriod{1};

struct Options {
  DaemonOptions daemon;
  ListenOptions listen;
  std::string metrics;
  log::Options log;
};

// As the rest of --help is laid out: the man page is made of it.
constexpr const char* kFooter = R"(Signals:
  SIGHUP                      All manifests are read again
  SIGTERM, SIGINT             It ends; the engine goes on with the last state

Exit status:
  0                           It was ended by a signal
  1                           It failed, and the last line of the log says why
  2                           The command line is wrong

Files:
  /run/guideway/guideway.sock
                              Where the API is served
  /var/lib/guideway/daemon    The last good form of each object; in objects/ and weights/, what came over the API:
                              the only copy

Examples:
  guidewayd --manifests /etc/guideway/manifests
                              As it usually runs

See also:
  guideway(1), guideway-engine(8)
)";

void declare(CLI::App& app, Options& o) {
  app.set_version_flag("--version", "guidewayd " GUIDEWAY_VERSION);
  app.footer(kFooter);
  app.add_option("--manifests", o.daemon.manifests, "Directory of Kubernetes manifests (*.yaml, *.yml) to watch")
      ->required()
      ->type_name("DIR");
  app.add_option("--state-dir", o.daemon.state_dir,
                 "Where the last good form of each object is kept, and what came over the API")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--engine", o.daemon.engine_socket, "Socket of guideway-engine")
      ->capture_default_str()
      ->type_name("PATH");
  app.add_option("--listen", o.listen.at, "Where the API is served; may be given several times")
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("unix:PATH|tcp:ADDRESS:PORT");
  app.add_option("--tls-cert", o.listen.tls.certificate, "For tcp: the API's certificate; read again when it changes")
      ->type_name("FILE");
  app.add_option("--tls-key", o.listen.tls.key, "For tcp: the certificate's private key, likewise")->type_name("FILE");
  app.add_option("--tls-client-ca", o.listen.tls.ca, "For tcp: who signs clients' certificates, likewise")
      ->type_name("FILE");
  app.add_option(
         "--operators", o.listen.roles.operators,
         "Clients with this organization (O) in their certificate may do everything; may be given several times")
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("O");
  app.add_option("--viewers", o.listen.roles.viewers, "Likewise, may call what only reads")
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("O");
  app.add_option("--metrics", o.metrics,
                 "Where Prometheus finds /metrics, as 127.0.0.1:9964, of IPv4; nowhere if not given")
      ->type_name("ADDRESS:PORT");
  log::add_options(app, o.log);
}

// Blocked before any thread starts, so that only the descriptor sees them.
Fd take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
}

// Says why and gives the exit code.
int failed(const absl::Status& s) {
  log::last_words(log::trouble_of(s));
  return absl::IsInvalidArgument(s) ? 2 : 1;
}

void limit_log(EventLoop& loop) {
  log::limit();
  loop.call_after(kLogPeriod, [&loop] { limit_log(loop); });
}

int run(const Options& options) {
  ::mallopt(M_ARENA_MAX, 4);  // an arena for each of gRPC's threads would keep what each once needed
  const Fd signals = take_signals();
  EventLoop loop;
  const GrpcLog grpc_log(loop);
  Daemon daemon(loop, options.daemon);
  loop.watch(signals.get(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo info{};
    if (::read(signals.get(), &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo != SIGHUP) return loop.stop();
    spdlog::info("SIGHUP: reading all manifests again");
    daemon.rescan();
  });
  // The API first: a second daemon must find out before it touches the state directory or the engine.
  auto api = ApiServer::start(options.listen, daemon);
  if (!api.ok()) return failed(api.status());
  std::unique_ptr<MetricsExporter> metrics;
  if (!options.metrics.empty()) {
    auto started = MetricsExporter::start(options.metrics, daemon);
    if (!started.ok()) return failed(started.status());
    metrics = std::move(*started);
  }
  if (const absl::Status s = daemon.start(); !s.ok()) return failed(s);
  limit_log(loop);
  loop.run();
  daemon.give_up();
  spdlog::info("stopped; the engine goes on with the last state");
  return 0;
}

}  // namespace
}  // namespace guideway::mgmt

int main(int argc, char** argv) {
  guideway::mgmt::Options options;
  CLI::App app{"Guideway's management daemon: keeps guideway-engine at the state that the manifests describe.",
               "guidewayd"};
  guideway::mgmt::declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  guideway::log::start("guidewayd", options.log);
  return guideway::mgmt::run(options);
}
