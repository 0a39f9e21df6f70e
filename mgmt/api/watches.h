// WatchServices and WatchBackends: the lists, then what changes in them, as long as the caller may see that. One thread
// asks the daemon when something has changed, at most some times a second, and finds the rows that are other than
// before, once for all watches. A watch holds the count that it has told and one message, and no thread. Does nothing
// while nobody watches.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/api/arrivals.h"
#include "mgmt/api/call.h"
#include "mgmt/api/journal.h"
#include "mgmt/api/tls_credentials.h"
#include "mgmt/daemon.h"

namespace guideway::mgmt {

class Watches {
 public:
  static constexpr size_t kLimit = 256;              // of both kinds together
  static constexpr size_t kOfConnection = 128;       // of these
  static constexpr size_t kTombstones = 10'000;      // of each kind
  static constexpr size_t kMessageBytes = 64 << 10;  // of rows, and one row more

  Watches(Daemon& daemon, Judge judge, Arrivals& arrivals);
  ~Watches();

  // A watch, which ends itself; above a limit one that has ended.
  grpc::ServerGenericBidiReactor* services(CallContext& context);
  grpc::ServerGenericBidiReactor* backends(CallContext& context);

  // There may be other VIPs, backends or states. From any thread; never waits for watches or the daemon.
  void changed();
  // Ends all, and those that are yet to come.
  void stop();

 private:
  struct Feed {
    uint64_t instance;  // another one for each kind and run of the daemon
    Journal journal{kTombstones};
  };
  class Watch;
  template <typename Request, typename Response, typename Row>
  class WatchOf;

  template <typename Request, typename Response, typename Row>
  grpc::ServerGenericBidiReactor* watch(CallContext& context, const Feed& feed);
  void run();
  bool wait();
  void judge();
  void look();
  void update(const std::vector<Snapshot::Vip>& vips);
  void tell(const Snapshot::Vip* old, const Snapshot::Vip* now);

  Daemon& daemon_;
  const Judge judge_;
  Arrivals& arrivals_;

  std::mutex wake_mutex_;  // guards what follows, and is never held for long
  std::condition_variable wake_;
  bool changed_ = false;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point next_look_;

  std::mutex mutex_;                           // guards what follows
  std::set<Watch*> watches_;                   // that have begun
  size_t open_ = 0;                            // these, and those whose requests come
  std::map<std::string, size_t> connections_;  // those that have some of them, by gRPC's name for the peer
  std::atomic<bool> watched_ = false;          // whether there are any; also read without the mutex
  bool stopped_ = false;
  Feed services_;
  Feed backends_;
  std::map<std::string_view, Snapshot::Vip> told_;  // what the journals know, by Entry::name

  std::chrono::steady_clock::time_point next_judgement_;  // the thread's

  std::thread thread_;
};

}  // namespace guideway::mgmt
