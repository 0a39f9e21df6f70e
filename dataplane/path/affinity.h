// Session affinity: a client keeps its real, whatever port it comes from. Its address alone asks the Maglev table, and
// the worker of that hash owns all its flows to the service: it keeps an entry of the client among its connections.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Of a client, whatever it talks to.
template <typename Key>
uint64_t client_hash(const Key& flow, uint64_t seed) {
  Key client{};
  client.source = flow.source;
  return net::flow_hash(client, seed);
}

inline uint64_t client_hash(const Packet& p, uint64_t seed) {
  return p.family == Family::kIpv4 ? client_hash(p.key4, seed) : client_hash(p.key6, seed);
}

// What asks the service's Maglev table, and names the flow's owner if it has one.
inline uint64_t balance_hash(const Packet& p, const Service& service, uint64_t seed) {
  if (service.affinity == 0) [[likely]]
    return p.flow_hash;
  return client_hash(p, seed);
}

// Under this key the client's entry stands; no packet has such a protocol, also in the hash.
template <typename Key>
Key client_key(const Key& flow, ServiceIndex service) {
  Key client = flow;
  client.source_port = net::Be16{static_cast<uint16_t>(static_cast<uint32_t>(service) >> 16)};
  client.destination_port = net::Be16{static_cast<uint16_t>(service)};
  client.protocol |= 0x100;
  return client;
}

// The real that the client had for its last new connection, if that isn't too long ago and the real is ready; or none.
template <typename Entry>
RealIndex affine_real(const typename Entry::KeyType& flow, ServiceIndex service, const ConnectionTable<Entry>& table,
                      const Tables& t, uint64_t table_seed, Tick now) {
  const auto key = client_key(flow, service);
  const SlotRef slot = table.find(key, net::flow_hash(key, table_seed), now);
  if (!slot || table.idle_time(slot, now) >= t.services[service].affinity) return kNone<RealIndex>;
  const RealIndex real = table.entry(slot).real;
  return t.reals[real].state == lb::RealState::kReady ? real : kNone<RealIndex>;
}

// The client has begun a connection to `p.real`, which is its own for as long as the service says.
template <typename Entry>
void remember_client(const Packet& p, const typename Entry::KeyType& flow, ConnectionTable<Entry>& table,
                     uint64_t table_seed, Tick now) {
  Entry e;
  e.key = client_key(flow, p.service);
  const uint64_t hash = net::flow_hash(e.key, table_seed);
  if (const SlotRef slot = table.find(e.key, hash, now)) {
    table.set_real(slot, p.real);
    return table.touch(table.at(slot), now, ConnectionState::kClient);
  }
  e.service = p.service;
  e.real = p.real;
  e.mode = p.mode;
  e.direction = Direction::kNone;
  table.insert(e, hash, now, ConnectionState::kClient);
}

}  // namespace guideway::path
