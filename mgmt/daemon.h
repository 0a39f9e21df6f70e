// guidewayd itself: the manifests in, the engine out, and what the API shows of both. Everything here runs on its loop.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mgmt/await.h"
#include "mgmt/compile/compiler.h"
#include "mgmt/engine_link/engine_link.h"
#include "mgmt/engine_link/observe_link.h"
#include "mgmt/event_loop.h"
#include "mgmt/model/store.h"
#include "mgmt/snapshot.h"
#include "mgmt/source/api/api_source.h"
#include "mgmt/source/decode.h"
#include "mgmt/source/last_good.h"
#include "mgmt/source/manifests/directory.h"
#include "mgmt/source/manifests/document_cache.h"

namespace guideway::mgmt {

struct DaemonOptions {
  std::string manifests;
  std::string state_dir = "/var/lib/guideway/daemon";
  std::string engine_socket = "/run/guideway/engine.sock";
};

// An object as the API shows it.
struct ShownObject {
  ObjectKey key;
  std::string manifest;  // YAML
  std::string file;
  bool from_api = false;
  std::vector<Problem> problems;
};

// What became of a change at the engine.
struct Confirmation {
  std::string pending;            // why it hasn't answered yet; empty: it has
  std::vector<Problem> refusals;  // what it doesn't take of the objects that were changed
};

class Daemon {
 public:
  Daemon(EventLoop& loop, DaemonOptions options);
  ~Daemon();

  // Reads every manifest; then, and not before, goes to the engine.
  absl::Status start();
  // Reads every manifest again.
  void rescan();
  // `call` is made on the loop whenever VIPs, their backends or their states may have changed. Before start().
  void on_change(std::function<void()> call) { on_change_ = std::move(call); }

  // After the loop's end: answers those who wait for the engine.
  void give_up();

  // What follows is for threads of servers: it waits for the loop, and may fail if that has ended or doesn't get to it.

  // `question`: what the engine is asked for it; nothing: only the daemon's own state.
  absl::StatusOr<SnapshotPtr> take_snapshot(std::optional<Question> question);
  // What Snapshot::vips has, alone.
  absl::StatusOr<std::vector<Snapshot::Vip>> take_vips();
  // Services and EndpointSlices that aren't in force as they stand in their file now: a former form of them is.
  absl::StatusOr<std::set<ObjectKey>> take_former();
  absl::StatusOr<engine::Connections> list_connections(const engine::ConnectionsRequest& request);
  // InvalidArgument: the engine says that there is no such packet, and the text names the field.
  absl::StatusOr<engine::Trace> trace(const engine::TraceRequest& request);
  absl::StatusOr<ShownObject> get_object(const ObjectKey& key);
  // The GatewayConfig in force with all its values; without a name if there is none.
  absl::StatusOr<ShownObject> get_gateway();
  // Its writes are for the same threads.
  ApiSource& api() { return api_; }
  // Waits a moment for the engine to take what was changed so far, these objects among it.
  Confirmation await_applied(const std::set<ObjectKey>& changed);
  // The engine's from now on; unspecified: it stays as it is.
  absl::StatusOr<engine::LogLevel> set_engine_log_level(engine::LogLevel wanted);

 private:
  // The engine's reply to a request that one message answers; `what`: "doesn't tell its connections".
  absl::StatusOr<engine::Envelope> ask_engine(const engine::Envelope& request, const char* what);
  void watch_directory();
  void directory_changed();
  void directory_lost(const std::string& why);
  void read_all(const std::set<std::string>& names);
  void read_file(const std::string& name);
  void restore(const std::string& path);
  void changed(const std::vector<ObjectKey>& keys);
  void commit();
  const LastGoodFiles& last_good_of(const std::string& path) const;
  void keep_last_good_after(std::chrono::milliseconds wait);
  void keep_last_good(EventLoop::Clock::time_point until);
  absl::Status keep_last_good(const std::string& path) const;
  void state_changed();
  bool settled(uint64_t counter) const;
  Confirmation confirmation(uint64_t counter, const std::set<ObjectKey>& changed) const;
  void answer_waiters();
  void report_problems();
  std::vector<Problem> problems() const;
  std::vector<Problem> problems_of(const std::set<std::string>& paths) const;
  std::string manifest_of(const ObjectKey& key) const;
  ShownObject shown(const ObjectKey& key, std::string manifest) const;
  bool concerns(const std::string& refused, const std::set<ObjectKey>& keys) const;
  Problem problem_of(const std::string& refused, const EngineLink::Refusal& refusal) const;
  std::vector<Snapshot::Vip> vips() const;
  std::set<ObjectKey> former() const;
  Snapshot snapshot() const;

  EventLoop& loop_;
  DaemonOptions options_;
  HostPorts host_ports_;
  std::optional<ManifestDirectory> directory_;
  std::string directory_trouble_;
  DocumentCache documents_;
  Fd state_dir_;  // another daemon would take away what we keep there
  LastGoodFiles last_good_;
  LastGoodFiles api_last_good_;
  std::string last_good_trouble_;
  Store store_;
  Compiler compiler_;
  EngineLink engine_;
  ObserveLink observe_;
  ApiSource api_;
  EventLoop::Clock::time_point started_ = EventLoop::Clock::now();
  std::set<ObjectKey> uncompiled_;
  std::set<std::string> unkept_;     // files whose last good form isn't written yet
  std::set<std::string> unwritten_;  // likewise, but tried in vain: for the next round
  bool keeping_ = false;             // soon
  std::set<Problem> reported_;
  struct Waiter {
    uint64_t counter;  // of the generation
    std::set<ObjectKey> changed;
    Reply<Confirmation> reply;
    EventLoop::TimerId timer;
  };
  std::vector<Waiter> waiters_;  // for the engine to take it, oldest first
  std::function<void()> on_change_ = [] {};
};

}  // namespace guideway::mgmt
