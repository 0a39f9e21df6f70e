// A daemon on a thread, a fake engine, and a temporary directory for both. For tests and the benchmark.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "mgmt/daemon.h"
#include "mgmt/testing/fake_engine.h"

namespace guideway::mgmt {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text);

class Rig {
 public:
  explicit Rig(engine::Hello hello = FakeEngine::good_hello());
  ~Rig() { stop(); }

  // Writes the manifest in place, as an editor without temporary files does.
  void manifest(const std::string& name, const std::string& text) { write_file(path(name), text); }
  void remove(const std::string& name) { std::filesystem::remove(path(name)); }
  std::string path(const std::string& name) const { return dir / ("manifests/" + name); }

  absl::Status start();
  // The engine stays.
  void stop();
  // A snapshot that satisfies it, within ten seconds; else the last one.
  SnapshotPtr wait(const std::function<bool(const Snapshot&)>& until);
  // The problem whose object and field are these, within ten seconds.
  std::optional<Problem> wait_problem(const std::string& object, const std::string& field);

  TemporaryDirectory dir;
  FakeEngine engine;

  Daemon& daemon() { return *daemon_; }

 private:
  std::optional<EventLoop> loop_;
  std::optional<Daemon> daemon_;
  std::thread thread_;
};

// Texts in kubectl's form.
std::string service_yaml(const std::string& name, const std::string& vip, const std::string& extra_metadata = "",
                         uint32_t port = 80, uint32_t target = 80);
// `conditions` of each address: "ready", "terminating" or "gone".
std::string slice_yaml(const std::string& service, const std::vector<std::pair<std::string, std::string>>& endpoints,
                       uint32_t port = 80, const std::string& suffix = "1");

}  // namespace guideway::mgmt
