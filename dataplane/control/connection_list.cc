#include "dataplane/control/connection_list.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bitset>
#include <optional>
#include <unordered_set>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/values.h"

namespace guideway::control {

namespace {

// Of a part: as many buckets as a step of the sweep looks at, and rows of half a message.
constexpr uint32_t kMostBuckets = 8'192;
constexpr uint32_t kMostRows = 1'000;
constexpr size_t kMostBytes = kMaxMessage / 2;
constexpr uint32_t kSlots = 8;

// A ConnectionFilter, decoded.
struct Filter {
  std::optional<std::unordered_set<path::ServiceIndex>> services;
  std::optional<net::Prefix> client;
  std::optional<net::IpAddress> vip;
  std::optional<net::IpAddress> real;
  uint32_t vip_port = 0;  // 0: any
  uint32_t protocol = 0;  // 0: any
  std::bitset<8> states;  // none: any

  template <typename Entry>
  bool fits(const path::Peeked<Entry>& p, const Publisher& publisher) const {
    const Entry& e = p.entry;
    if (states.any() && !states[static_cast<size_t>(state_of(p.state))]) return false;
    if (protocol != 0 && e.key.protocol != protocol) return false;
    if (vip_port != 0 && e.key.destination_port.host() != vip_port) return false;
    if (services && !services->contains(e.service)) return false;
    if (real && publisher.real(e.real).address != *real) return false;
    if (!client && !vip) return true;
    const net::FlowKey6 key = net::widen(e.key);
    return (!client || net::contains(*client, key.source)) && (!vip || key.destination == *vip);
  }
};

absl::StatusOr<Filter> decode(const engine::ConnectionFilter& m, const Publisher& publisher) {
  Filter f;
  if (!m.service_prefix().empty()) f.services = publisher.named_with(m.service_prefix());
  if (m.has_client() && !(f.client = prefix_of(m.client().address(), m.client().length())))
    return absl::InvalidArgumentError("filter.client is no prefix");
  if (!m.vip().empty() && !(f.vip = net::ip_of_bytes(m.vip())))
    return absl::InvalidArgumentError(absl::StrCat("filter.vip: ", kAddressShape));
  if (!m.real().empty() && !(f.real = net::ip_of_bytes(m.real())))
    return absl::InvalidArgumentError(absl::StrCat("filter.real: ", kAddressShape));
  f.vip_port = m.vip_port();
  f.protocol = m.protocol();
  for (const int s : m.states()) {
    if (s <= 0 || s > engine::ConnectionState_MAX)
      return absl::InvalidArgumentError("filter.states has a state that there isn't");
    f.states.set(static_cast<size_t>(s));
  }
  return f;
}

// The translation's addresses are of the entry's family.
net::IpAddress widen(net::Be32 a) { return net::IpAddress::v4(a); }
net::IpAddress widen(const net::IpAddress& a) { return a; }

template <typename Entry>
void write(const path::Peeked<Entry>& p, uint32_t worker, const Publisher& publisher, engine::Connection& out) {
  const Entry& e = p.entry;
  const net::FlowKey6 key = net::widen(e.key);
  const path::Real& real = publisher.real(e.real);
  out.set_worker(worker);
  out.set_protocol(key.protocol);
  out.set_client(net::bytes_of(key.source));
  out.set_client_port(key.source_port.host());
  out.set_vip(net::bytes_of(key.destination));
  out.set_vip_port(key.destination_port.host());
  out.set_service(publisher.name_of(e.service));
  out.set_real(net::bytes_of(real.address));
  out.set_real_port(real.port == path::kAnyPort ? key.destination_port.host() : real.port.host());
  out.set_mode(mode_of(e.mode));
  out.set_state(state_of(p.state));
  out.set_idle_seconds(p.idle);
  if (e.mode != path::Mode::kNat) return;
  out.set_snat(net::bytes_of(widen(e.translation.source)));
  out.set_snat_port(e.translation.source_port.host());
}

class Part {
 public:
  Part(const Publisher& publisher, Filter filter, const engine::ConnectionsRequest& request)
      : publisher_(publisher),
        filter_(std::move(filter)),
        rows_(std::min(request.rows(), kMostRows)),
        counts_(request.rows() == 0),
        at_(request.from()) {}

  // True if all of the table has been looked at; else the part is full.
  template <typename Entry>
  bool take(const path::ConnectionTable<Entry>& table, const path::Worker& worker) {
    const auto now = static_cast<path::Tick>(worker.counters().tick.read());
    path::Peeked<Entry> seen;
    for (uint32_t bucket = at_.bucket(); bucket < table.buckets(); ++bucket) {
      if (buckets_ == 0) return go_to(bucket, 0), false;
      --buckets_;
      for (uint32_t slot = at_.slot(); slot < kSlots; ++slot) {
        if (!table.peek(bucket, slot, &seen, now, publisher_.idle_timeouts())) continue;
        // A nat connection is told by its client's side alone, and where its SNAT port is. An entry may change while we
        // look: it has a real in any case.
        if (seen.entry.direction != path::Direction::kForward || seen.entry.real == path::kNone<path::RealIndex>)
          continue;
        if (!filter_.fits(seen, publisher_)) continue;
        if (!counts_ && (rows_ == 0 || bytes_ >= kMostBytes)) return go_to(bucket, slot), false;
        out_.set_matched(out_.matched() + 1);
        if (counts_) continue;
        --rows_;
        engine::Connection& row = *out_.add_connections();
        write(seen, at_.table() / 2, publisher_, row);
        bytes_ += row.ByteSizeLong();
      }
      at_.set_slot(0);
    }
    go_to(0, 0);
    return true;
  }

  engine::Connections finish(const std::vector<const path::Worker*>& workers) {
    for (; at_.table() < workers.size() * 2; at_.set_table(at_.table() + 1)) {
      const path::Worker& w = *workers[at_.table() / 2];
      if (!(at_.table() % 2 == 0 ? take(w.connections().v4, w) : take(w.connections().v6, w))) {
        *out_.mutable_next() = at_;
        break;
      }
    }
    return std::move(out_);
  }

 private:
  void go_to(uint32_t bucket, uint32_t slot) {
    at_.set_bucket(bucket);
    at_.set_slot(slot);
  }

  const Publisher& publisher_;
  Filter filter_;
  uint32_t rows_;  // that there still is room for
  bool counts_;
  uint32_t buckets_ = kMostBuckets;  // that are still looked at
  size_t bytes_ = 0;                 // of rows so far
  engine::ConnectionsPosition at_;
  engine::Connections out_;
};

}  // namespace

absl::StatusOr<engine::Connections> connections_part(const Publisher& publisher,
                                                     const std::vector<const path::Worker*>& workers,
                                                     const engine::ConnectionsRequest& request) {
  auto filter = decode(request.filter(), publisher);
  if (!filter.ok()) return filter.status();
  return Part(publisher, std::move(*filter), request).finish(workers);
}

}  // namespace guideway::control
