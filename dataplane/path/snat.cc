#include "dataplane/path/snat.h"

#include <algorithm>
#include <optional>
#include <span>

#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

void assign(net::Be32& to, const net::IpAddress& from) { to = from.as_v4(); }
void assign(net::IpAddress& to, const net::IpAddress& from) { to = from; }

// The family's SNAT addresses, another first for each hash, the same for all packets of one.
class Choice {
 public:
  Choice(const Tables& t, bool v4, uint64_t hash) {
    for (uint32_t i = 0; i < t.snat_count; ++i)
      if (t.snat[i].address.is_v4() == v4) fit_[count_++] = &t.snat[i];
    if (count_ != 0) std::rotate(fit_.begin(), fit_.begin() + gw_slot(hash, count_), fit_.begin() + count_);
  }
  std::span<const SnatAddress* const> all() const { return {fit_.data(), count_}; }

 private:
  std::array<const SnatAddress*, kMaxSnatAddresses> fit_;
  uint32_t count_ = 0;
};

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

// Reset, or closed by one side and quiet since: while the other still sends, acknowledgements come.
bool has_ended(ConnectionState s, Tick idle) {
  return s == ConnectionState::kClosed || (s == ConnectionState::kClosing && idle >= kQuiet);
}

template <typename Key>
Key reversed(const Key& k) {
  return {k.destination, k.source, k.destination_port, k.source_port, k.protocol};
}

// What a real will see of a new flow, and what its answers look like. The SNAT port is ours once `take_…` has said so.
template <typename Entry>
class Outside {
 public:
  using Key = typename Entry::KeyType;

  Outside(const Packet& p, const Entry& forward, const SnatAddress& snat, ConnectionTable<Entry>& table,
          const Tables& t, const Learner& learner, Tick now)
      : snat_(snat),
        table_(table),
        learner_(learner),
        now_(now),
        walk_(snat, t, learner.worker, p.table_hash),
        random_(gw_mix(p.table_hash)) {
    const Real& real = t.reals[forward.real];
    assign(to_real_.source, snat.address);
    assign(to_real_.destination, real.address);
    to_real_.destination_port = real.port == kAnyPort ? forward.key.destination_port : real.port;
    to_real_.protocol = p.protocol;
    place_ = {snat.address, real.address, to_real_.destination_port, p.protocol, 0};
    destination_ = learner.ports->find(place_);
  }

  // A port that no flow towards the same real uses.
  bool take_free() {
    for (unsigned tries = 0; tries < kSnatTries; ++tries, random_ = gw_mix(random_)) {
      const bool known = destination_ != SnatPorts::kNone;
      const uint16_t port = known ? learner_.ports->free_port(destination_, snat_, random_) : walk_.next();
      if (port == 0) return false;
      if (!holder(port)) return true;
    }
    return false;
  }

  // One whose connection has ended, and is forgotten now.
  bool take_ended(Burst& burst, Family family, size_t tries) {
    for (; tries > 0; --tries) {
      const uint16_t port = walk_.next();
      if (port == 0) return false;
      const SlotRef s = holder(port);
      if (!s || !has_ended(table_.at(s).state, table_.idle_time(s, now_)) || in_use(burst, family, table_, s)) continue;
      table_.erase(s);
      destination_ = learner_.ports->find(place_);  // the port may have been its last
      return true;
    }
    return false;
  }

  void give_up() {
    if (destination_ != SnatPorts::kNone) learner_.ports->release_unused(destination_);
  }

  const Key& to_real() const { return to_real_; }
  const Key& reply() const { return reply_; }
  uint64_t reply_hash() const { return reply_hash_; }
  SnatPorts::Index destination() const { return destination_; }

 private:
  // The reply of who uses the port already.
  SlotRef holder(uint16_t port) {
    to_real_.source_port = net::Be16{port};
    reply_ = reversed(to_real_);
    reply_hash_ = net::flow_hash(reply_, learner_.table_seed);
    return table_.find(reply_, reply_hash_, now_);
  }

  const SnatAddress& snat_;
  ConnectionTable<Entry>& table_;
  const Learner& learner_;
  Tick now_;
  PortWalk walk_;
  uint64_t random_;
  Key to_real_{};
  Key reply_{};
  uint64_t reply_hash_ = 0;
  SnatDestination place_{};
  SnatPorts::Index destination_ = SnatPorts::kNone;
};

}  // namespace

template <typename Entry>
DropReason open_nat(Burst& burst, Entry& forward, const Packet& p, ConnectionTable<Entry>& table, const Tables& t,
                    const Learner& learner, Tick now, SlotRef* slot) {
  using Key = typename Entry::KeyType;
  using Address = typename Entry::AddressType;
  const Choice choice(t, p.family == Family::kIpv4, p.flow_hash);
  const auto addresses = choice.all();
  if (addresses.empty()) return DropReason::NO_SNAT_ADDRESS;
  std::optional<Outside<Entry>> outside;
  const auto any = [&](auto&& take) {
    for (const SnatAddress* snat : addresses) {
      outside.emplace(p, forward, *snat, table, t, learner, now);
      if (take()) return true;
      outside->give_up();
    }
    return false;
  };
  if (!any([&] { return outside->take_free(); }) &&
      !any([&] { return outside->take_ended(burst, p.family, kEndedTries / addresses.size()); }))
    return DropReason::NO_SNAT_PORT;

  forward.translation = translation<Key, Address>(forward.key, outside->to_real());
  Entry reply = forward;
  reply.key = outside->reply();
  reply.direction = Direction::kReply;
  reply.snat_destination = outside->destination();
  reply.translation = translation<Key, Address>(reply.key, reversed(forward.key));
  reply.partner_hash = p.table_hash;
  forward.partner_hash = outside->reply_hash();

  const ConnectionState state = p.connected() ? ConnectionState::kSetup : ConnectionState::kUdp;
  const SlotRef back = table.insert(reply, outside->reply_hash(), now, state);
  if (!back) {
    outside->give_up();
    return DropReason::CONNECTIONS_FULL;
  }
  forward.partner = table.index_of(back);
  *slot = table.insert(forward, p.table_hash, now, state);
  if (!*slot) {
    table.erase(back);
    return DropReason::CONNECTIONS_FULL;
  }
  table.set_partner(back, *slot);
  return DropReason::NONE;
}

template <typename Entry>
bool is_nat_pair(const Entry& forward, const Entry& reply) {
  using Key = typename Entry::KeyType;
  using Address = typename Entry::AddressType;
  return forward.mode == Mode::kNat && reply.mode == Mode::kNat && forward.direction == Direction::kForward &&
         reply.direction == Direction::kReply && forward.service == reply.service && forward.real == reply.real &&
         forward.translation == translation<Key, Address>(forward.key, reversed(reply.key)) &&
         reply.translation == translation<Key, Address>(reply.key, reversed(forward.key));
}

template bool is_nat_pair(const Connection4&, const Connection4&);
template bool is_nat_pair(const Connection6&, const Connection6&);
template DropReason open_nat(Burst&, Connection4&, const Packet&, ConnectionTable<Connection4>&, const Tables&,
                             const Learner&, Tick, SlotRef*);
template DropReason open_nat(Burst&, Connection6&, const Packet&, ConnectionTable<Connection6>&, const Tables&,
                             const Learner&, Tick, SlotRef*);

}  // namespace guideway::path
