// The engine process as a whole: ports, tables, workers and the socket, brought up in this order and taken down in
// reverse; and the loop of its control thread.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/control/af_xdp_port.h"
#include "dataplane/control/announcer.h"
#include "dataplane/control/begun.h"
#include "dataplane/control/comeback.h"
#include "dataplane/control/contract/server.h"
#include "dataplane/control/contract/state.h"
#include "dataplane/control/denied_sources.h"
#include "dataplane/control/engine_port.h"
#include "dataplane/control/forwarding.h"
#include "dataplane/control/kernel_mirror.h"
#include "dataplane/control/packet_memory.h"
#include "dataplane/control/port_spec.h"
#include "dataplane/control/publisher.h"
#include "dataplane/control/routing/kernel_routes.h"
#include "dataplane/control/solicited_nodes.h"
#include "dataplane/control/succession.h"
#include "dataplane/control/sweep.h"
#include "dataplane/control/tracing.h"
#include "dataplane/control/wanted_neighbors.h"
#include "dataplane/control/workers.h"
#include "log/trouble.h"

namespace guideway::control {

struct EngineOptions {
  std::vector<PortSpec> ports;  // at least one
  std::vector<unsigned> cores;  // one worker each
  std::string socket = "/run/guideway/engine.sock";
  std::string state_dir = "/var/lib/guideway/engine";
  std::string bpffs = "/sys/fs/bpf/guideway";
  std::string table_dir = "/run/guideway/tables";
  uint32_t connections = 1U << 20;          // of each family, a worker
  std::chrono::milliseconds heartbeat{10};  // the kernel balances for a worker that is away for longer; 0: for none
  bool huge = true;
  bool yield = false;
  bool seccomp = true;
  bool upgrade = false;  // take the place of the engine that runs here, if one does
};

class Engine {
 public:
  // Errors are one sentence with the remedy; nothing is left behind.
  static absl::StatusOr<std::unique_ptr<Engine>> start(const EngineOptions& options);
  ~Engine();

  // Until SIGTERM or SIGINT, or another engine has taken our place. The kernel then goes on with what it can balance,
  // and the next engine with the connections.
  absl::Status run();

  // Takes away what an engine that has ended left: XDP programs, their pins, and connections. AlreadyExists: it
  // hasn't.
  static absl::Status detach(const EngineOptions& options);

 private:
  using Clock = std::chrono::steady_clock;

  explicit Engine(const EngineOptions& options) : options_(options) {}
  absl::Status lock();
  absl::Status lock_pins();
  std::vector<int> locked_files() const;
  absl::Status lock_again();
  void unlock();
  absl::Status bring_up();
  absl::Status check_places() const;
  absl::Status attach_programs();
  void look_for_others();
  absl::Status drop_privileges();
  absl::Status relieve();
  absl::Status succeed();
  absl::Status open_memory();
  absl::Status open_ports();
  absl::Status open_af_xdp(AfXdpPort& port, uint8_t index);
  absl::Status open_dpdk(const PortSpec& spec, uint8_t index);
  absl::Status open_tables();
  absl::Status open_workers();
  void load_state();
  void carry_over();
  void tell_begun(const xdp::VisitBegun& visit);
  static constexpr const char* kTakeOverRemedy =
      "it is tried again, and until then the kernel or the next engine goes by an earlier one's state: restart "
      "guideway-engine if it goes on";
  absl::Status take_over();
  absl::Status listen();
  absl::Status launch();
  void stop_workers();
  absl::StatusOr<bool> give_way(Successor successor, int signals);
  void stand_down();
  absl::Status come_back();

  std::optional<Refusal> apply(Batch batch);
  void follow_routes();
  void go_by_routes();
  void ask_for_neighbors(Clock::time_point now);
  void announce(Clock::time_point now);
  bool is_up(const EnginePort& port) const;
  void keep_house(Clock::time_point now);
  xdp::Program* program_of(const EnginePort& port) const;
  absl::StatusOr<std::optional<xdp::Verdict>> steering(const Arrival& arrival) const;
  engine::Hello hello() const;
  engine::Status status();
  std::vector<log::Trouble> troubles() const;
  std::vector<log::Trouble> port_troubles() const;
  void tell_port_troubles();
  void warn(log::Trouble t);

  EngineOptions options_;
  Clock::time_point started_ = Clock::now();
  std::optional<Predecessor> predecessor_;  // goes on if we fail before succeed(): when all below is gone
  std::vector<xdp::Fd> locks_;
  std::unique_ptr<TableDirectory> directory_;  // null: what we know ends with us
  std::vector<log::Trouble> warnings_;
  bool huge_ = false;
  // In the order of life: what is below uses what is above.
  std::optional<PacketMemory> memory_;
  std::unique_ptr<xdp::KernelTables> kernel_tables_;  // if there is a port that has a program
  std::vector<std::unique_ptr<AfXdpPort>> af_xdp_;
  std::vector<EnginePort> ports_;
  std::optional<KernelMirror> kernel_mirror_;
  std::optional<DeniedSources> denied_;
  std::unique_ptr<KernelRoutes> routes_;
  std::unique_ptr<Tally> tally_;
  std::unique_ptr<Reclaimer> reclaimer_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Forwarding> forwarding_;
  std::unique_ptr<WantedNeighbors> wanted_neighbors_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<Announcer> announcer_;
  std::unique_ptr<SolicitedNodes> solicited_nodes_;
  std::unique_ptr<Begun> begun_;
  std::unique_ptr<Comeback> comeback_;
  std::unique_ptr<Sweep> sweep_;
  TraceSite trace_site_;
  std::unique_ptr<ContractState> state_;
  std::unique_ptr<ContractServer> server_;
  std::atomic<bool> stop_{false};  // the workers
  bool launched_ = false;
  absl::Status taking_over_;  // why an earlier engine's programs go on
  uint64_t announced_version_ = ~0ULL;
  unsigned announced_ports_ = 0;
  std::vector<std::string> ports_in_trouble_;  // of what was logged
  Clock::time_point next_tick_{};
  Clock::time_point next_save_{};
};

}  // namespace guideway::control
