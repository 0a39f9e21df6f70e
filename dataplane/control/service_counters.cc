#include "dataplane/control/service_counters.h"

namespace guideway::control {

namespace {

// Services and reals of a part. With 16 workers a real takes at most 1.1 kB.
constexpr size_t kPart = 512;

void write(const PerWorker& counts, engine::RealCounters& m) {
  for (const RealCount& c : counts) {
    m.add_packets(c.packets);
    m.add_bytes(c.bytes);
    m.add_reply_packets(c.reply_packets);
    m.add_reply_bytes(c.reply_bytes);
    m.add_connections(c.connections);
    m.add_live_connections(c.live);
  }
}

}  // namespace

engine::Counters counters_part(const Publisher& publisher, const Tally& tally, CountersCursor& at) {
  engine::Counters part;
  for (size_t items = 0; items < kPart;) {
    const auto service = publisher.counted_from(at.service);
    if (!service) {
      part.set_last(true);
      break;
    }
    if (service->name != at.service) at = {service->name, 0};
    auto* m = part.add_services();
    m->set_service(service->name);
    if (at.real == 0) write(service->removed, *m->mutable_removed());
    for (++items; items < kPart && at.real < service->reals.size(); ++items, ++at.real) {
      const auto& [real, row] = service->reals[at.real];
      auto* r = m->add_reals();
      r->set_address(net::bytes_of(real.address));
      r->set_port(real.port);
      write(tally.read(row), *r);
    }
    if (at.real == service->reals.size()) at = {service->name + '\0', 0};  // the name that comes right after
  }
  return part;
}

}  // namespace guideway::control
