// How long a change of the manifests takes to the engine: from the close of a file of objects to the arrival of the
// commit, and the reading of large states. Prints medians; judges nothing.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "mgmt/source/decode.h"
#include "mgmt/source/yaml.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

using Clock = EventLoop::Clock;

double milliseconds(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

std::string vip(uint32_t i) { return "198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1); }

// One service and one slice of ten backends for each; `turn` changes one backend of the first `changing` services.
std::string manifests(uint32_t services, uint32_t turn, uint32_t changing) {
  std::string s;
  for (uint32_t i = 0; i < services; ++i) {
    const std::string name = "svc-" + std::to_string(i);
    std::vector<std::pair<std::string, std::string>> endpoints;
    for (uint32_t b = 0; b < 10; ++b)
      endpoints.emplace_back(
          "10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "." + std::to_string(b + 1),
          b == 0 && turn % 2 == 1 && i < changing ? "terminating" : "ready");
    s += service_yaml(name, vip(i)) + slice_yaml(name, endpoints);
  }
  return s;
}

void latency(uint32_t objects, uint32_t changing, uint32_t others, int turns) {
  Rig rig;
  if (others != 0) {
    std::string text = manifests(objects / 2 + others, 0, 0);
    // The first ones stand in the file that changes.
    rig.manifest("b.yaml", text.substr(manifests(objects / 2, 0, 0).size()));
  }
  rig.manifest("a.yaml", manifests(objects / 2, 0, 0));
  if (!rig.start().ok() || !rig.engine.wait([](const auto& s) { return !s.batches.empty(); })) return;
  std::vector<double> times;
  for (int turn = 1; turn <= turns; ++turn) {
    const size_t before = rig.engine.state().batches.size();
    const std::string text = manifests(objects / 2, static_cast<uint32_t>(turn), changing);
    std::FILE* f = std::fopen(rig.path("a.yaml").c_str(), "w");
    std::fwrite(text.data(), 1, text.size(), f);
    std::fflush(f);
    const auto start = Clock::now();
    std::fclose(f);
    rig.engine.wait([&](const auto& s) { return s.batches.size() > before; });
    times.push_back(milliseconds(rig.engine.state().batches.back().arrived - start));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::sort(times.begin(), times.end());
  std::printf(
      "file of %u objects, %u changed, closed -> commit at the engine, beside %u other services: median %.2f ms, "
      "p90 %.2f ms\n",
      objects, changing, others, times[times.size() / 2], times[times.size() * 9 / 10]);
}

void reading(uint32_t services) {
  const std::string text = manifests(services, 0, 0);
  const auto start = Clock::now();
  const auto tree = parse_yaml(text);
  const auto parsed = Clock::now();
  Store store;
  Decoded d = decode(std::get<Tree>(tree), "bench", HostPorts());
  const auto decoded = Clock::now();
  const auto keys = store.put_file("bench", {std::move(d.objects), {}, false, {}, {}});
  Compiler compiler(store);
  const Delta delta = compiler.update(keys);
  const auto compiled = Clock::now();
  std::printf("%u services with 10 backends (%.1f MB): YAML %.0f ms, decoding %.0f ms, compiling %zu VIPs %.0f ms\n",
              services, static_cast<double>(text.size()) / 1e6, milliseconds(parsed - start),
              milliseconds(decoded - parsed), delta.changed.size(), milliseconds(compiled - decoded));
}

}  // namespace
}  // namespace guideway::mgmt

int main() {
  spdlog::set_level(spdlog::level::off);
  guideway::mgmt::reading(2000);
  guideway::mgmt::reading(10000);
  guideway::mgmt::latency(100, 50, 0, 51);
  guideway::mgmt::latency(100, 50, 2000, 51);
  guideway::mgmt::latency(100, 1, 2000, 51);
}
