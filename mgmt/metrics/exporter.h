// What Prometheus scrapes: the API's own answers as metric families, on /metrics. Owns no state.
#pragma once

#include <absl/status/statusor.h>
#include <prometheus/metric_family.h>

#include <memory>
#include <string>
#include <vector>

#include "mgmt/daemon.h"

namespace guideway::mgmt {

// VIPs with series of their own; of more only the sums by worker and reason are told, and how many are left out.
inline constexpr size_t kMaxVipsWithMetrics = 2'000;

// By Prometheus's conventions: base units, `_total` for what only rises. `status` and `counters` are answers to those
// questions.
std::vector<prometheus::MetricFamily> metrics_of(const Snapshot& status, const Snapshot& counters);

class MetricsExporter {
 public:
  // `listen`: "ADDRESS:PORT", an IPv6 address in brackets; port 0 takes a free one.
  static absl::StatusOr<std::unique_ptr<MetricsExporter>> start(const std::string& listen, Daemon& daemon);
  ~MetricsExporter();

 private:
  struct Impl;
  explicit MetricsExporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::mgmt
