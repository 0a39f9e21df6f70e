// guidewayd and guideway-engine as they are installed, each a process of its own, and what benchmarks of both need:
// their directory, manifests, and a look at what is in force.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/engine.pb.h"
#include "xdp/fd.h"

namespace guideway::bench {

using Clock = std::chrono::steady_clock;

// Ended with its owner.
class Process {
 public:
  Process(std::vector<std::string> words, const std::string& log);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // The most memory that it ever had, hugepages included, in MiB.
  unsigned peak_mib() const;

 private:
  pid_t pid_ = -1;
};

// Where both live for the time of a benchmark.
class Site {
 public:
  // `build`: where the programs are.
  explicit Site(std::string build);
  ~Site();
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  Process start_engine(const std::vector<std::string>& more) const;
  Process start_daemon() const;
  std::string manifest(const std::string& name) const { return base_ + "/manifests/" + name; }
  std::string socket() const { return base_ + "/engine.sock"; }
  // Says on stderr what went wrong, with the end of the engine's and the daemon's logs.
  void complain(const char* what) const;

 private:
  std::string build_;
  std::string base_;
};

// A connection to the engine that asks what is in force.
class Observer {
 public:
  // Waits for the engine to listen, at most ten seconds.
  static std::optional<Observer> connect(const std::string& path);

  // The counter of the generation in force.
  uint64_t generation();
  // Until one above `before` is; false after so long.
  bool wait_above(uint64_t before, std::chrono::seconds at_most);

 private:
  static std::optional<Observer> connect_once(const std::string& path);
  void send(const engine::Envelope& message);
  std::optional<engine::Envelope> receive();

  xdp::Fd fd_;
  std::string in_;
};

inline constexpr unsigned kBackends = 10;
// The manifest of a service and its slice of ten backends that no other service has; one terminates if `weak`.
std::string service_manifest(unsigned i, bool weak);

// Gives the moment of the close.
Clock::time_point write_file(const std::string& path, const std::string& text);

}  // namespace guideway::bench
