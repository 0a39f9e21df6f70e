// How many series there are is bounded, whatever number of VIPs there is.
#include "mgmt/metrics/exporter.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace guideway::mgmt {
namespace {

size_t series(const std::vector<prometheus::MetricFamily>& all) {
  size_t n = 0;
  for (const auto& family : all) n += family.metric.size();
  return n;
}

const prometheus::MetricFamily& family(const std::vector<prometheus::MetricFamily>& all, const std::string& name) {
  const auto found = std::ranges::find(all, "guideway_" + name, &prometheus::MetricFamily::name);
  REQUIRE(found != all.end());
  return *found;
}

TEST_CASE("metrics: VIPs beyond 2,000 have no series of their own, and are counted", "[metrics]") {
  auto entry = std::make_shared<Entry>();
  entry->service = std::make_shared<Object>(Object{.key = {Kind::kService, "demo", "web"}, .body = Service{}});
  const auto with = [&](size_t vips) {
    Snapshot s;
    s.vips.assign(vips, {entry, EngineLink::EntryState{}, "web.yaml"});
    return metrics_of(s, s);
  };
  const auto most = with(kMaxVipsWithMetrics);
  CHECK(family(most, "vip_programmed").metric.size() == kMaxVipsWithMetrics);
  CHECK(family(most, "vips_without_metrics").metric[0].gauge.value == 0);
  for (const size_t more : {size_t{1}, size_t{5'000}}) {
    const auto all = with(kMaxVipsWithMetrics + more);
    CHECK(series(all) == series(most));
    CHECK(family(all, "vips_without_metrics").metric[0].gauge.value == static_cast<double>(more));
  }
}

}  // namespace
}  // namespace guideway::mgmt
