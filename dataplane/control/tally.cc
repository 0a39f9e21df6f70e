#include "dataplane/control/tally.h"

#include <algorithm>

namespace guideway::control {

namespace {

constexpr uint32_t kPreparedAtOnce = 4'096;  // rows: 256 kB a worker

}  // namespace

RealCount operator+(const RealCount& a, const RealCount& b) {
  return {.packets = a.packets + b.packets,
          .bytes = a.bytes + b.bytes,
          .reply_packets = a.reply_packets + b.reply_packets,
          .reply_bytes = a.reply_bytes + b.reply_bytes,
          .connections = a.connections + b.connections,
          .live = a.live + b.live};
}

RealCount operator-(const RealCount& a, const RealCount& b) {
  return {.packets = a.packets - b.packets,
          .bytes = a.bytes - b.bytes,
          .reply_packets = a.reply_packets - b.reply_packets,
          .reply_bytes = a.reply_bytes - b.reply_bytes,
          .connections = a.connections - b.connections,
          .live = a.live - b.live};
}

absl::StatusOr<std::unique_ptr<Tally>> Tally::create(unsigned workers) {
  std::unique_ptr<Tally> t(new Tally);
  for (unsigned i = 0; i <= workers; ++i) {
    auto memory = reserve_memory(kMaxRealRows * sizeof(path::RealCounters), "counters of reals");
    if (!memory.ok()) return memory.status();
    t->memory_.push_back(std::move(*memory));
  }
  return t;
}

void Tally::prepare(path::RealIndex i) {
  if (static_cast<uint32_t>(i) < prepared_) return;
  constexpr size_t kBytes = kPreparedAtOnce * sizeof(path::RealCounters);
  for (const Mapping& m : memory_) m.populate(prepared_ * sizeof(path::RealCounters), kBytes);
  prepared_ += kPreparedAtOnce;
}

RealCount Tally::raw(unsigned worker, path::RealIndex i) const {
  const path::RealCounters& c = rows(worker)[static_cast<uint32_t>(i)];
  return {.packets = c.packets.read(),
          .bytes = c.bytes.read(),
          .reply_packets = c.reply_packets.read(),
          .reply_bytes = c.reply_bytes.read(),
          .connections = c.connections.read(),
          .live = c.live.read()};
}

PerWorker Tally::read(path::RealIndex i) const {
  PerWorker sum(workers());
  const auto base = base_.find(i);
  for (unsigned w = 0; w < workers(); ++w) sum[w] = raw(w, i) - (base == base_.end() ? RealCount{} : base->second[w]);
  return sum;
}

void Tally::begin_anew(path::RealIndex i) {
  PerWorker& base = base_[i];
  base.clear();
  for (unsigned w = 0; w < workers(); ++w) base.push_back(raw(w, i));
}

}  // namespace guideway::control
