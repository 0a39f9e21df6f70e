// Headers as they stand on the wire. Sizes are asserted; everything is byte-aligned.
#pragma once

#include "net/address.h"
#include "net/byte_order.h"

namespace guideway::net {

enum class EtherType : uint16_t { kIpv4 = 0x0800, kArp = 0x0806, kVlan = 0x8100, kIpv6 = 0x86dd };
enum class Protocol : uint8_t { kIcmp = 1, kIpIp = 4, kTcp = 6, kUdp = 17, kIpv6 = 41, kIcmpv6 = 58, kSctp = 132 };

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

// RFC 791.
struct Ipv4Header {
  uint8_t version_ihl = 0x45;
  uint8_t tos = 0;
  Be16 total_length;
  Be16 id;
  Be16 fragment;  // flags and offset in units of 8 bytes
  uint8_t ttl = 64;
  uint8_t protocol = 0;
  Be16 checksum;
  Be32 source;
  Be32 destination;

  unsigned version() const { return version_ihl >> 4; }
  unsigned header_length() const { return (version_ihl & 0xfU) * 4; }   // bytes
  bool is_fragment() const { return (fragment.host() & 0x3fff) != 0; }  // more fragments, or an offset
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);
inline constexpr uint16_t kIpv4DontFragment = 0x4000;

// RFC 8200.
struct Ipv6Header {
  Be32 version_class_flow{0x60000000};
  Be16 payload_length;
  uint8_t next_header = 0;
  uint8_t hop_limit = 64;
  IpAddress source;
  IpAddress destination;

  unsigned version() const { return version_class_flow.host() >> 28; }
  uint8_t traffic_class() const { return static_cast<uint8_t>(version_class_flow.host() >> 20); }
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

// RFC 9293.
struct TcpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t data_offset = 0x50;
  uint8_t flags = 0;
  Be16 window;
  Be16 checksum;
  Be16 urgent;

  unsigned header_length() const { return (data_offset >> 4) * 4U; }  // bytes
};
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);
enum TcpFlag : uint8_t { kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpPsh = 0x08, kTcpAck = 0x10 };

// RFC 768.
struct UdpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be16 length;
  Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);

// RFC 792, RFC 4443.
struct IcmpHeader {
  uint8_t type = 0;
  uint8_t code = 0;
  Be16 checksum;
  Be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

}  // namespace guideway::net
