// Connections that an earlier engine has left in the tables' memory, taken up before a worker begins. Killed at any
// moment, that engine may have left a half change; and memory may be damaged.
#pragma once

#include <span>

#include "dataplane/path/connections.h"
#include "dataplane/path/ledger.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// When that engine was last seen.
struct Left {
  uint64_t table_seed = 0;  // of its tables
  Tick last = 0;            // its time then
  uint32_t away = 0;        // seconds since
};

// How long ago a time of theirs was. A worker may have run on for minutes after it was last seen.
inline auto seconds_of(const Left& left) {
  return [left](Tick time) {
    const auto age = static_cast<Tick>(left.last - time);
    return (age > kMaxIdle ? 0U : age) + left.away;
  };
}

// Whether an entry, with nat's other direction, says what some engine may have written, of a service and a real that
// control knows.
template <typename Entry>
bool is_sound(const Entry& one, const Entry* other, const Tables& t);

struct Recovered {
  uint32_t v4 = 0;  // entries
  uint32_t v6 = 0;
};

// What is whole, and names a service and a real that control knows, stays; its SNAT port is taken, and its real counts
// it as live.
Recovered recover(Connections& connections, const Left& left, const Tables& t, unsigned worker, Ledger& ledger);

extern template bool is_sound(const Connection4&, const Connection4*, const Tables&);
extern template bool is_sound(const Connection6&, const Connection6*, const Tables&);

// How far an entry of another table has come, by this engine's time.
struct Age {
  ConnectionState state{};
  Tick last = 0;  // packet
  Tick now = 0;
};

// What an earlier engine's table says of a connection, into one of this engine's: nat's with its reply.
template <typename Entry>
bool take_in(Entry forward, const Entry* reply, Age age, ConnectionTable<Entry>& table, uint64_t table_seed,
             Ledger& ledger);

extern template bool take_in(Connection4, const Connection4*, Age, ConnectionTable<Connection4>&, uint64_t, Ledger&);
extern template bool take_in(Connection6, const Connection6*, Age, ConnectionTable<Connection6>&, uint64_t, Ledger&);

// A connection that the kernel has begun while no worker was there.
struct KernelsFlow {
  net::FlowKey6 connection;
  RealIndex real{};
};

// What a table still knows of an earlier connection of the same addresses and ports makes way for the kernel's.
void make_way(std::span<const KernelsFlow> begun, Connections& connections, uint64_t table_seed, Tick now);

}  // namespace guideway::path
