#include "mgmt/metrics/exporter.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>

#include "log/trouble.h"
#include "mgmt/api/counters.h"
#include "mgmt/api/listen.h"
#include "mgmt/api/responses.h"

namespace guideway::mgmt {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;
using prometheus::MetricType;

class Families {
 public:
  // What follows is of this family.
  Families& family(MetricType type, const char* name, const char* help) {
    all_.push_back({.name = std::string("guideway_") + name, .help = help, .type = type, .metric = {}});
    return *this;
  }
  Families& gauge(const char* name, const char* help) { return family(MetricType::Gauge, name, help); }
  Families& counter(const char* name, const char* help) { return family(MetricType::Counter, name, help); }

  Families& add(uint64_t value, Labels labels = {}) {
    prometheus::ClientMetric m;
    m.label = std::move(labels);
    (all_.back().type == MetricType::Counter ? m.counter.value : m.gauge.value) = static_cast<double>(value);
    all_.back().metric.push_back(std::move(m));
    return *this;
  }
  std::vector<prometheus::MetricFamily> take() && { return std::move(all_); }

 private:
  std::vector<prometheus::MetricFamily> all_;
};

void add_daemon(const v1::GetStatusResponse& s, Families& f) {
  f.gauge("build_info", "Version of guidewayd; always 1.").add(1, {{"version", s.version()}});
  f.gauge("problems",
          "What is wrong, and what of the desired state isn't in force as it is written: see guideway status.")
      .add(static_cast<uint64_t>(s.problems_size()));
  f.gauge("generation", "Number of the newest desired state, and of that which the engine forwards by.")
      .add(s.desired().counter(), {{"state", "desired"}})
      .add(s.applied().counter(), {{"state", "applied"}});
  f.gauge("vips", "VIPs that the manifests and the API's objects ask for.").add(s.vips());
  f.gauge("engine_connected", "Whether guidewayd is connected to guideway-engine, and that answers.")
      .add(s.engine().connected() && s.engine().trouble().empty());
  f.gauge("limit", "What the engine holds at most, by limit.");
  for (const auto& l : s.engine().limits()) f.add(l.limit(), {{"name", l.name()}});
  f.gauge("limit_used", "How much of a limit is used.");
  for (const auto& l : s.engine().limits())
    if (l.has_used()) f.add(l.used(), {{"name", l.name()}});
}

// One metric a worker.
template <typename Of>
void add_workers(const v1::EngineStatus& s, Families& f, Of of) {
  for (int i = 0; i < s.workers_size(); ++i) f.add(of(s.workers(i)), {{"worker", std::to_string(i)}});
}

void add_engine(const v1::EngineStatus& s, Families& f) {
  using W = v1::Worker;
  f.gauge("engine_uptime_seconds", "Since the engine started.").add(s.uptime_seconds());
  f.gauge("warnings", "What the engine warns of: see guideway status.").add(static_cast<uint64_t>(s.warnings_size()));
  f.gauge("exceptions", "Connections off their Maglev slot.").add(s.exceptions());
  f.gauge("port_up", "Whether the port has a link.");
  for (const auto& p : s.ports()) f.add(p.up(), {{"port", p.name()}});
  f.counter("kernel_balanced_packets_total",
            "Packets that the kernel balanced, for no worker listened; by port they came in.");
  for (const auto& p : s.ports()) f.add(p.balanced(), {{"port", p.name()}});
  f.counter("received_packets_total", "Packets that workers took from ports.");
  add_workers(s, f, [](const W& w) { return w.received(); });
  f.counter("sent_packets_total", "Packets that workers sent.");
  add_workers(s, f, [](const W& w) { return w.sent(); });
  f.counter("handed_over_packets_total", "Packets that workers gave to other workers.");
  add_workers(s, f, [](const W& w) { return w.handed_over(); });
  f.gauge("connections", "Connections that are remembered, of both directions in nat.");
  for (int i = 0; i < s.workers_size(); ++i)
    f.add(s.workers(i).connections_ipv4(), {{"worker", std::to_string(i)}, {"family", "ipv4"}})
        .add(s.workers(i).connections_ipv6(), {{"worker", std::to_string(i)}, {"family", "ipv6"}});
}

// Those that XDP drops are its own, not a worker's.
void add_drops(const v1::ListDropsResponse& drops, Families& f) {
  f.counter("dropped_packets_total", "Packets that didn't arrive, by reason; worker \"xdp\": in the kernel.");
  for (const v1::DropRow& row : drops.drops()) {
    for (int i = 0; i < row.packets_by_worker_size(); ++i)
      f.add(row.packets_by_worker(i), {{"reason", row.reason()}, {"worker", std::to_string(i)}});
    f.add(row.packets_by_xdp(), {{"reason", row.reason()}, {"worker", "xdp"}});
  }
}

Labels labels_of(const v1::VipRow& v) {
  std::string protocol = v1::Protocol_Name(v.protocol());
  return {{"namespace", v.namespace_()},      {"service", v.name()},
          {"port_name", v.port_name()},       {"vip", v.vip()},
          {"port", std::to_string(v.port())}, {"protocol", protocol.substr(protocol.rfind('_') + 1)}};
}

Labels with(Labels labels, const char* name, const char* value) {
  labels.push_back({name, value});
  return labels;
}

void add_vips(const v1::ListServicesResponse& all, Families& f) {
  const auto& vips = all.services();
  const int shown = std::min<int>(vips.size(), kMaxVipsWithMetrics);
  const auto each = [&](auto add) {
    for (int i = 0; i < shown; ++i) add(vips[i], labels_of(vips[i]));
  };
  const auto each_counted = [&](auto add) {
    each([&](const v1::VipRow& v, Labels l) {
      if (v.has_counters()) add(v.counters(), std::move(l));
    });
  };
  f.gauge("vips_without_metrics", "VIPs that have no series of their own, for there are too many.")
      .add(static_cast<uint64_t>(vips.size() - shown));
  f.gauge("vip_programmed", "Whether the VIP is in force as it is written, and has a backend for new connections.");
  each([&](const v1::VipRow& v, Labels l) { f.add(v.state() == v1::VipRow::STATE_PROGRAMMED, std::move(l)); });
  f.gauge("vip_backends", "Backends of the VIP, by state.");
  each([&](const v1::VipRow& v, const Labels& l) {
    const uint64_t rest = v.backends_total() - v.backends_ready() - v.backends_draining();
    f.add(v.backends_ready(), with(l, "state", "ready"))
        .add(v.backends_draining(), with(l, "state", "draining"))
        .add(rest, with(l, "state", "not_ready"));
  });
  f.counter("vip_connections_total", "Connections begun.");
  each_counted([&](const v1::Counters& c, Labels l) { f.add(c.connections(), std::move(l)); });
  f.gauge("vip_connections", "Connections that are remembered.");
  each_counted([&](const v1::Counters& c, Labels l) { f.add(c.live_connections(), std::move(l)); });
  f.counter("vip_packets_total", "Packets to the VIP's backends, and in nat from them.");
  each_counted([&](const v1::Counters& c, const Labels& l) {
    f.add(c.packets(), with(l, "direction", "forward")).add(c.reply_packets(), with(l, "direction", "reply"));
  });
  f.counter("vip_bytes_total", "Bytes of IP as the clients sent them, and in nat as they got them.");
  each_counted([&](const v1::Counters& c, const Labels& l) {
    f.add(c.bytes(), with(l, "direction", "forward")).add(c.reply_bytes(), with(l, "direction", "reply"));
  });
}

class Collector : public prometheus::Collectable {
 public:
  explicit Collector(Daemon& daemon) : daemon_(daemon) {}
  std::vector<prometheus::MetricFamily> Collect() const override {
    const auto status = daemon_.take_snapshot(Question::kStatus);
    const auto counters = daemon_.take_snapshot(Question::kCounters);
    if (!status.ok() || !counters.ok()) return {};
    return metrics_of(**status, **counters);
  }

 private:
  Daemon& daemon_;
};

}  // namespace

std::vector<prometheus::MetricFamily> metrics_of(const Snapshot& status, const Snapshot& counters) {
  Families families;
  v1::GetStatusResponse s;
  fill(status, s);
  add_daemon(s, families);
  if (s.engine().has_status()) add_engine(s.engine().status(), families);
  if (status.hello && status.status) {
    v1::ListDropsResponse drops;
    fill_drops(*status.hello, *status.status, drops);
    add_drops(drops, families);
  }
  v1::ListServicesResponse services;
  fill(counters, {}, services);
  add_vips(services, families);
  return std::move(families).take();
}

// The server goes first, for its threads may be collecting.
struct MetricsExporter::Impl {
  std::shared_ptr<Collector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsExporter::MetricsExporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsExporter::~MetricsExporter() = default;

absl::StatusOr<std::unique_ptr<MetricsExporter>> MetricsExporter::start(const std::string& listen, Daemon& daemon) {
  // The server below takes a port alone for every address of the host, and more than one behind commas; in Debian it
  // knows no IPv6.
  if (!is_address_and_port(listen) || listen.starts_with('['))
    return log::failure(absl::StatusCode::kInvalidArgument, "--metrics " + listen + " is no place to listen at",
                        "it must be ADDRESS:PORT, as 127.0.0.1:9964, of IPv4; 0.0.0.0 is every address");
  auto impl = std::make_unique<Impl>();
  impl->collector = std::make_shared<Collector>(daemon);
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(listen);
  } catch (const std::exception& e) {
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        "metrics can't be served at " + listen + " (" + e.what() + ")",
                        "give --metrics an address of this host and a free port, as 127.0.0.1:9964");
  }
  impl->exposer->RegisterCollectable(impl->collector);
  const std::vector<int> ports = impl->exposer->GetListeningPorts();
  const std::string host = listen.substr(0, listen.rfind(':'));
  spdlog::info("metrics at http://{}:{}/metrics", host, ports.empty() ? 0 : ports.front());
  return std::unique_ptr<MetricsExporter>(new MetricsExporter(std::move(impl)));
}

}  // namespace guideway::mgmt
