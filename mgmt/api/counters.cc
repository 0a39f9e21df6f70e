#include "mgmt/api/counters.h"

#include <algorithm>
#include <numeric>

#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

template <typename Numbers>
uint64_t sum(const Numbers& of_workers) {
  return std::accumulate(of_workers.begin(), of_workers.end(), uint64_t{0});
}

void add(v1::Counters& to, const engine::RealCounters& c) {
  to.set_packets(to.packets() + sum(c.packets()));
  to.set_bytes(to.bytes() + sum(c.bytes()));
  to.set_reply_packets(to.reply_packets() + sum(c.reply_packets()));
  to.set_reply_bytes(to.reply_bytes() + sum(c.reply_bytes()));
  to.set_connections(to.connections() + sum(c.connections()));
  to.set_live_connections(to.live_connections() + sum(c.live_connections()));
}

const engine::ServiceCounters* find(const Snapshot& s, const Entry& e) {
  if (!s.counters) return nullptr;
  const auto it = s.counters->find(e.name);
  return it == s.counters->end() ? nullptr : &it->second;
}

}  // namespace

void fill_counters(const Snapshot& s, const Entry& e, v1::VipRow& out) {
  const engine::ServiceCounters* counters = find(s, e);
  if (counters == nullptr) return;
  v1::Counters& all = *out.mutable_counters();
  for (const engine::RealCounters& real : counters->reals()) add(all, real);
  add(all, counters->removed());
}

void fill_counters(const Snapshot& s, const Entry& e, const Backend& b, v1::BackendRow& out) {
  const engine::ServiceCounters* counters = find(s, e);
  if (counters == nullptr) return;
  const std::string address = net::bytes_of(b.address);
  for (const engine::RealCounters& real : counters->reals())
    if (real.port() == b.port && real.address() == address) add(*out.mutable_counters(), real);
}

void fill_drops(const engine::Hello& hello, const engine::Status& s, v1::ListDropsResponse& out) {
  int reasons = std::max(hello.drop_reasons_size(), s.xdp_drops_size());
  for (const auto& w : s.workers()) reasons = std::max(reasons, w.drops_size());
  const auto at = [](const auto& numbers, int i) { return i < numbers.size() ? numbers.Get(i) : 0; };
  for (int i = 1; i < reasons; ++i) {  // reason 0 is "not dropped"
    v1::DropRow& row = *out.add_drops();
    const bool known = i < hello.drop_reasons_size();
    row.set_reason(known ? hello.drop_reasons(i).name() : "reason " + std::to_string(i));
    if (known) row.set_text(hello.drop_reasons(i).text());
    for (const auto& w : s.workers()) row.add_packets_by_worker(at(w.drops(), i));
    row.set_packets_by_xdp(at(s.xdp_drops(), i));
    row.set_packets(sum(row.packets_by_worker()) + row.packets_by_xdp());
  }
  std::stable_sort(out.mutable_drops()->begin(), out.mutable_drops()->end(),
                   [](const v1::DropRow& a, const v1::DropRow& b) { return a.packets() > b.packets(); });
}

}  // namespace guideway::mgmt
