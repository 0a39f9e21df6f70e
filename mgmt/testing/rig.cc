#include "mgmt/testing/rig.h"

#include <cstdlib>
#include <fstream>

namespace guideway::mgmt {

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/guideway-test-XXXXXX";
  if (::mkdtemp(name) == nullptr) std::abort();
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ec;
  std::filesystem::remove_all(path_, ec);
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

Rig::Rig(engine::Hello hello) : engine(dir / "engine.sock", std::move(hello)) {
  std::filesystem::create_directory(dir / "manifests");
}

absl::Status Rig::start() {
  stop();
  loop_.emplace();
  daemon_.emplace(*loop_, DaemonOptions{dir / "manifests", dir / "state", engine.path()});
  absl::Status s = daemon_->start();
  if (s.ok()) thread_ = std::thread([this] { loop_->run(); });
  return s;
}

void Rig::stop() {
  if (thread_.joinable()) {
    loop_->post([this] { loop_->stop(); });
    thread_.join();
  }
  daemon_.reset();
  loop_.reset();
}

SnapshotPtr Rig::wait(const std::function<bool(const Snapshot&)>& until) {
  const auto deadline = EventLoop::Clock::now() + std::chrono::seconds(10);
  while (true) {
    const SnapshotPtr s = daemon_->take_snapshot(std::nullopt).value_or(nullptr);
    if (!s || until(*s) || EventLoop::Clock::now() > deadline) return s;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::optional<Problem> Rig::wait_problem(const std::string& object, const std::string& field) {
  std::optional<Problem> found;
  wait([&](const Snapshot& s) {
    for (const Problem& p : s.problems)
      if (p.object == object && p.field == field) found = p;
    return found.has_value();
  });
  return found;
}

std::string service_yaml(const std::string& name, const std::string& vip, const std::string& extra_metadata,
                         uint32_t port, uint32_t target) {
  return "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: " + name + "\n  namespace: demo\n" + extra_metadata +
         "spec:\n  ports:\n  - name: http\n    port: " + std::to_string(port) +
         "\n    protocol: TCP\n    targetPort: " + std::to_string(target) +
         "\n  type: LoadBalancer\nstatus:\n  loadBalancer:\n    ingress:\n    - ip: " + vip + "\n      ipMode: VIP\n";
}

std::string slice_yaml(const std::string& service, const std::vector<std::pair<std::string, std::string>>& endpoints,
                       uint32_t port, const std::string& suffix) {
  const bool v6 = !endpoints.empty() && endpoints[0].first.find(':') != std::string::npos;
  std::string s = std::string("---\naddressType: ") + (v6 ? "IPv6" : "IPv4") + "\napiVersion: discovery.k8s.io/v1\n";
  s += endpoints.empty() ? "endpoints: null\n" : "endpoints:\n";
  for (const auto& [address, condition] : endpoints) {
    const bool ready = condition == "ready";
    const bool terminating = condition == "terminating";
    s += "- addresses:\n  - " + address + "\n  conditions:\n    ready: " + (ready ? "true" : "false") +
         "\n    serving: " + (ready || terminating ? "true" : "false") +
         "\n    terminating: " + (terminating ? "true" : "false") + "\n";
  }
  return s + "kind: EndpointSlice\nmetadata:\n  labels:\n    kubernetes.io/service-name: " + service +
         "\n  name: " + service + "-" + suffix +
         "\n  namespace: demo\nports:\n- name: http\n  port: " + std::to_string(port) + "\n  protocol: TCP\n";
}

}  // namespace guideway::mgmt
