// How far a connection has come, and how long it is remembered without a packet.
#pragma once

#include <array>
#include <cstdint>

namespace guideway::path {

// Connections are timed in ticks of one second.
using Tick = uint16_t;

// For DSR only the client's half is seen, so states follow what the client sends.
enum class ConnectionState : uint8_t {
  kUdp,
  kSetup,        // SYN seen
  kEstablished,  // the client answered
  kClosing,      // FIN seen; a download may still go on, and its acknowledgements keep the entry
  kClosed,       // RST seen
  kClient,       // no connection: a client of a service with session affinity (affinity.h)
};

// Idle time, seconds, after which an entry is free. TCP established: RFC 5382, REQ-5; the others keep a flood short.
using IdleTimeouts = std::array<Tick, 6>;
inline constexpr IdleTimeouts kIdleTimeout{30, 30, 7'440, 60, 5, 10'800};
// Longest of them: ticks are 16 bits, and an entry is looked at every eight seconds.
inline constexpr Tick kMaxIdle = 65'000;

}  // namespace guideway::path
