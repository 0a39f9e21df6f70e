// What guideway doctor finds on this host: facts, unjudged. Reads /proc, /sys and the interfaces' settings; changes
// nothing and needs no privilege, though without it some facts stay unknown.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"

namespace guideway::mgmt {

struct RingFacts {
  uint32_t size = 0;  // descriptors
  uint32_t max = 0;
};

// A network interface, as ethtool tells it; what the driver doesn't tell is unset.
struct InterfaceFacts {
  bool present = false;  // in this network namespace
  bool up = false;       // as ip link sets it; it may have no carrier
  std::string driver;
  std::optional<uint32_t> rx_queues;  // in use
  std::optional<uint32_t> rx_queues_max;
  bool combined_queues = true;  // ethtool -L sets them together with those that send
  std::optional<RingFacts> rx_ring;
  std::optional<RingFacts> tx_ring;
  std::map<std::string, bool> features;  // "rx-lro" → on
  uint32_t rp_filter = 0;                // in force: the larger of the interface's and that of all
};

// The way out to some address.
struct Egress {
  std::string interface;
  uint32_t mtu = 0;   // bytes of IP
  std::string below;  // the interface that a VLAN's is on; else empty
};

struct HostAddress {
  net::IpAddress address;
  uint32_t length = 0;  // of its network's prefix
  std::string interface;
};

struct CoreFacts {
  std::vector<uint32_t> siblings;  // that share its execution units, itself included
  std::string governor;            // of its frequency; empty: the host doesn't tell
};

struct ProcessFacts {
  uint64_t capabilities = 0;  // effective
  bool seccomp = false;       // its system calls are filtered
};

struct HostFacts {
  std::string kernel;          // "6.1.0-18-amd64"
  uint64_t hugepages_2mb = 0;  // free ones are in use by nobody
  uint64_t hugepages_2mb_free = 0;
  bool bpf_jit = true;
  bool bpffs = true;   // is mounted at /sys/fs/bpf or, as by the package's unit, at /run/guideway/bpf
  bool af_xdp = true;  // the kernel has such sockets
  std::optional<bool> clock_synchronized;
  uint64_t neighbors = 0;                  // of IPv4, in this network namespace
  std::optional<uint64_t> neighbors_kept;  // fewer, of all namespaces, are never forgotten (gc_thresh1)
  uint64_t neighbors_soft_limit = 0;       // gc_thresh2
  uint64_t neighbors_limit = 0;            // gc_thresh3
  std::vector<HostAddress> addresses;
  std::map<std::string, InterfaceFacts> interfaces;  // those asked for
  std::map<uint32_t, CoreFacts> cores;               // likewise
  std::map<net::IpAddress, Egress> egress;           // likewise, of those that are routed; by one of several hops
  std::optional<ProcessFacts> engine;                // if one runs here and may be seen
  bool daemon = false;                               // guidewayd runs here
  std::string user;                                  // whose process this is; empty: it has no name
  bool root = false;                                 // this is root's process
  uint64_t bounding = 0;                             // capabilities that a program started from here can have
};

// Files are read below `root`, for tests; what system calls tell is this host's whatever it is.
HostFacts look_at_host(const std::vector<std::string>& interfaces, const std::vector<uint32_t>& cores,
                       const std::vector<net::IpAddress>& destinations, const std::string& root = "");

}  // namespace guideway::mgmt
