// Who is connected to the API.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace guideway::mgmt {

struct Peer {
  std::string caller;   // as the log names callers
  intptr_t socket = 0;  // over TCP: channelz's number of the connection, which no other ever has
  int fd = -1;          // over a Unix socket
  ino_t inode = 0;      // of that
};

// The kernel knows those of Unix sockets, gRPC (channelz) those over TCP, of which only such are told as have calls
// under way. Both from any thread.
std::vector<Peer> peers();
bool is_connected(const Peer& peer);

}  // namespace guideway::mgmt
