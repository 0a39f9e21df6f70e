#include "dataplane/path/recover.h"

#include <utility>

#include "dataplane/path/snat.h"

namespace guideway::path {

namespace {

net::IpAddress widened(net::Be32 a) { return net::IpAddress::v4(a); }
net::IpAddress widened(const net::IpAddress& a) { return a; }

// Control knows what it has given out: their rows are filled.
template <typename Entry>
bool is_known(const Entry& e, const Tables& t) {
  const auto service = static_cast<uint32_t>(e.service);
  if (service >= t.services.size() || t.services[e.service].epoch == 0) return false;
  if (e.direction == Direction::kNext) return true;
  const auto real = static_cast<uint32_t>(e.real);
  return real < t.reals.size() && t.reals[e.real].service == e.service;
}

template <typename Entry>
SnatPorts::Index snat_destination_of(const Entry& reply, SnatPorts& ports) {
  return ports.find({widened(reply.key.destination), widened(reply.key.source), reply.key.source_port,
                     static_cast<uint8_t>(reply.key.protocol), 0});
}

// Takes up what is sound. The SNAT port must be one of this worker's.
template <typename Entry>
auto adoption(const Tables& t, unsigned worker, Ledger& ledger) {
  return [&t, worker, &ledger](Entry& one, Entry* other) {
    if (!is_sound(one, other, t)) return false;
    if (other != nullptr) {
      Entry& reply = one.direction == Direction::kReply ? one : *other;
      if (t.snat_owner[reply.key.destination_port.host() >> kSnatBlockBits] != worker) return false;
      reply.snat_destination = snat_destination_of(reply, ledger.ports());
      ledger.resumed(*other);
    }
    ledger.resumed(one);
    return true;
  };
}

}  // namespace

template <typename Entry>
bool is_sound(const Entry& one, const Entry* other, const Tables& t) {
  if (one.mode > Mode::kNat || one.direction > Direction::kNone || !is_known(one, t)) return false;
  if (other != nullptr)
    return one.direction == Direction::kForward ? is_nat_pair(one, *other) : is_nat_pair(*other, one);
  return one.direction != Direction::kReply && (one.direction != Direction::kForward || one.mode != Mode::kNat);
}

template bool is_sound(const Connection4&, const Connection4*, const Tables&);
template bool is_sound(const Connection6&, const Connection6*, const Tables&);

template <typename Entry>
bool take_in(Entry forward, const Entry* reply, Age age, ConnectionTable<Entry>& table, uint64_t table_seed,
             Ledger& ledger) {
  const uint64_t hash = net::flow_hash(forward.key, table_seed);
  if (table.find(forward.key, hash, age.now)) return true;
  SlotRef back_slot;
  if (reply != nullptr) {
    Entry back = *reply;
    back.partner = kNoPartner;
    back.partner_hash = hash;
    back.snat_destination = snat_destination_of(back, ledger.ports());
    forward.partner_hash = net::flow_hash(back.key, table_seed);
    back_slot = table.insert(back, forward.partner_hash, age.now, age.state);
    if (!back_slot) {
      if (back.snat_destination != SnatPorts::kNone) ledger.ports().release_unused(back.snat_destination);
      return false;
    }
    forward.partner = table.index_of(back_slot);
  }
  const SlotRef slot = table.insert(forward, hash, age.now, age.state);
  if (!slot) {
    if (back_slot) table.erase(back_slot);
    return false;
  }
  if (back_slot) table.set_partner(back_slot, slot);
  table.touch(table.at(slot), age.last, age.state);  // of both
  return true;
}

template bool take_in(Connection4, const Connection4*, Age, ConnectionTable<Connection4>&, uint64_t, Ledger&);
template bool take_in(Connection6, const Connection6*, Age, ConnectionTable<Connection6>&, uint64_t, Ledger&);

namespace {

template <typename Entry>
void make_way(const typename Entry::KeyType& key, RealIndex real, ConnectionTable<Entry>& table, uint64_t table_seed,
              Tick now) {
  const SlotRef slot = table.find(key, net::flow_hash(key, table_seed), now);
  if (!slot) return;
  const auto found = table.at(slot);
  const bool over = found.state == ConnectionState::kClosing || found.state == ConnectionState::kClosed;
  if (over || found.entry->real != real) table.erase(slot);
}

}  // namespace

void make_way(std::span<const KernelsFlow> begun, Connections& connections, uint64_t table_seed, Tick now) {
  for (const auto& [connection, real] : begun) {
    if (connection.source.is_v4())
      make_way(net::narrow(connection), real, connections.v4, table_seed, now);
    else
      make_way(connection, real, connections.v6, table_seed, now);
  }
}

Recovered recover(Connections& connections, const Left& left, const Tables& t, unsigned worker, Ledger& ledger) {
  const auto seconds = seconds_of(left);
  return {connections.v4.recover(left.table_seed, seconds, adoption<Connection4>(t, worker, ledger)),
          connections.v6.recover(left.table_seed, seconds, adoption<Connection6>(t, worker, ledger))};
}

}  // namespace guideway::path
