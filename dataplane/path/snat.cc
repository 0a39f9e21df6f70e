#include "dataplane/path/snat.h"

#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

void assign(net::Be32& to, const net::IpAddress& from) { to = from.as_v4(); }
void assign(net::IpAddress& to, const net::IpAddress& from) { to = from; }

// One of the SNAT addresses of the family, the same for all packets of a hash.
const SnatAddress* choose_address(const Tables& t, bool v4, uint64_t hash) {
  std::array<const SnatAddress*, kMaxSnatAddresses> fit;
  uint32_t count = 0;
  for (uint32_t i = 0; i < t.snat_count; ++i)
    if (t.snat[i].address.is_v4() == v4) fit[count++] = &t.snat[i];
  return count == 0 ? nullptr : fit[gw_slot(hash, count)];
}

// Walks the ports of the range that are in blocks of ours, from a random one on.
class PortWalk {
 public:
  PortWalk(const SnatAddress& range, const Tables& t, unsigned worker, uint64_t hash)
      : range_(range), t_(t), worker_(worker) {
    port_ = range.port_min + gw_slot(gw_mix(hash), range.port_max - range.port_min + 1U);
  }
  // Zero when the whole range has been looked at without one of ours.
  uint16_t next() {
    for (unsigned blocks = 0; blocks <= kSnatBlocks; ++blocks) {
      if (port_ > range_.port_max) port_ = range_.port_min;
      if (t_.snat_owner[port_ >> kSnatBlockBits] == worker_) return static_cast<uint16_t>(port_++);
      port_ = ((port_ >> kSnatBlockBits) + 1) << kSnatBlockBits;
    }
    return 0;
  }

 private:
  const SnatAddress& range_;
  const Tables& t_;
  unsigned worker_;
  uint32_t port_;
};

template <typename Address>
uint64_t address_sum(const Address& a, const Address& b) {
  return net::sum_of(&a, sizeof a) + net::sum_of(&b, sizeof b);
}

// `after` is what the packet of `before` becomes.
template <typename Key, typename Address>
Translation<Address> translation(const Key& before, const Key& after) {
  const uint64_t old_addresses = address_sum(before.source, before.destination);
  const uint64_t new_addresses = address_sum(after.source, after.destination);
  const uint64_t old_ports = net::sum_of(&before.source_port, 4);
  const uint64_t new_ports = net::sum_of(&after.source_port, 4);
  return {after.source,
          after.destination,
          after.source_port,
          after.destination_port,
          net::checksum_delta(old_addresses, new_addresses),
          net::checksum_delta(old_addresses + old_ports, new_addresses + new_ports)};
}

bool has_ended(ConnectionState s) { return s == ConnectionState::kClosing || s == ConnectionState::kClosed; }

template <typename Key>
Key reversed(const Key& k) {
  return {k.destination, k.source, k.destination_port, k.source_port, k.protocol, {}};
}

}  // namespace

template <typename Entry>
DropReason open_nat(Burst& burst, Entry& forward, const Packet& p, ConnectionTable<Entry>& table, const Tables& t,
                    const Learner& learner, Tick now, SlotRef* slot) {
  using Key = typename Entry::KeyType;
  const Real& real = t.reals[forward.real];
  const SnatAddress* snat = choose_address(t, p.family == Family::kIpv4, p.flow_hash);
  if (snat == nullptr) return DropReason::NO_SNAT_ADDRESS;

  // What the real will see, and what its answers look like.
  Key to_real{.source = {},
              .destination = {},
              .source_port = {},
              .destination_port = real.port == kAnyPort ? forward.key.destination_port : real.port,
              .protocol = p.protocol,
              .zero = {}};
  assign(to_real.source, snat->address);
  assign(to_real.destination, real.address);
  Key reply_key;
  uint64_t reply_hash = 0;
  const auto holder = [&](uint16_t port) {
    to_real.source_port = net::Be16{port};
    reply_key = reversed(to_real);
    reply_hash = net::flow_hash(reply_key, learner.table_seed);
    return table.find(reply_key, reply_hash, now);
  };
  SnatPorts& ports = *learner.ports;
  const SnatDestination key{snat->address, real.address, to_real.destination_port, p.protocol, 0};
  SnatPorts::Index destination = ports.find(key);
  PortWalk walk(*snat, t, learner.worker, p.table_hash);
  bool found = false;
  uint64_t random = gw_mix(p.table_hash);
  for (unsigned tries = 0; tries < kSnatTries && !found; ++tries, random = gw_mix(random)) {
    const uint16_t port = destination != SnatPorts::kNone ? ports.free_port(destination, *snat, random) : walk.next();
    if (port == 0) break;
    found = !holder(port);
  }
  for (unsigned tries = 0; tries < kEndedTries && !found; ++tries) {
    const uint16_t port = walk.next();
    if (port == 0) break;
    const SlotRef s = holder(port);
    if (!s || !has_ended(table.at(s).state) || in_use(burst, p.family, table, s)) continue;
    table.erase(s);
    found = true;
    destination = ports.find(key);  // the port may have been its last
  }
  if (!found) {
    if (destination != SnatPorts::kNone) ports.release_unused(destination);
    return DropReason::NO_SNAT_PORT;
  }

  using Address = typename Entry::AddressType;
  forward.translation = translation<Key, Address>(forward.key, to_real);
  Entry reply = forward;
  reply.key = reply_key;
  reply.direction = Direction::kReply;
  reply.snat_destination = destination;
  reply.translation = translation<Key, Address>(reply_key, reversed(forward.key));
  reply.partner_hash = p.table_hash;
  forward.partner_hash = reply_hash;

  const ConnectionState state = p.connected() ? ConnectionState::kSetup : ConnectionState::kUdp;
  const SlotRef back = table.insert(reply, reply_hash, now, state);
  if (!back) {
    if (destination != SnatPorts::kNone) ports.release_unused(destination);
    return DropReason::CONNECTIONS_FULL;
  }
  forward.partner = table.index_of(back);
  *slot = table.insert(forward, p.table_hash, now, state);
  if (!*slot) {
    table.erase(back);
    return DropReason::CONNECTIONS_FULL;
  }
  table.entry(back).partner = table.index_of(*slot);
  return DropReason::NONE;
}

template DropReason open_nat(Burst&, Connection4&, const Packet&, ConnectionTable<Connection4>&, const Tables&,
                             const Learner&, Tick, SlotRef*);
template DropReason open_nat(Burst&, Connection6&, const Packet&, ConnectionTable<Connection6>&, const Tables&,
                             const Learner&, Tick, SlotRef*);

}  // namespace guideway::path
