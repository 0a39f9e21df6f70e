#include "dataplane/control/engine.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <future>
#include <thread>

#include "dataplane/control/confine.h"
#include "dataplane/control/connection_list.h"
#include "dataplane/control/eal.h"
#include "dataplane/control/ethdev_port.h"
#include "dataplane/path/clock.h"
#include "log/log.h"
#include "log/trouble.h"
#include "xdp/pins.h"

namespace guideway::control {

namespace {

constexpr size_t kSpareFrames = 8'192;  // for workers' bursts, rings and caches
constexpr uint32_t kSweepStep = 8'192;  // buckets: some hundred microseconds
constexpr auto kLockedFor = std::chrono::seconds(2);
constexpr auto kLockPause = std::chrono::milliseconds(1);
constexpr auto kSaveInterval = std::chrono::milliseconds(200);
constexpr const char* kDamagedRemedy = "the connections in it are begun anew; nothing is to be done";
constexpr size_t kSavedParts = 16;  // of the denied sources at a time: less than a millisecond each

absl::StatusOr<xdp::Fd> locked(const std::string& path, int flags) {
  xdp::Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0640));
  if (!fd) return log::system_failure(errno, "cannot open " + path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return log::failure(absl::StatusCode::kAlreadyExists,
                        absl::StrCat("another guideway-engine runs here (it holds ", path, ")"),
                        "stop it, or give this one a --state-dir, --socket, --bpffs and --table-dir of its own");
  return fd;
}

engine::LogLevel log_level(engine::LogLevel wanted) {
  if (wanted != engine::LOG_LEVEL_UNSPECIFIED) log::set_level(static_cast<log::Level>(wanted));
  return static_cast<engine::LogLevel>(log::level());
}

// At least two ticks of the clock that it is told by: one is no sign of anything.
std::chrono::nanoseconds heartbeat(const EngineOptions& options) {
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const std::chrono::nanoseconds least(2 * tick.tv_nsec);
  return options.heartbeat.count() == 0 ? std::chrono::nanoseconds(0)
                                        : std::max<std::chrono::nanoseconds>(options.heartbeat, least);
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::start(const EngineOptions& options) {
  // Before there is another thread: one that didn't inherit this would take the signal, and the process die of it
  // with its XDP programs left behind. run() reads what came meanwhile.
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::unique_ptr<Engine> e(new Engine(options));
  if (const absl::Status s = e->bring_up(); !s.ok()) {
    for (const auto& port : e->af_xdp_)
      if (!port->program().adopted()) port->detach().IgnoreError();
    // Made by lock_pins; fails, as it should, where there are pins. Its lock is ours, so nobody else is in it.
    if (e->locks_.size() > 1) rmdir(options.bpffs.c_str());
    return s;
  }
  return e;
}

absl::Status Engine::bring_up() {
  if (options_.upgrade) {
    auto predecessor = Predecessor::find(options_.socket);
    if (!predecessor.ok()) return predecessor.status();
    predecessor_ = *std::move(predecessor);
    if (const absl::Status s = predecessor_ ? check_places() : absl::OkStatus(); !s.ok()) return s;
  }
  // What is the predecessor's until it stands down comes as late as can be; the tables, when it won't be needed again.
  using Steps = std::vector<absl::Status (Engine::*)()>;
  for (const auto step : predecessor_
                             ? Steps{&Engine::attach_programs, &Engine::drop_privileges, &Engine::open_memory,
                                     &Engine::relieve, &Engine::open_ports, &Engine::succeed, &Engine::open_tables}
                             : Steps{&Engine::lock, &Engine::attach_programs, &Engine::drop_privileges,
                                     &Engine::open_memory, &Engine::open_ports, &Engine::open_tables})
    if (const absl::Status s = (this->*step)(); !s.ok()) return s;
  load_state();
  carry_over();
  trace_site_ = {.workers = workers_.get(),
                 .publisher = publisher_.get(),
                 .tally = tally_.get(),
                 .ports = ports_,
                 .pool = memory_->pool(),
                 .steering = [this](const Arrival& arrival) { return steering(arrival); }};
  if (const absl::Status s = listen(); !s.ok()) return s;
  if (const absl::Status s = launch(); !s.ok()) return s;
  if (const absl::Status s = take_over(); !s.ok() || !options_.seccomp) return s;
  return allow_only_our_calls();
}

// We go on with what the predecessor has there, and it holds the locks: what can be locked isn't its.
absl::Status Engine::check_places() const {
  const auto other = [](const char* option) {
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat("the engine that runs here has another ", option),
                        "give that one, or restart guideway-engine instead of upgrading");
  };
  const auto is_free = [](const std::string& path) { return !absl::IsAlreadyExists(locked(path, O_RDONLY).status()); };
  if (is_free(options_.state_dir + "/lock")) return other("--state-dir");
  const bool pins = std::ranges::any_of(options_.ports, [](const auto& p) { return p.kind == PortSpec::Kind::kAfXdp; });
  if (pins && is_free(options_.bpffs)) return other("--bpffs");
  // One that isn't fit for it, the predecessor doesn't have either.
  return TableDirectory::open(options_.table_dir).ok() ? other("--table-dir") : absl::OkStatus();
}

absl::Status Engine::listen() {
  auto server = ContractServer::listen(
      options_.socket, *state_,
      {.hello = [this] { return hello(); },
       .status = [this] { return status(); },
       .counters = [this](CountersCursor& at) { return counters_part(*publisher_, *tally_, at); },
       .connections =
           [this](const engine::ConnectionsRequest& r) { return connections_part(*publisher_, workers_->all(), r); },
       .log_level = log_level,
       .trace = [this](const engine::TraceRequest& r) { return Tracing::begin(trace_site_, r); },
       .log = [](const log::Trouble& t) { log::warn(t); }});
  if (!server.ok()) return server.status();
  server_ = std::move(*server);
  return absl::OkStatus();
}

Engine::~Engine() {
  stop_workers();
  for (const EnginePort& p : ports_) close_ethdev_port(p);
}

absl::Status Engine::lock() {
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error)
    return log::system_failure(error.value(), "cannot make the state directory " + options_.state_dir,
                               "give another --state-dir");
  std::filesystem::create_directories(std::filesystem::path(options_.socket).parent_path(), error);
  auto fd = locked(options_.state_dir + "/lock", O_RDWR | O_CREAT);
  if (!fd.ok()) return fd.status();
  locks_.push_back(std::move(*fd));
  auto directory = TableDirectory::open(options_.table_dir);
  if (directory.ok())
    directory_ = *std::move(directory);
  else if (absl::IsAlreadyExists(directory.status()))
    return directory.status();
  else
    warn({"tables", absl::StrCat("connections won't outlive this engine: ", log::trouble_of(directory.status()).text),
          "give a --table-dir that is root's alone, on a tmpfs, as /run is on most hosts; then restart "
          "guideway-engine"});
  return absl::OkStatus();
}

// The pins are locked as well, before they are touched: another engine might have another state directory.
absl::Status Engine::lock_pins() {
  std::error_code error;
  std::filesystem::create_directory(options_.bpffs, error);
  if (locks_.size() > 1 || !std::filesystem::is_directory(options_.bpffs, error)) return absl::OkStatus();
  auto fd = locked(options_.bpffs, O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) return fd.status();
  locks_.push_back(std::move(*fd));
  return absl::OkStatus();
}

std::vector<int> Engine::locked_files() const {
  std::vector<int> files;
  for (const xdp::Fd& fd : locks_) files.push_back(fd.get());
  if (directory_ != nullptr) files.push_back(directory_->lock());
  return files;
}

void Engine::unlock() {
  for (const int fd : locked_files()) flock(fd, LOCK_UN);
}

// Who had it meanwhile ends, which may take a moment.
absl::Status Engine::lock_again() {
  const auto deadline = Clock::now() + kLockedFor;
  for (const int fd : locked_files())
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (Clock::now() > deadline)
        return log::failure(absl::StatusCode::kAlreadyExists,
                            "another engine has what we had locked, and hasn't taken over",
                            "stop it, then start guideway-engine");
      std::this_thread::sleep_for(kLockPause);
    }
  return absl::OkStatus();
}

// All are loaded at the same time: the verifier takes most of an engine's start, and nat waits for it.
absl::Status Engine::attach_programs() {
  std::vector<AfXdpPortOptions> wanted;
  for (size_t i = 0; i < options_.ports.size(); ++i)
    if (const PortSpec& spec = options_.ports[i]; spec.kind == PortSpec::Kind::kAfXdp)
      wanted.push_back(
          {.ifname = spec.name, .queues = spec.queues, .bpffs = options_.bpffs, .mbuf_port = static_cast<uint16_t>(i)});
  if (wanted.empty()) return absl::OkStatus();
  if (!predecessor_)
    if (const absl::Status s = lock_pins(); !s.ok()) return s;
  auto tables = xdp::KernelTables::create();
  if (!tables.ok()) return tables.status();
  kernel_tables_ = *std::move(tables);

  std::vector<std::future<absl::StatusOr<std::unique_ptr<AfXdpPort>>>> loading;
  for (const AfXdpPortOptions& port : wanted)
    loading.push_back(std::async(std::launch::async, [&] { return AfXdpPort::load(port, *kernel_tables_); }));
  for (auto& loaded : loading) {
    auto port = loaded.get();
    if (!port.ok()) return port.status();
    if (const absl::Status s = (*port)->attach(); !s.ok()) return s;
    af_xdp_.push_back(*std::move(port));
  }
  look_for_others();
  return absl::OkStatus();
}

// What an earlier engine with other ports left goes on for ever by the state that it had.
void Engine::look_for_others() {
  std::error_code error;
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(options_.bpffs, error)) all.push_back(entry.path());
  for (const std::filesystem::path& pins : all) {
    const std::string name = pins.filename();
    const bool ours = std::ranges::any_of(
        af_xdp_, [&](const auto& p) { return xdp::pins_of(options_.bpffs, p->interface().name) == pins; });
    if (ours) continue;
    if (xdp::is_of_gone_interface(pins)) {
      xdp::remove_pins(options_.bpffs, name);
      spdlog::info("XDP: took away what an earlier engine left of {}, an interface that is gone", name);
      continue;
    }
    warn({"XDP",
          absl::StrCat("an earlier engine's program still steers and balances on an interface that is no port: ", name),
          absl::StrCat("make it a port again, or take the program away: rm -r ", pins.string())});
  }
}

// Before DPDK makes threads: each has capabilities of its own, and begins with those of its maker.
absl::Status Engine::drop_privileges() {
  ContractServer::join_group();
  if (const absl::Status s = drop_capabilities(); !s.ok()) return s;
  if (access(options_.state_dir.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return log::failure(absl::StatusCode::kPermissionDenied,
                      absl::StrCat("the state directory ", options_.state_dir,
                                   " can't be written without CAP_DAC_OVERRIDE, which the engine doesn't keep"),
                      absl::StrCat("`chown root ", options_.state_dir, "`, or give another --state-dir"));
}

absl::Status Engine::open_memory() {
  constexpr unsigned kHeapMb = 128;
  // DPDK's heap (the exception table, rings) at least must fit, or it won't start.
  huge_ = options_.huge && free_hugepages() >= kHeapMb / 2;
  if (!huge_)
    options_.huge
        ? warn({"memory",
                absl::StrCat("too few free 2 MB pages (", free_hugepages(), "): plain memory is used, which is slower"),
                more_hugepages() + ", then restart guideway-engine"})
        : warn({"memory", "--no-huge: plain memory is used, which is slower",
                "restart guideway-engine without --no-huge"});
  if (const absl::Status s = init_eal(
          {.huge = huge_, .memory_mb = kHeapMb, .worker_cores = options_.cores, .shared_cores = options_.yield});
      !s.ok())
    return s;
  // Frames for every queue; what isn't used is never touched.
  size_t queues = 0;
  for (const auto& port : af_xdp_) queues += port->interface().receive_queues;
  auto memory = PacketMemory::create("packets", queues * kFramesPerQueue + kSpareFrames, 256, huge_);
  if (!memory.ok()) return memory.status();
  memory_.emplace(std::move(*memory));
  if (huge_ && !memory_->huge())
    warn({"memory", "too few free 2 MB pages for the packets: plain memory is used, which is slower",
          more_hugepages() + ", then restart guideway-engine"});
  return absl::OkStatus();
}

// From here on the predecessor rests.
absl::Status Engine::relieve() {
  if (const absl::Status s = predecessor_->relieve(); !s.ok()) return s;
  if (const absl::Status s = lock(); !s.ok()) return s;
  return af_xdp_.empty() ? absl::OkStatus() : lock_pins();
}

// What may well fail has gone well.
absl::Status Engine::succeed() {
  predecessor_->taken_over();
  predecessor_.reset();
  return absl::OkStatus();
}

absl::Status Engine::open_ports() {
  auto attached = af_xdp_.begin();
  for (size_t i = 0; i < options_.ports.size(); ++i) {
    const PortSpec& spec = options_.ports[i];
    const auto index = static_cast<uint8_t>(i);
    const absl::Status s =
        spec.kind == PortSpec::Kind::kAfXdp ? open_af_xdp(**attached++, index) : open_dpdk(spec, index);
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Engine::open_af_xdp(AfXdpPort& port, uint8_t index) {
  if (const absl::Status s = port.open_queues(memory_->frames()); !s.ok()) return s;
  EnginePort e;
  const Interface& i = port.interface();
  e.facts = {.index = index, .ifindex = i.ifindex, .mac = i.mac, .mtu = static_cast<uint16_t>(i.mtu), .declared = {}};
  e.name = i.name;
  e.kind = "af_xdp";
  e.mode = xdp::to_string(port.program().mode());
  for (const path::AfXdpQueue& q : port.queues()) e.queues.push_back(std::make_unique<path::PortQueue>(q));
  for (const auto& [text, remedy] : port.warnings()) warn({"port " + i.name, text, remedy});
  spdlog::info("port {}: {} mode, {} queue(s), MTU {}", e.name, e.mode, e.queues.size(), i.mtu);
  ports_.push_back(std::move(e));
  return absl::OkStatus();
}

absl::Status Engine::open_dpdk(const PortSpec& spec, uint8_t index) {
  auto port =
      open_ethdev_port(spec.name, spec.next_hop, index, static_cast<unsigned>(options_.cores.size()), memory_->pool());
  if (!port.ok()) return port.status();
  spdlog::info("port {}: {} queue(s), MTU {}", port->name, port->queues.size(), port->facts.mtu);
  ports_.push_back(std::move(*port));
  return absl::OkStatus();
}

absl::Status Engine::open_tables() {
  auto routes = KernelRoutes::open({});
  if (!routes.ok()) return routes.status();
  routes_ = std::move(*routes);
  const auto workers = static_cast<unsigned>(options_.cores.size());
  auto tally = Tally::create(workers);
  if (!tally.ok()) return tally.status();
  tally_ = std::move(*tally);
  reclaimer_ = std::make_unique<Reclaimer>(workers);
  std::vector<PortFacts> facts;
  for (const EnginePort& p : ports_) facts.push_back(p.facts);
  const auto keep = [this](const NeighborKey& key, bool wanted) {
    if (!wanted) return routes_->release(key.ifindex, key.address);
    if (const absl::Status s = routes_->keep_resolved(key.ifindex, key.address); !s.ok())
      log::warn(
          {absl::StrCat("neighbour ", net::to_string(key.address)),
           log::trouble_of(s).text + ": what goes there is dropped as no_neighbor while the kernel doesn't know it",
           log::trouble_of(s).remedy});
  };
  wanted_neighbors_ = std::make_unique<WantedNeighbors>(routes_->rib(), keep);
  denied_.emplace(kernel_tables_.get());
  if (kernel_tables_ != nullptr) kernel_mirror_.emplace(*kernel_tables_, facts, heartbeat(options_));
  auto publisher = Publisher::create({.workers = workers,
                                      .limits = {},
                                      .rib = &routes_->rib(),
                                      .tally = tally_.get(),
                                      .ports = facts,
                                      .keep = keep,
                                      .mirror = kernel_mirror_ ? &*kernel_mirror_ : nullptr,
                                      .directory = directory_.get()},
                                     *reclaimer_);
  if (!publisher.ok()) return publisher.status();
  publisher_ = std::move(*publisher);
  auto forwarding = Forwarding::create(routes_->rib(), *publisher_, *reclaimer_, Limits().fib);
  if (!forwarding.ok()) return forwarding.status();
  forwarding_ = std::move(*forwarding);
  if (const absl::Status s = forwarding_->update(Changes{.all = true}); !s.ok())
    log::error(log::trouble_of(s, "routes"));
  routes_->take_changes();
  if (const absl::Status s = open_workers(); !s.ok()) return s;
  std::vector<Announcer::Way> ways;
  for (const PortFacts& f : facts) ways.push_back({f, workers_->inject(f.index)});
  announcer_ = std::make_unique<Announcer>(std::move(ways), memory_->pool());
  std::vector<int> interfaces;
  for (const PortFacts& f : facts)
    if (f.ifindex > 0) interfaces.push_back(f.ifindex);
  solicited_nodes_ = std::make_unique<SolicitedNodes>(std::move(interfaces));
  begun_ = std::make_unique<Begun>(*publisher_, [this](const xdp::VisitBegun& visit) { tell_begun(visit); });
  comeback_ = std::make_unique<Comeback>(*begun_, *workers_);
  sweep_ = std::make_unique<Sweep>(*publisher_, *reclaimer_, workers_->all(), *begun_);
  return absl::OkStatus();
}

absl::Status Engine::open_workers() {
  auto made = Workers::create({.count = static_cast<unsigned>(options_.cores.size()),
                               .connections = options_.connections,
                               .huge = huge_,
                               .yield = options_.yield,
                               .heartbeat = heartbeat(options_),
                               .recent = publisher_->recent(),
                               .tally = tally_.get(),
                               .directory = directory_.get()},
                              ports_, publisher_->tables(), *reclaimer_);
  if (!made.ok()) return made.status();
  workers_ = std::move(*made);
  if (!workers_->complaint().empty())
    warn({"memory", absl::StrCat("connection tables aren't where they should be: ", workers_->complaint()),
          more_hugepages() + ", or lower --connections, then restart guideway-engine"});
  else if (huge_ && !workers_->huge())
    warn({"memory", "the connection tables are on plain memory, which is slower",
          directory_ == nullptr || directory_->has_huge()
              ? more_hugepages() + ", or lower --connections, then restart guideway-engine"
              : absl::StrCat("mkdir -p ", directory_->huge_path(), "; mount -t hugetlbfs -o pagesize=2M none ",
                             directory_->huge_path(), "; then restart guideway-engine")});
  return absl::OkStatus();
}

// What an earlier engine had in tables of other shapes, now that it is known what owns what; and what the kernel has
// begun since.
void Engine::carry_over() {
  if (directory_ != nullptr) {
    const uint32_t lost = workers_->carry_over(*publisher_->tables().load());
    if (lost > 0)
      log::warn(
          {"tables", absl::StrCat("no room for ", lost, " of an earlier engine's connections"), "raise --connections"});
    for (const std::string& text : directory_->damaged()) log::warn({"tables", text, kDamagedRemedy});
  }
  const auto now = static_cast<path::Tick>(path::seconds_since_boot());
  comeback_->tell_all(now);
  if (workers_->recovered() == 0 && begun_->size() == 0) return;
  spdlog::info("took up {} entries of connections, and {} that the kernel has begun", workers_->recovered(),
               begun_->size());
  // Which of them are off their slot is known before anybody forwards by these tables.
  sweep_->wish();
  while (sweep_->step(kSweepStep)) {
  }
  comeback_->tell_all(now);
}

void Engine::tell_begun(const xdp::VisitBegun& visit) {
  for (const auto& port : af_xdp_)
    if (const absl::Status read = port->program().take_begun(visit); !read.ok())
      log::warn({"XDP", log::trouble_of(read).text, "connections that the kernel has begun go by Maglev"});
}

void Engine::load_state() {
  state_ = std::make_unique<ContractState>(options_.state_dir, [this](Batch b) { return apply(std::move(b)); });
  const absl::Status s = state_->load();
  while (denied_->step()) {  // all of them, before anybody goes by these tables
  }
  if (s.ok())
    spdlog::info("took up the saved state: {} services, {} denied prefixes", publisher_->services().size(),
                 denied_->prefixes());
  else if (absl::IsNotFound(s))
    spdlog::info("no saved state; waiting for guidewayd on {}", options_.socket);
  else
    warn({"state", log::trouble_of(s).text,
          "see that guidewayd runs and is connected; then restart guideway-engine, and the file aside isn't needed"});
}

// Where an earlier engine's programs balance, they do until there is a state to go on by. A port that can't doesn't
// keep the others from it.
absl::Status Engine::take_over() {
  absl::Status first;
  if (!state_->generation()) return first;
  for (const auto& port : af_xdp_) first.Update(port->program().take_over());
  return first;
}

absl::Status Engine::launch() {
  stop_ = false;
  launched_ = true;
  for (unsigned i = 0; i < workers_->count(); ++i) {
    const auto body = [](void* argument) {
      auto* self = static_cast<Engine*>(argument);
      (*self->workers_)[rte_lcore_id() - 1].run(self->stop_);
      return 0;
    };
    if (rte_eal_remote_launch(body, this, i + 1) != 0)
      return log::failure(
          absl::StatusCode::kInternal,
          absl::StrCat("worker ", i, " doesn't start: DPDK's thread on core ", options_.cores[i], " isn't free"),
          "name other --cores; if it goes on, report it with this log");
  }
  return absl::OkStatus();
}

std::optional<Refusal> Engine::apply(Batch batch) {
  const auto start = Clock::now();
  const uint64_t builds = publisher_->maglev().builds();
  const size_t services = batch.services.size();
  const bool full = batch.full;
  std::vector<DeniedPart> denied = std::move(batch.denied);
  if (auto refusal = denied_->check(full, denied)) return refusal;
  const bool others = full || batch.gateway || !batch.services.empty() || !batch.removals.empty();
  std::optional<Refusal> refusal;
  if (others) {
    begun_->hold(batch);
    refusal = publisher_->apply(std::move(batch));
  }
  if (!refusal) denied_->take(full, std::move(denied));
  spdlog::debug("commit: {} service(s), {} table(s) built, {:.2f} ms", services, publisher_->maglev().builds() - builds,
                std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  return refusal;
}

void Engine::follow_routes() {
  if (const absl::Status s = routes_->read(); !s.ok()) log::error(log::trouble_of(s, "routes"));
  go_by_routes();
}

void Engine::go_by_routes() {
  const Changes changes = routes_->take_changes();
  if (changes.none()) return;
  publisher_->routes_changed(changes);
  if (const absl::Status s = forwarding_->update(changes); !s.ok()) log::error(log::trouble_of(s, "routes"));
}

void Engine::ask_for_neighbors(Clock::time_point now) {
  for (unsigned i = 0; i < workers_->count(); ++i)
    for (unsigned n = 0; n < path::Glean::kSize; ++n) {
      const auto address = (*workers_)[i].glean().take();
      if (!address) break;
      wanted_neighbors_->want(*address, now);
    }
}

bool Engine::is_up(const EnginePort& port) const {
  const Link* link = routes_->rib().link(port.facts.ifindex);
  return port.facts.declared || (link != nullptr && link->up && link->lower_up);
}

void Engine::announce(Clock::time_point now) {
  if (std::exchange(announced_version_, publisher_->announced_version()) != publisher_->announced_version()) {
    announcer_->follow(publisher_->announced(), now);
    solicited_nodes_->follow(publisher_->announced());
    if (!solicited_nodes_->trouble().empty())
      log::warn({"announcing", solicited_nodes_->trouble(), SolicitedNodes::kRemedy});
  }
  unsigned up = 0;  // a bit for each port
  for (const EnginePort& p : ports_)
    if (is_up(p)) up |= 1U << p.facts.index;
  if ((up & ~std::exchange(announced_ports_, up)) != 0) announcer_->repeat(now);
  announcer_->step(now);
}

void Engine::keep_house(Clock::time_point now) {
  reclaimer_->collect();
  if (const absl::Status s = take_over(); s != std::exchange(taking_over_, s) && !s.ok())
    log::error({"XDP", log::trouble_of(s).text, kTakeOverRemedy});
  ask_for_neighbors(now);
  announce(now);
  if (state_->unsaved() && now >= next_save_) {
    if (const absl::Status s = state_->save(kSavedParts); !s.ok()) log::error(log::trouble_of(s, "state"));
    next_save_ = now + kSaveInterval;
  }
  if (now < next_tick_) return;
  next_tick_ = now + std::chrono::seconds(1);
  if (directory_ != nullptr) directory_->stamp();
  tell_port_troubles();
  log::limit();
  denied_->try_again();
  if (const absl::Status s = routes_->tick(); !s.ok()) log::warn(log::trouble_of(s, "routes"));
  go_by_routes();
  wanted_neighbors_->age(now);
  if (!solicited_nodes_->trouble().empty()) solicited_nodes_->follow(publisher_->announced());
  const bool recent = publisher_->recent() != nullptr && publisher_->recent()->take_any();
  if (recent || publisher_->exceptions().size() > 0 || !publisher_->retired().reals.empty()) sweep_->wish();
}

void Engine::stop_workers() {
  stop_ = true;
  if (std::exchange(launched_, false)) rte_eal_mp_wait_lcore();
}

// True: the successor has taken our place. Else we are there again.
absl::StatusOr<bool> Engine::give_way(Successor successor, int signals) {
  if (std::ranges::any_of(options_.ports, [](const PortSpec& p) { return p.kind != PortSpec::Kind::kAfXdp; })) {
    successor.refuse(
        "the engine that runs here has ports of DPDK, which it can't hand over: restart guideway-engine instead");
    return false;
  }
  spdlog::info("making way for another engine");
  stand_down();
  if (successor.takes_over(signals)) {
    successor.make_main_process();
    spdlog::info("the other engine has taken over");
    return true;
  }
  if (const absl::Status s = come_back(); !s.ok()) return s;
  log::error({"upgrade", "the other engine hasn't taken over, and its log says why", "this one goes on"});
  return false;
}

void Engine::stand_down() {
  server_.reset();
  if (state_->unsaved()) state_->save().IgnoreError();
  stop_workers();
  for (const auto& port : af_xdp_) port->close_queues();
  if (directory_ != nullptr) directory_->stamp();
  unlock();
}

absl::Status Engine::come_back() {
  if (const absl::Status s = lock_again(); !s.ok()) return s;
  for (const auto& port : af_xdp_)
    if (const absl::Status s = port->reopen_queues(); !s.ok()) return s;
  if (const absl::Status s = listen(); !s.ok()) return s;
  return launch();
}

absl::Status Engine::run() {
  const sigset_t signals = ending_signals();
  const xdp::Fd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  spdlog::info("running: {} worker(s), {} port(s)", workers_->count(), ports_.size());
  bool sweeps = false;
  bool denies = false;
  bool awaits = false;  // workers, or a trace
  while (true) {
    std::vector<pollfd> fds{{signal_fd.get(), POLLIN, 0}, {routes_->fd(), POLLIN, 0}};
    server_->add_to(fds);
    // A sweep and denied sources go on between other work; else the next save, tick or reclamation is at most this far.
    const int patience = sweeps || denies ? 0 : awaits ? 1 : 50;
    if (poll(fds.data(), fds.size(), patience) < 0 && errno != EINTR)
      return log::system_failure(errno, "can't wait for events (poll)");
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) follow_routes();
    server_->handle(fds);
    if (auto successor = server_->take_successor()) {
      const auto gone = give_way(Successor(*std::move(successor)), signal_fd.get());
      if (!gone.ok()) return gone.status();
      if (*gone) return absl::OkStatus();
    }
    sweeps = sweep_->step(kSweepStep);
    denies = denied_->step();
    awaits = comeback_->step();
    awaits |= server_->is_tracing();
    keep_house(Clock::now());
  }
  spdlog::info("stopping; the kernel goes on with DSR: `guideway-engine detach --bpffs {} --table-dir {}` ends that",
               options_.bpffs, options_.table_dir);
  if (state_->unsaved()) state_->save().IgnoreError();
  stop_workers();
  if (directory_ != nullptr) directory_->stamp();
  return absl::OkStatus();
}

absl::Status Engine::detach(const EngineOptions& options) {
  std::error_code error;
  // Not without it: connections that the kernel still serves by a program elsewhere would be forgotten.
  if (!std::filesystem::is_directory(options.bpffs, error))
    return log::failure(absl::StatusCode::kNotFound, absl::StrCat("there are no pins at ", options.bpffs),
                        absl::StrCat("give the --bpffs that the engine had: the package's is /run/guideway/bpf. One "
                                     "without ports af_xdp left only ",
                                     options.table_dir, ": remove that"));
  const auto lock = locked(options.bpffs, O_RDONLY | O_DIRECTORY);
  if (!lock.ok()) return lock.status();
  const auto programs = xdp::Program::detach_all(options.bpffs);
  if (!programs.ok()) return programs.status();
  if (absl::Status s = remove_tables(options.table_dir); !s.ok()) return s;
  spdlog::info("took away {} XDP program(s) pinned at {}, and the connections in {}", *programs, options.bpffs,
               options.table_dir);
  return absl::OkStatus();
}

}  // namespace guideway::control
