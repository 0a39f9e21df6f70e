#include "pktgen-tests/rig/frame.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "net/checksum.h"

namespace guideway::rig {

namespace {

net::IpAddress address(std::string_view text) {
  const auto a = net::parse_ip(text);
  if (!a) throw std::invalid_argument("not an address: " + std::string(text));
  return *a;
}

void append(Bytes& to, const void* from, size_t size) {
  const size_t at = to.size();
  to.resize(at + size);
  if (size > 0) std::memcpy(to.data() + at, from, size);
}

template <typename Header>
void append(Bytes& to, const Header& h) {
  append(to, &h, sizeof h);
}

void append(Bytes& to, const Bytes& from) { append(to, from.data(), from.size()); }

// RFC 9293, 3.1 and RFC 8200, 8.1. What it covers of the addresses is the same sum in both families.
net::Be16 l4_checksum(const net::IpAddress& source, const net::IpAddress& destination, uint8_t protocol,
                      const Bytes& segment) {
  uint64_t sum = net::Be16{protocol}.wire() + net::Be32{static_cast<uint32_t>(segment.size())}.wire();
  const size_t skip = source.is_v4() ? 12 : 0;
  sum += net::sum_of(source.bytes.data() + skip, 16 - skip) + net::sum_of(destination.bytes.data() + skip, 16 - skip);
  return net::Be16::from_wire(static_cast<uint16_t>(~net::fold(sum + net::sum_of(segment.data(), segment.size()))));
}

}  // namespace

Frame& Frame::ethernet(std::string_view source, std::string_view destination) {
  source_ = net::parse_mac(source).value();
  destination_ = net::parse_mac(destination).value();
  return *this;
}
Frame& Frame::ip(std::string_view source, std::string_view destination) {
  ip_ = Ip{.source = address(source), .destination = address(destination)};
  return *this;
}
Frame& Frame::ipv4(std::string_view source, std::string_view destination) { return ip(source, destination); }
Frame& Frame::ipv6(std::string_view source, std::string_view destination) { return ip(source, destination); }
Frame& Frame::tcp(uint16_t source, uint16_t destination, uint8_t flags) {
  protocol_ = static_cast<uint8_t>(net::Protocol::kTcp);
  source_port_ = source;
  destination_port_ = destination;
  flags_ = flags;
  return *this;
}
Frame& Frame::udp(uint16_t source, uint16_t destination) {
  tcp(source, destination, 0);
  protocol_ = static_cast<uint8_t>(net::Protocol::kUdp);
  return *this;
}
Frame& Frame::sctp(uint16_t source, uint16_t destination, uint8_t chunk) {
  tcp(source, destination, chunk);
  protocol_ = static_cast<uint8_t>(net::Protocol::kSctp);
  return *this;
}
Frame& Frame::echo(bool reply) {
  const bool v4 = ip_->source.is_v4();
  protocol_ = static_cast<uint8_t>(v4 ? net::Protocol::kIcmp : net::Protocol::kIcmpv6);
  icmp_.type = static_cast<uint8_t>(v4 ? (reply ? 0 : 8) : (reply ? 129 : 128));
  icmp_.rest = net::Be32{0x00070001};
  return *this;
}
Frame& Frame::icmp_error(uint8_t type, uint8_t code, const Frame& quoted, size_t bytes, uint32_t rest) {
  return icmp_error(type, code, quoted.bytes(), bytes, rest);
}
Frame& Frame::icmp_error(uint8_t type, uint8_t code, const Bytes& quoted, size_t bytes, uint32_t rest) {
  protocol_ = static_cast<uint8_t>(ip_->source.is_v4() ? net::Protocol::kIcmp : net::Protocol::kIcmpv6);
  icmp_.type = type;
  icmp_.code = code;
  icmp_.rest = net::Be32{rest};
  const size_t l3 = sizeof(net::EthernetHeader);
  quoted_ =
      Bytes(quoted.begin() + l3, quoted.begin() + static_cast<ptrdiff_t>(l3 + std::min(bytes, quoted.size() - l3)));
  return *this;
}
Frame& Frame::flags(uint8_t f) {
  flags_ = f;
  return *this;
}
Frame& Frame::protocol(uint8_t number) {
  protocol_ = number;
  return *this;
}
Frame& Frame::payload(size_t bytes) {
  payload_ = bytes;
  return *this;
}
Frame& Frame::ttl(uint8_t t) {
  ip_->ttl = t;
  return *this;
}
Frame& Frame::tos(uint8_t t) {
  ip_->tos = t;
  return *this;
}
Frame& Frame::flow_label(uint32_t label) {
  (outer_ ? outer_ : ip_)->flow_label = label;
  return *this;
}
Frame& Frame::options(size_t bytes) {
  ip_->options = bytes;
  return *this;
}
Frame& Frame::fragment(uint16_t field) {
  ip_->fragment = field;
  return *this;
}
Frame& Frame::extension(uint8_t protocol, size_t bytes) {
  ip_->extensions.emplace_back(protocol, bytes);
  return *this;
}
Frame& Frame::piece(uint32_t id, size_t from, size_t bytes) {
  piece_ = Piece{id, from, bytes};
  return *this;
}
Frame& Frame::vlan(uint16_t number, net::EtherType type) {
  tags_.push_back({net::Be16{number}, net::Be16{static_cast<uint16_t>(type)}});
  return *this;
}
Frame& Frame::no_udp_checksum() {
  udp_checksum_ = false;
  return *this;
}
Frame& Frame::wrong_l4_checksum() {
  wrong_checksum_ = true;
  return *this;
}
Frame& Frame::pad_to(size_t bytes) {
  pad_to_ = bytes;
  return *this;
}
Frame& Frame::encapsulated(std::string_view source, std::string_view destination) {
  outer_ = Ip{.source = address(source),
              .destination = address(destination),
              .ttl = 64,
              .tos = ip_->tos,
              .fragment = net::kIpv4DontFragment};
  return *this;
}

Frame& Frame::in_gue(std::string_view source, std::string_view destination, uint16_t source_port) {
  gue_ = source_port;
  return encapsulated(source, destination);
}

Bytes Frame::l4() const {
  Bytes data;
  for (size_t i = 0; i < payload_; ++i) data.push_back(static_cast<uint8_t>(i * 7 + 1));
  Bytes segment;
  size_t checksum_at = 0;
  if (protocol_ == static_cast<uint8_t>(net::Protocol::kTcp)) {
    net::TcpHeader h;
    h.source_port = net::Be16{source_port_};
    h.destination_port = net::Be16{destination_port_};
    h.sequence = net::Be32{0x01020304};
    h.flags = flags_;
    h.window = net::Be16{65'000};
    append(segment, h);
    checksum_at = 16;
  } else if (protocol_ == static_cast<uint8_t>(net::Protocol::kUdp)) {
    net::UdpHeader h;
    h.source_port = net::Be16{source_port_};
    h.destination_port = net::Be16{destination_port_};
    h.length = net::Be16{static_cast<uint16_t>(sizeof h + payload_)};
    append(segment, h);
    checksum_at = 6;
  } else if (protocol_ == static_cast<uint8_t>(net::Protocol::kSctp)) {
    return sctp_packet(data);
  } else if (icmp_.type != 0 || icmp_.rest != net::Be32{0}) {
    append(segment, icmp_);
    if (quoted_) append(segment, *quoted_);
    checksum_at = 2;
  }
  append(segment, data);
  if (checksum_at == 0 || !udp_checksum_) return segment;
  net::Be16 sum = l4_checksum(ip_->source, ip_->destination, protocol_, segment);
  if (protocol_ == static_cast<uint8_t>(net::Protocol::kIcmp))  // without a pseudo header
    sum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(net::sum_of(segment.data(), segment.size()))));
  if (wrong_checksum_) sum = net::Be16{static_cast<uint16_t>(sum.host() ^ 0x0101)};
  std::memcpy(&segment[checksum_at], &sum, 2);
  return segment;
}

// One chunk. CRC32c bit by bit (RFC 9260, appendix A; the polynomial of RFC 3720, reflected), sent low byte first.
Bytes Frame::sctp_packet(const Bytes& value) const {
  Bytes packet;
  net::SctpHeader h;
  h.source_port = net::Be16{source_port_};
  h.destination_port = net::Be16{destination_port_};
  h.tag = net::Be32{0x0badcafe};
  append(packet, h);
  append(packet, net::SctpChunk{flags_, 0, net::Be16{static_cast<uint16_t>(sizeof(net::SctpChunk) + value.size())}});
  append(packet, value);
  packet.resize((packet.size() + 3) / 4 * 4);
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : packet) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  crc = ~crc;
  if (wrong_checksum_) crc ^= 0x01010101;
  std::memcpy(&packet[8], &crc, sizeof crc);
  return packet;
}

// The piece of what follows the IP header, and what says so in the header: all that RFC 8200 puts before the fragment
// header stays before it.
Bytes Frame::cut(const Bytes& whole, Ip& ip) const {
  const Piece& piece = *piece_;
  const size_t end = std::min(piece.from + piece.bytes, whole.size());
  const bool more = end < whole.size();
  Bytes part(whole.begin() + static_cast<ptrdiff_t>(piece.from), whole.begin() + static_cast<ptrdiff_t>(end));
  if (ip.source.is_v4()) {
    ip.id = static_cast<uint16_t>(piece.id);
    ip.fragment = static_cast<uint16_t>(piece.from / 8 | (more ? 0x2000 : 0));
    return part;
  }
  net::Ipv6Fragment h;
  h.next_header = protocol_;
  h.offset = net::Be16{static_cast<uint16_t>(piece.from | (more ? 1 : 0))};
  h.id = net::Be32{piece.id};
  Bytes with_header;
  append(with_header, h);
  append(with_header, part);
  return with_header;
}

Bytes Frame::wrap(const Ip& ip, uint8_t protocol, const Bytes& payload) {
  Bytes packet;
  if (!ip.source.is_v4()) {
    Bytes extensions;
    for (size_t i = 0; i < ip.extensions.size(); ++i) {
      const size_t at = extensions.size();
      extensions.resize(at + ip.extensions[i].second);
      extensions[at] = i + 1 < ip.extensions.size() ? ip.extensions[i + 1].first : protocol;
      extensions[at + 1] = static_cast<uint8_t>(ip.extensions[i].second / 8 - 1);
    }
    net::Ipv6Header h;
    h.version_class_flow = net::Be32{6U << 28 | static_cast<uint32_t>(ip.tos) << 20 | ip.flow_label};
    h.payload_length = net::Be16{static_cast<uint16_t>(extensions.size() + payload.size())};
    h.next_header = ip.extensions.empty() ? protocol : ip.extensions[0].first;
    h.hop_limit = ip.ttl;
    h.source = ip.source;
    h.destination = ip.destination;
    append(packet, h);
    append(packet, extensions);
    append(packet, payload);
    return packet;
  }
  net::Ipv4Header h;
  const size_t header = sizeof h + ip.options;
  h.version_ihl = static_cast<uint8_t>(0x40 | header / 4);
  h.tos = ip.tos;
  h.total_length = net::Be16{static_cast<uint16_t>(header + payload.size())};
  h.id = net::Be16{ip.id};
  h.fragment = net::Be16{ip.fragment};
  h.ttl = ip.ttl;
  h.protocol = protocol;
  h.source = ip.source.as_v4();
  h.destination = ip.destination.as_v4();
  append(packet, h);
  packet.resize(header, 1);  // options: no-operation
  const auto sum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(net::sum_of(packet.data(), header))));
  std::memcpy(&packet[10], &sum, 2);
  append(packet, payload);
  return packet;
}

Bytes Frame::in_outer(const Bytes& packet) const {
  const auto inside = static_cast<uint8_t>(ip_->source.is_v4() ? net::Protocol::kIpIp : net::Protocol::kIpv6);
  if (!gue_) return wrap(*outer_, inside, packet);
  net::UdpHeader h;
  h.source_port = net::Be16{*gue_};
  h.destination_port = net::Be16{6080};
  h.length = net::Be16{static_cast<uint16_t>(sizeof h + packet.size())};
  Bytes udp;
  append(udp, h);
  append(udp, packet);
  constexpr auto kUdp = static_cast<uint8_t>(net::Protocol::kUdp);
  if (!outer_->source.is_v4()) {
    const net::Be16 sum = l4_checksum(outer_->source, outer_->destination, kUdp, udp);
    std::memcpy(&udp[6], &sum, sizeof sum);
  }
  return wrap(*outer_, kUdp, udp);
}

Bytes Frame::bytes() const {
  net::EthernetHeader ethernet{destination_, source_, net::Be16{static_cast<uint16_t>(net::EtherType::kArp)}};
  Bytes packet;
  if (ip_) {
    Ip ip = *ip_;
    uint8_t protocol = protocol_;
    Bytes payload = l4();
    if (piece_) {
      payload = cut(payload, ip);
      if (!ip.source.is_v4()) protocol = static_cast<uint8_t>(net::Protocol::kFragment);
    }
    packet = wrap(ip, protocol, payload);
    if (outer_) packet = in_outer(packet);
    const bool v4 = (outer_ ? outer_ : ip_)->source.is_v4();
    ethernet.type = net::Be16{static_cast<uint16_t>(v4 ? net::EtherType::kIpv4 : net::EtherType::kIpv6)};
  }
  Bytes frame;
  net::Be16 type = ethernet.type;
  if (!tags_.empty()) ethernet.type = tags_[0].type;
  append(frame, ethernet);
  for (size_t i = 0; i < tags_.size(); ++i)
    append(frame, net::VlanTag{tags_[i].control, i + 1 < tags_.size() ? tags_[i + 1].type : type});
  append(frame, packet);
  if (frame.size() < pad_to_) frame.resize(pad_to_);
  return frame;
}

std::string describe(const Bytes& f) {
  std::string s = std::to_string(f.size()) + " bytes:";
  char hex[4];
  for (size_t i = 0; i < f.size() && i < 120; ++i) {
    std::snprintf(hex, sizeof hex, "%s%02x", i % 2 == 0 ? " " : "", f[i]);
    s += hex;
  }
  return s;
}

}  // namespace guideway::rig
