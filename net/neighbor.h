// ARP for IPv4 over Ethernet (RFC 826, RFC 5227) and the two messages of neighbour discovery that tell a MAC address
// (RFC 4861, 4.3 and 4.4): as they stand on the wire, and how they are written.
#pragma once

#include <cstdint>
#include <cstring>

#include "net/checksum.h"
#include "net/headers.h"

namespace guideway::net {

enum ArpOperation : uint16_t { kArpRequest = 1, kArpReply = 2 };

struct ArpMessage {
  Be16 hardware{1};
  Be16 protocol{static_cast<uint16_t>(EtherType::kIpv4)};
  uint8_t hardware_length = 6;
  uint8_t protocol_length = 4;
  Be16 operation{kArpRequest};
  MacAddress sender_mac;
  Be32 sender;
  MacAddress target_mac;
  Be32 target;

  bool is_request() const {
    constexpr uint8_t kForm[8] = {0, 1, 8, 0, 6, 4, 0, kArpRequest};
    return std::memcmp(this, kForm, sizeof kForm) == 0;
  }
};
static_assert(sizeof(ArpMessage) == 28 && alignof(ArpMessage) == 1);

enum NeighborType : uint8_t { kNeighborSolicitation = 135, kNeighborAdvertisement = 136 };
inline constexpr uint32_t kNeighborSolicited = 0x40000000;
inline constexpr uint32_t kNeighborOverride = 0x20000000;

struct NeighborMessage {
  uint8_t type = 0;
  uint8_t code = 0;
  Be16 checksum;
  Be32 flags;
  IpAddress target;
};
static_assert(sizeof(NeighborMessage) == 24 && alignof(NeighborMessage) == 1);

// Of source (1) or target (2).
struct LinkLayerOption {
  uint8_t type = 2;
  uint8_t units = 1;  // of 8 bytes
  MacAddress mac;
};
static_assert(sizeof(LinkLayerOption) == 8 && alignof(LinkLayerOption) == 1);

// Zero if an ICMPv6 message behind its header carries its right checksum (RFC 4443, 2.3); else what is missing.
inline uint16_t icmpv6_error(const Ipv6Header& h, const void* message, uint32_t length) {
  return static_cast<uint16_t>(~fold(pseudo_sum(&h, Protocol::kIcmpv6, length) + sum_of(message, length)));
}

// A neighbour advertisement as it stands behind the Ethernet header.
struct Advertisement {
  Ipv6Header ip;
  NeighborMessage message;
  LinkLayerOption option;

  // `target` is at `mac`. RFC 4861, 7.2.4 to 7.2.6: solicited only where the one who asked has an address.
  Advertisement(const IpAddress& target, const MacAddress& mac, const IpAddress& to, bool solicited) {
    ip.payload_length = Be16{sizeof message + sizeof option};
    ip.next_header = static_cast<uint8_t>(Protocol::kIcmpv6);
    ip.hop_limit = 255;
    ip.source = target;
    ip.destination = to;
    message.type = kNeighborAdvertisement;
    message.flags = Be32{kNeighborOverride | (solicited ? kNeighborSolicited : 0)};
    message.target = target;
    option.mac = mac;
    message.checksum = Be16::from_wire(icmpv6_error(ip, &message, sizeof message + sizeof option));
  }
};
static_assert(sizeof(Advertisement) == 72 && alignof(Advertisement) == 1);

// ff02::1 and the MAC address that stands for it.
inline constexpr IpAddress kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
inline constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

}  // namespace guideway::net
