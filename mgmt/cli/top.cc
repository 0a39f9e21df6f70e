#include "mgmt/cli/top.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "mgmt/cli/cells.h"
#include "mgmt/time_text.h"

namespace guideway::mgmt {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

double rate(uint64_t before, uint64_t now, double seconds) {
  return seconds > 0 ? static_cast<double>(now >= before ? now - before : now) / seconds : 0;
}

cli::Rates rates(const v1::Counters& before, const v1::Counters& now, double seconds) {
  cli::Rates r;
  const auto both = [seconds](uint64_t a, uint64_t b, uint64_t reply_a, uint64_t reply_b) {
    return rate(a, b, seconds) + rate(reply_a, reply_b, seconds);
  };
  r.set_packets_per_second(both(before.packets(), now.packets(), before.reply_packets(), now.reply_packets()));
  r.set_bits_per_second(8 * both(before.bytes(), now.bytes(), before.reply_bytes(), now.reply_bytes()));
  r.set_connections_per_second(rate(before.connections(), now.connections(), seconds));
  r.set_live_connections(now.live_connections());
  return r;
}

template <typename Rows>
std::map<RowKey, const v1::Counters*> counters_of(const Rows& rows) {
  std::map<RowKey, const v1::Counters*> all;
  for (const auto& row : rows)
    if (row.has_counters()) all[key_of(row)] = &row.counters();
  return all;
}

// Unset where one of the two has no counters.
template <typename Row, typename Out>
void fill_rates(const std::map<RowKey, const v1::Counters*>& before, const Row& row, double seconds, Out& out) {
  const auto old = before.find(key_of(row));
  if (row.has_counters() && old != before.end()) *out.mutable_rates() = rates(*old->second, row.counters(), seconds);
}

template <typename Rows>
void sort_by(TopSort sort, Rows& rows) {
  const auto value = [sort](const auto& row) {
    const cli::Rates& r = row.rates();
    if (sort == TopSort::kBits) return r.bits_per_second();
    if (sort == TopSort::kConnections) return r.connections_per_second();
    if (sort == TopSort::kLive) return static_cast<double>(r.live_connections());
    return r.packets_per_second();
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return value(a) > value(b); });
}

void fill_drops(const Sample& before, const Sample& now, cli::Top& out) {
  std::map<std::string, uint64_t> old;
  for (const auto& d : before.drops.response.drops()) old[d.reason()] = d.packets();
  const double seconds = seconds_between(before.drops.at, now.drops.at);
  for (const auto& d : now.drops.response.drops()) {
    const double dropped = rate(old[d.reason()], d.packets(), seconds);
    if (dropped == 0) continue;
    cli::TopDrop& drop = *out.add_drops();
    drop.set_reason(d.reason());
    drop.set_packets_per_second(dropped);
  }
  std::stable_sort(out.mutable_drops()->begin(), out.mutable_drops()->end(),
                   [](const auto& a, const auto& b) { return a.packets_per_second() > b.packets_per_second(); });
}

template <typename Row>
std::array<Cell, 4> rate_cells(const Row& row) {
  if (!row.has_rates()) return {"", "", "", ""};
  const cli::Rates& r = row.rates();
  return {short_number(r.packets_per_second()), short_number(r.bits_per_second()),
          short_number(r.connections_per_second()), short_number(static_cast<double>(r.live_connections()))};
}

Cell state_cell(const std::string& state) {
  if (state == word(v1::VipRow::STATE_PROGRAMMED) || state == word(v1::BackendRow::STATE_READY)) return state;
  return {state, state == word(v1::VipRow::STATE_REFUSED) ? Colour::kRed : Colour::kYellow};
}

}  // namespace

cli::Top rates_between(const Sample& before, const Sample& now, TopSort sort) {
  cli::Top top;
  top.set_time(rfc3339_now());
  const double seconds = seconds_between(before.services.at, now.services.at);
  top.set_seconds(seconds);
  const auto old_vips = counters_of(before.services.response.services());
  const auto old_backends = counters_of(before.backends.response.backends());
  std::map<RowKey, std::vector<const v1::BackendRow*>> backends;
  for (const auto& b : now.backends.response.backends()) backends[vip_key_of(b)].push_back(&b);
  for (const auto& v : now.services.response.services()) {
    cli::TopVip& vip = *top.add_vips();
    vip.set_namespace_(v.namespace_());
    vip.set_name(v.name());
    vip.set_port_name(v.port_name());
    vip.set_vip(v.vip());
    vip.set_port(v.port());
    vip.set_protocol(word(v.protocol()));
    vip.set_state(word(v.state()));
    fill_rates(old_vips, v, seconds, vip);
    for (const v1::BackendRow* b : backends[key_of(v)]) {
      cli::TopBackend& backend = *vip.add_backends();
      backend.set_address(b->address());
      backend.set_port(b->port());
      backend.set_state(word(b->state()));
      backend.set_pod(b->pod());
      backend.set_node(b->node());
      fill_rates(old_backends, *b, seconds_between(before.backends.at, now.backends.at), backend);
    }
    sort_by(sort, *vip.mutable_backends());
  }
  sort_by(sort, *top.mutable_vips());
  fill_drops(before, now, top);
  return top;
}

std::string show_table(const cli::Top& top, const Style& style) {
  Table t(style,
          {"VIP / BACKEND", "SERVICE", "PACKETS/S", "BITS/S", "CONN/S", "LIVE", "STATE", wide("POD"), wide("NODE")});
  const auto add = [&](std::string what, std::string service, const auto& row, std::string pod, std::string node) {
    const auto [packets, bits, connections, live] = rate_cells(row);
    t.add({std::move(what), std::move(service), packets, bits, connections, live, state_cell(row.state()),
           std::move(pod), std::move(node)});
  };
  for (const auto& v : top.vips()) {  // " ": nothing is missing there
    add(endpoint(v.vip(), v.port()) + "/" + v.protocol(), service_name(v.namespace_(), v.name()), v, " ", " ");
    for (const auto& b : v.backends()) add("  " + endpoint(b.address(), b.port()), " ", b, b.pod(), b.node());
  }
  return t.str();
}

std::string show_drops(const cli::Top& top, const Style& style) {
  if (top.drops().empty()) return "Drops/s: none\n";
  std::string all;
  for (const auto& d : top.drops())
    all += (all.empty() ? "" : ", ") + d.reason() + " " + short_number(d.packets_per_second());
  return "Drops/s: " + painted(style, Colour::kYellow, all) + "\n";
}

std::string short_number(double n) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (n < 999.5) break;
    n /= 1000;
    unit = next;
  }
  const bool whole = n == static_cast<double>(static_cast<uint64_t>(n)) && *unit == '\0';
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%s", whole || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2, n, unit);
  return text;
}

}  // namespace guideway::mgmt
