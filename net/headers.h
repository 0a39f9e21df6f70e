// Headers as they stand on the wire. Sizes are asserted; everything is byte-aligned.
#pragma once

#include "net/address.h"
#include "net/byte_order.h"

namespace guideway::net {

enum class EtherType : uint16_t {
  kIpv4 = 0x0800,
  kArp = 0x0806,
  kVlan = 0x8100,
  kIpv6 = 0x86dd,
  kServiceVlan = 0x88a8
};
enum class Protocol : uint8_t {
  kHopByHop = 0,
  kIcmp = 1,
  kIpIp = 4,
  kTcp = 6,
  kUdp = 17,
  kIpv6 = 41,
  kRouting = 43,
  kFragment = 44,
  kIcmpv6 = 58,
  kDestinationOptions = 60,
  kSctp = 132
};

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

// IEEE 802.1Q, behind the EtherType that says so.
struct VlanTag {
  Be16 control;  // the low 12 bits are the VLAN's number
  Be16 type;     // of what follows
};
static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);

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
  unsigned header_length() const { return (version_ihl & 0xfU) * 4; }                // bytes
  bool is_fragment() const { return (fragment.wire() & Be16{0x3fff}.wire()) != 0; }  // more fragments, or an offset
  bool is_first() const { return (fragment.host() & 0x1fff) == 0; }
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);
// Of Ipv4Header::fragment.
inline constexpr uint16_t kIpv4DontFragment = 0x4000;
inline constexpr uint16_t kIpv4MoreFragments = 0x2000;

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

// RFC 8200, 4.3, 4.4 and 4.6: hop-by-hop options, routing, destination options.
struct Ipv6Extension {
  uint8_t next_header = 0;
  uint8_t units = 0;  // of 8 bytes, beyond the first

  unsigned length() const { return (units + 1U) * 8; }  // bytes
};
static_assert(sizeof(Ipv6Extension) == 2 && alignof(Ipv6Extension) == 1);

// RFC 8200, 4.5.
struct Ipv6Fragment {
  uint8_t next_header = 0;
  uint8_t reserved = 0;
  Be16 offset;  // in units of 8 bytes, in the upper 13 bits; the last: more fragments
  Be32 id;

  bool is_fragment() const { return (offset.host() & 0xfff9) != 0; }  // else RFC 6946's: all of it
  bool is_first() const { return (offset.host() & 0xfff8) == 0; }
};
static_assert(sizeof(Ipv6Fragment) == 8 && alignof(Ipv6Fragment) == 1);

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

  unsigned header_length() const { return (data_offset >> 2) & 0x3cU; }  // bytes
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

// Generic UDP Encapsulation (draft-ietf-intarea-gue): of variant 1 the port is all that there is.
inline constexpr uint16_t kGuePort = 6080;

// RFC 792, RFC 4443.
struct IcmpHeader {
  uint8_t type = 0;
  uint8_t code = 0;
  Be16 checksum;
  Be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);
enum Icmp4Type : uint8_t {
  kIcmp4EchoReply = 0,
  kIcmp4Unreachable = 3,
  kIcmp4Echo = 8,
  kIcmp4TimeExceeded = 11,
  kIcmp4ParameterProblem = 12
};
enum Icmp6Type : uint8_t {
  kIcmp6Unreachable = 1,
  kIcmp6PacketTooBig = 2,
  kIcmp6TimeExceeded = 3,
  kIcmp6ParameterProblem = 4,
  kIcmp6Echo = 128,
  kIcmp6EchoReply = 129
};

// RFC 9260, 3: the common header, and the first four bytes of every chunk.
struct SctpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 tag;
  Be32 checksum;  // CRC32c of all of it, with zero here
};
static_assert(sizeof(SctpHeader) == 12 && alignof(SctpHeader) == 1);
struct SctpChunk {
  uint8_t type = 0;
  uint8_t flags = 0;
  Be16 length;  // with these four bytes, without padding
};
static_assert(sizeof(SctpChunk) == 4 && alignof(SctpChunk) == 1);
enum SctpChunkType : uint8_t {
  kSctpData = 0,
  kSctpInit = 1,
  kSctpAbort = 6,
  kSctpShutdown = 7,
  kSctpShutdownAck = 8,
  kSctpShutdownComplete = 14
};

}  // namespace guideway::net
