// An engine for tests: speaks the contract on a Unix socket of its own, on a thread of its own, keeps what it is told,
// and can refuse, stall, hang up or talk nonsense.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/engine.pb.h"
#include "mgmt/event_loop.h"

namespace guideway::mgmt {

class FakeEngine {
 public:
  struct Batch {
    bool full = false;
    engine::Generation generation;
    std::optional<engine::Gateway> gateway;
    std::vector<engine::Service> services;
    std::vector<std::string> removals;
    std::vector<engine::DeniedSources> denied;
    EventLoop::Clock::time_point arrived;
  };
  struct State {
    std::map<std::string, engine::Service> services;
    std::optional<engine::Gateway> gateway;
    std::map<uint32_t, engine::DeniedSources> denied;  // without empty ones
    std::vector<Batch> batches;                        // all that came, also refused ones
    uint32_t refused = 0;
    uint32_t connections = 0;  // that attached for STATE
    uint32_t status_requests = 0;
    uint32_t counters_requests = 0;
    std::vector<engine::ConnectionsRequest> connections_requests;
    engine::LogLevel log_level = engine::LOG_LEVEL_INFO;
    std::vector<engine::TraceRequest> trace_requests;
    engine::Generation generation;
  };
  using Refuse = std::function<std::optional<engine::Refused>(const Batch&)>;

  explicit FakeEngine(std::string path, engine::Hello hello = good_hello());
  ~FakeEngine();

  static engine::Hello good_hello();
  // A Refuse that names every service of that name.
  static Refuse refuse_service(std::string name);
  // To who comes from now on.
  void set_hello(engine::Hello hello);
  void set_refuse(Refuse refuse);
  // Bytes to send instead of the next Applied.
  void set_garbage(std::string bytes);
  // While set, nothing is read.
  void set_stalled(bool stalled);
  // Closes what is connected now; new connections are taken.
  void hang_up();

  State state() const;
  // Waits for it, at most ten seconds; false then.
  bool wait(const std::function<bool(const State&)>& until) const;
  const std::string& path() const { return path_; }

 private:
  struct Peer {
    Fd fd;
    std::string in;
    std::optional<Batch> batch;
  };
  void run();
  bool serve(Peer& peer);
  bool take(Peer& peer, const engine::Envelope& message);
  void send_counters(Peer& peer);
  void send_connections(Peer& peer, const engine::ConnectionsRequest& request);
  void send_trace(Peer& peer, const engine::TraceRequest& request);
  void commit(Peer& peer, const engine::Generation& generation);
  void send(Peer& peer, const engine::Envelope& message);

  std::string path_;
  Fd listener_;
  Fd wake_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable changed_;
  State state_;
  engine::Hello hello_;
  Refuse refuse_;
  std::string garbage_;
  bool stalled_ = false;
  bool hang_up_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace guideway::mgmt
