// Whatever a peer sends, or the saved state's file holds: frames, messages, decoded entries, batches. What begins with
// an Attach is sent to a server too, as observers send it, one message after the other's answer. Behind that are empty
// tables of an engine that has no ports.
#include <poll.h>
#include <rte_eal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "dataplane/control/connection_list.h"
#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/server.h"
#include "dataplane/control/contract/state.h"
#include "dataplane/control/synthetic_packet.h"
#include "dataplane/control/workers.h"
#include "net/headers.h"

namespace guideway::control {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

ContractState empty_state() {
  return {"/nonexistent", [](const Batch& batch) -> std::optional<Refusal> {
            for (const ServiceSpec& s : batch.services) require(!s.name.empty() && lb::is_table_size(s.table_size));
            return std::nullopt;
          }};
}

void start_eal() {
  char name[] = "fuzz", huge[] = "--no-huge", config[] = "--no-shconf", memory[] = "-m", size[] = "64",
       pci[] = "--no-pci", cores[] = "-l", one[] = "0", level[] = "--log-level", errors[] = "*:error",
       telemetry[] = "--no-telemetry";
  char* arguments[] = {name, huge, config, memory, size, pci, cores, one, level, errors, telemetry};
  require(rte_eal_init(static_cast<int>(std::size(arguments)), arguments) >= 0);
}

class Engine {
 public:
  static Engine& get() {
    static Engine engine;
    return engine;
  }

  // One connection of a peer that sends these frames.
  void serve(const std::string& stream) {
    state_ = empty_state();
    const xdp::Fd peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_un address = *ContractServer::address_of(path_);
    require(::connect(peer.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    answer(peer);
    for (size_t at = 0, end = 0; at < stream.size(); at = end) {
      const auto message = take_frame(stream, &end);
      if (!message.ok() || !*message) end = stream.size();
      // A server that has closed is no error, nor is a buffer that is full: what is sent is cut off there.
      if (::send(peer.get(), stream.data() + at, end - at, MSG_NOSIGNAL) != static_cast<ssize_t>(end - at)) break;
      answer(peer);
    }
    ::shutdown(peer.get(), SHUT_WR);
    answer(peer);
    std::vector<pollfd> fds;
    server_->add_to(fds);
    require(fds.size() == 1);  // nobody is connected
  }

 private:
  template <typename T>
  static T must(absl::StatusOr<T> made) {
    require(made.ok());
    return std::move(*made);
  }

  Engine() {
    start_eal();
    tally_ = must(Tally::create(1));
    publisher_ = must(Publisher::create({.workers = 1,
                                         .limits = {},
                                         .rib = &rib_,
                                         .tally = tally_.get(),
                                         .ports = {},
                                         .keep = [](const auto&, bool) {}},
                                        reclaimer_));
    workers_ = must(Workers::create({.connections = 1 << 10, .huge = false, .tally = tally_.get()}, {},
                                    publisher_->tables(), reclaimer_));
    server_ = must(
        ContractServer::listen(path_, state_,
                               {.hello = [] { return engine::Hello(); },
                                .status = [] { return engine::Status(); },
                                .counters = [](CountersCursor&) { return last_counters(); },
                                .connections = [this](const engine::ConnectionsRequest& r) { return connections(r); },
                                .log_level = [](engine::LogLevel level) { return known(level); },
                                .trace = [this](const engine::TraceRequest& r) { return trace(r); },
                                .log = [](const log::Trouble& t) { require(!t.text.empty() && !t.remedy.empty()); }}));
  }

  static engine::Counters last_counters() {
    engine::Counters c;
    c.set_last(true);
    return c;
  }

  static engine::LogLevel known(engine::LogLevel level) {
    require(engine::LogLevel_IsValid(level));
    return level;
  }

  absl::StatusOr<engine::Connections> connections(const engine::ConnectionsRequest& r) const {
    auto part = connections_part(*publisher_, workers_->all(), r);
    require(part.ok() ? part->matched() == 0 && !part->has_next() : absl::IsInvalidArgument(part.status()));
    return part;
  }

  std::unique_ptr<Tracing> trace(const engine::TraceRequest& r) const {
    constexpr uint32_t kMtu = 1'500;
    const auto frame = synthetic_packet(r, {}, kMtu);
    require(frame.ok()
                ? frame->size() > sizeof(net::EthernetHeader) && frame->size() <= sizeof(net::EthernetHeader) + kMtu
                : absl::IsInvalidArgument(frame.status()));
    return Tracing::begin(site_, r);  // refused: the port has no queue
  }

  // Until nothing more comes of what the peer has sent.
  void answer(const xdp::Fd& peer) {
    for (;;) {
      std::vector<pollfd> fds;
      server_->add_to(fds);
      if (::poll(fds.data(), fds.size(), 0) == 0 && !server_->is_tracing()) return;
      server_->handle(fds);
      server_->take_successor();
      char buffer[1 << 12];
      while (::recv(peer.get(), buffer, sizeof buffer, 0) > 0) continue;
    }
  }

  std::string path_ = "/tmp/guideway-framing-fuzz." + std::to_string(::getpid());
  Rib rib_;
  std::unique_ptr<Tally> tally_;
  Reclaimer reclaimer_{1};
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Workers> workers_;
  std::vector<EnginePort> ports_ = std::vector<EnginePort>(1);
  TraceSite site_{.ports = ports_};
  ContractState state_ = empty_state();
  std::unique_ptr<ContractServer> server_;
};

}  // namespace
}  // namespace guideway::control

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway::control;
  const std::string stream(reinterpret_cast<const char*>(bytes), size);
  ContractState state = empty_state();
  for (size_t at = 0;;) {
    const size_t before = at;
    const auto message = take_frame(stream, &at);
    if (!message.ok() || !*message) return 0;
    require(at > before && at <= size);
    if (before == 0 && (*message)->has_attach()) Engine::get().serve(stream);
    if (!state.take(**message).ok()) state.abandon();
  }
}
