// Packets, built fluently: Frame().ipv4("10.0.0.1", "192.0.2.1").tcp(40000, 80).syn().payload(10).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/headers.h"

namespace guideway::rig {

using Bytes = std::vector<uint8_t>;

class Frame {
 public:
  Frame& ethernet(std::string_view source, std::string_view destination);
  Frame& ipv4(std::string_view source, std::string_view destination);
  Frame& ipv6(std::string_view source, std::string_view destination);
  Frame& ip(std::string_view source, std::string_view destination);  // by the addresses' family
  Frame& tcp(uint16_t source, uint16_t destination, uint8_t flags = net::kTcpAck);
  Frame& udp(uint16_t source, uint16_t destination);
  Frame& sctp(uint16_t source, uint16_t destination, uint8_t chunk);  // of one chunk, the payload its value
  Frame& echo(bool reply = false);                                    // by the addresses' family
  // Quotes `bytes` of the other packet from its IP header on, at most all; `rest` is the header's second half.
  Frame& icmp_error(uint8_t type, uint8_t code, const Frame& quoted, size_t bytes = SIZE_MAX, uint32_t rest = 0);
  Frame& icmp_error(uint8_t type, uint8_t code, const Bytes& quoted, size_t bytes = SIZE_MAX, uint32_t rest = 0);
  Frame& syn() { return flags(net::kTcpSyn); }
  Frame& flags(uint8_t f);
  Frame& protocol(uint8_t number);  // with whatever payload
  Frame& payload(size_t bytes);
  Frame& ttl(uint8_t t);
  Frame& tos(uint8_t t);
  Frame& flow_label(uint32_t label);
  Frame& options(size_t bytes);                          // IPv4, a multiple of 4
  Frame& fragment(uint16_t field);                       // IPv4 flags and offset
  Frame& extension(uint8_t protocol, size_t bytes = 8);  // IPv6, one more: a multiple of 8, zeros
  // One fragment of the datagram: `bytes` of what follows the IP header, from `from` on, which is a multiple of 8.
  Frame& piece(uint32_t id, size_t from, size_t bytes);
  Frame& vlan(uint16_t number, net::EtherType type = net::EtherType::kVlan);  // one more tag, the outer one first
  Frame& no_udp_checksum();
  Frame& wrong_l4_checksum();
  Frame& pad_to(size_t bytes);  // Ethernet padding
  // What dsr-ipip puts around the packet, by the addresses' family: TTL 64, TOS copied, id 0, DF.
  Frame& encapsulated(std::string_view source, std::string_view destination);
  // What dsr-gue does: the same, and UDP between; its checksum is over IPv6 only.
  Frame& in_gue(std::string_view source, std::string_view destination, uint16_t source_port);

  // With right checksums and lengths.
  Bytes bytes() const;

 private:
  struct Ip {
    net::IpAddress source;
    net::IpAddress destination;
    uint8_t ttl = 64;
    uint8_t tos = 0;
    uint16_t fragment = 0;
    uint16_t id = 0;
    uint32_t flow_label = 0;
    size_t options = 0;
    std::vector<std::pair<uint8_t, size_t>> extensions{};
  };
  struct Piece {
    uint32_t id = 0;
    size_t from = 0;
    size_t bytes = 0;
  };
  Bytes l4() const;
  Bytes sctp_packet(const Bytes& value) const;
  Bytes cut(const Bytes& whole, Ip& ip) const;
  static Bytes wrap(const Ip& ip, uint8_t protocol, const Bytes& payload);
  Bytes in_outer(const Bytes& packet) const;

  net::MacAddress source_{{2, 0, 0, 0, 0, 0xc1}};
  net::MacAddress destination_{{2, 0, 0, 0, 0, 0x01}};
  std::optional<Ip> ip_;
  std::optional<Ip> outer_;
  std::optional<uint16_t> gue_;  // the source port
  uint8_t protocol_ = 59;
  uint16_t source_port_ = 0;
  uint16_t destination_port_ = 0;
  uint8_t flags_ = 0;
  size_t payload_ = 0;
  bool udp_checksum_ = true;
  bool wrong_checksum_ = false;
  size_t pad_to_ = 0;
  net::IcmpHeader icmp_;
  std::optional<Bytes> quoted_;
  std::optional<Piece> piece_;
  std::vector<net::VlanTag> tags_;
};

// Addresses, ports, flags and lengths in one line, for a reader of a failed test.
std::string describe(const Bytes& frame);

}  // namespace guideway::rig
