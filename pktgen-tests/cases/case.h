// A packet case: what is configured, the packet that comes in, and what must come of it. Plain data, so that more than
// one implementation can be held against the same table.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "pktgen-tests/rig/frame.h"
#include "pktgen-tests/rig/rig.h"

namespace guideway::cases {

using net::DropReason;
using net::Protocol;
using path::Mode;
using rig::Frame;
using rig::Rig;

struct Case {
  std::string description;
  std::function<void(Rig&)> configure;  // on top of the network of network()
  std::vector<Frame> before = {};       // sent first, whatever comes of them
  Frame in = {};
  std::optional<Frame> out = {};  // what must leave, by `out_port`
  std::vector<Frame> more = {};   // and after it
  unsigned out_port = 1;
  net::DropReason reason = net::DropReason::NONE;  // why it was dropped, though something may leave in its place
  rig::Bytes raw = {};                             // instead of `in`, where no builder makes such a packet
  rig::Bytes raw_out = {};                         // likewise instead of `out`
  unsigned in_port = 0;
  uint16_t headroom = RTE_PKTMBUF_HEADROOM;  // bytes before the packet in its buffer
};

// Clients behind port 0 (10.0.0.99, 2001:db8:0::99), servers on the link of port 1 (10.0.1.10… and 2001:db8:1::10…),
// more behind a router there (10.9.0.0/16 and 2001:db8:9::/48 via 10.0.1.254, 2001:db8:1::fe).
void network(Rig& rig);

inline constexpr const char* kClientMac = "02:00:00:00:00:c1";
inline constexpr const char* kPort0Mac = "02:00:00:00:00:01";
inline constexpr const char* kPort1Mac = "02:00:00:00:00:02";
inline constexpr const char* kRouterMac = "02:00:00:00:01:fe";
std::string real_mac(unsigned n);  // of 10.0.1.<n> and 2001:db8:1::<n>

// The VIPs of most cases.
inline constexpr const char* kVip = "192.0.2.10";
inline constexpr const char* kVip6 = "2001:db8:ff::10";

control::ServiceSpec service(std::string_view vip, uint16_t port, net::Protocol protocol, path::Mode mode,
                             std::initializer_list<std::string_view> reals, uint16_t real_port = 0);
// One dedicated SNAT address of each family, 10.0.1.200 and 2001:db8:1::200, with these ports.
control::GatewaySpec snat(uint16_t port_min = 20'000, uint16_t port_max = 59'999);

// The group's hash, of seed 0, of a frame without tags, options or extension headers.
uint64_t flow_hash(const Frame& frame);

// The tables, by subject.
std::vector<Case> parse_cases();
std::vector<Case> dsr_cases();
std::vector<Case> encap_cases();
std::vector<Case> fit_cases();
std::vector<Case> nat_cases();
std::vector<Case> route_cases();
std::vector<Case> icmp_cases();
std::vector<Case> sctp_cases();
std::vector<Case> service_cases();
std::vector<Case> announce_cases();
std::vector<Case> all_cases();

// What takes more than one packet to happen: each function makes the reason count.
struct Pressure {
  std::string description;
  net::DropReason reason;
  std::function<uint64_t()> drops;  // how many packets were dropped for it
};
std::vector<Pressure> pressures();

}  // namespace guideway::cases
