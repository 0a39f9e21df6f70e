#include "mgmt/cli/frame_text.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "mgmt/cli/words.h"
#include "net/headers.h"

namespace guideway::mgmt {
namespace {

using net::EtherType;
using net::Protocol;

constexpr size_t kBytesInLine = 32;
constexpr size_t kPayloadShown = 64;  // bytes

// One of a frame's headers, or what is left behind the last.
struct Layer {
  std::string name;
  std::string text;
  std::string_view bytes;
};

template <typename Header>
std::optional<Header> header_of(std::string_view rest) {
  Header h;
  if (rest.size() < sizeof h) return std::nullopt;
  std::memcpy(static_cast<void*>(&h), rest.data(), sizeof h);
  return h;
}

std::string flags_text(uint8_t flags) {
  std::string text;
  for (const auto& [bit, name] :
       {std::pair{net::kTcpSyn, " SYN"}, std::pair{net::kTcpFin, " FIN"}, std::pair{net::kTcpRst, " RST"},
        std::pair{net::kTcpPsh, " PSH"}, std::pair{net::kTcpAck, " ACK"}})
    if ((flags & bit) != 0) text += name;
  return text;
}

std::string chunk_text(uint8_t type) {
  switch (type) {
    case net::kSctpData:
      return "DATA";
    case net::kSctpInit:
      return "INIT";
    case net::kSctpAbort:
      return "ABORT";
    case net::kSctpShutdown:
      return "SHUTDOWN";
    default:
      return "chunk " + number(type);
  }
}

std::string icmp_text(bool v4, uint8_t type, uint8_t code) {
  std::string what = "type " + number(type);
  if (type == (v4 ? int{net::kIcmp4Echo} : int{net::kIcmp6Echo})) what = "echo request";
  if (type == (v4 ? int{net::kIcmp4EchoReply} : int{net::kIcmp6EchoReply})) what = "echo reply";
  if (type == (v4 ? int{net::kIcmp4Unreachable} : int{net::kIcmp6Unreachable})) what = "unreachable";
  if (v4 && type == net::kIcmp4Unreachable && code == 4) what = "fragmentation needed";
  if (!v4 && type == net::kIcmp6PacketTooBig) what = "packet too big";
  if (type == (v4 ? int{net::kIcmp4TimeExceeded} : int{net::kIcmp6TimeExceeded})) what = "time exceeded";
  if (type == (v4 ? int{net::kIcmp4ParameterProblem} : int{net::kIcmp6ParameterProblem})) what = "parameter problem";
  return what + ", code " + number(code);
}

// Goes from header to header, as far as there are bytes.
class Walk {
 public:
  explicit Walk(std::string_view frame) : rest_(frame) {
    ethernet();
    if (!rest_.empty()) add("payload", number(rest_.size()) + " bytes", rest_.size());
  }
  std::vector<Layer> take() { return std::move(layers_); }

 private:
  void add(std::string name, std::string text, size_t bytes) {
    bytes = std::min(bytes, rest_.size());
    layers_.push_back({std::move(name), std::move(text), rest_.substr(0, bytes)});
    rest_.remove_prefix(bytes);
  }

  void ethernet() {
    const auto h = header_of<net::EthernetHeader>(rest_);
    if (!h) return;
    add("Ethernet", net::to_string(h->source) + " -> " + net::to_string(h->destination), sizeof *h);
    uint16_t type = h->type.host();
    while (type == static_cast<uint16_t>(EtherType::kVlan) || type == static_cast<uint16_t>(EtherType::kServiceVlan)) {
      const auto tag = header_of<net::VlanTag>(rest_);
      if (!tag) return;
      add("VLAN", number(tag->control.host() & 0xfff), sizeof *tag);
      type = tag->type.host();
    }
    if (type == static_cast<uint16_t>(EtherType::kIpv4)) ipv4();
    if (type == static_cast<uint16_t>(EtherType::kIpv6)) ipv6();
  }

  void ipv4() {
    const auto h = header_of<net::Ipv4Header>(rest_);
    if (!h || h->version() != 4 || h->header_length() < sizeof *h) return;
    const uint16_t field = h->fragment.host();
    std::string text = ends(net::IpAddress::v4(h->source), net::IpAddress::v4(h->destination));
    text += ", TTL " + number(h->ttl) + ", " + number(h->total_length.host()) + " bytes";
    if ((field & net::kIpv4DontFragment) != 0) text += ", DF";
    if (h->is_fragment()) text += fragment_text(h->id.host(), (field & 0x1fff) * 8U, field & net::kIpv4MoreFragments);
    add("IPv4", text, h->header_length());
    if (h->is_first()) inside(static_cast<Protocol>(h->protocol), true);
  }

  void ipv6() {
    const auto h = header_of<net::Ipv6Header>(rest_);
    if (!h || h->version() != 6) return;
    add("IPv6",
        ends(h->source, h->destination) + ", hop limit " + number(h->hop_limit) + ", " +
            number(h->payload_length.host() + sizeof *h) + " bytes",
        sizeof *h);
    inside(static_cast<Protocol>(h->next_header), false);
  }

  void fragment() {
    const auto h = header_of<net::Ipv6Fragment>(rest_);
    if (!h) return;
    const uint16_t field = h->offset.host();
    add("fragment", fragment_text(h->id.host(), field & 0xfff8, field & 1).substr(2), sizeof *h);
    if (h->is_first()) inside(static_cast<Protocol>(h->next_header), false);
  }

  void inside(Protocol protocol, bool v4) {
    switch (protocol) {
      case Protocol::kIpIp:
        return ipv4();
      case Protocol::kIpv6:
        return ipv6();
      case Protocol::kFragment:
        return fragment();
      case Protocol::kTcp:
        return tcp();
      case Protocol::kUdp:
        return udp();
      case Protocol::kSctp:
        return sctp();
      case Protocol::kIcmp:
      case Protocol::kIcmpv6:
        return icmp(v4);
      default:
        return;
    }
  }

  void tcp() {
    const auto h = header_of<net::TcpHeader>(rest_);
    if (!h) return;
    add("TCP", ports(h->source_port, h->destination_port) + flags_text(h->flags),
        std::max<size_t>(h->header_length(), sizeof *h));
  }

  // In GUE's variant 1 the first bits of the packet are its IP version.
  void udp() {
    const auto h = header_of<net::UdpHeader>(rest_);
    if (!h) return;
    add("UDP", ports(h->source_port, h->destination_port) + ", " + number(h->length.host()) + " bytes", sizeof *h);
    if (h->destination_port.host() != net::kGuePort || rest_.empty()) return;
    if ((rest_.front() & 0xf0) == 0x40)
      ipv4();
    else if ((rest_.front() & 0xf0) == 0x60)
      ipv6();
  }

  void sctp() {
    const auto h = header_of<net::SctpHeader>(rest_);
    if (!h) return;
    const auto chunk = header_of<net::SctpChunk>(rest_.substr(sizeof *h));
    add("SCTP", ports(h->source_port, h->destination_port) + (chunk ? " " + chunk_text(chunk->type) : ""), sizeof *h);
  }

  void icmp(bool v4) {
    const auto h = header_of<net::IcmpHeader>(rest_);
    if (!h) return;
    add(v4 ? "ICMP" : "ICMPv6", icmp_text(v4, h->type, h->code), sizeof *h);
    const bool error = v4 ? h->type == net::kIcmp4Unreachable || h->type == net::kIcmp4TimeExceeded ||
                                h->type == net::kIcmp4ParameterProblem
                          : h->type < 128;
    if (error) v4 ? ipv4() : ipv6();  // what it quotes
  }

  static std::string ends(const net::IpAddress& a, const net::IpAddress& b) {
    return net::to_string(a) + " -> " + net::to_string(b);
  }
  static std::string ports(net::Be16 a, net::Be16 b) { return number(a.host()) + " -> " + number(b.host()); }
  static std::string fragment_text(uint32_t id, uint32_t offset, bool more) {
    return ", fragment of " + number(id) + " from byte " + number(offset) + (more ? "" : ", the last");
  }

  std::string_view rest_;
  std::vector<Layer> layers_;
};

std::string hex(std::string_view bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto b = static_cast<uint8_t>(c);
    if (!text.empty()) text += ' ';
    text += kDigits[b >> 4];
    text += kDigits[b & 0xf];
  }
  return text;
}

}  // namespace

std::string frame_text(std::string_view frame, const std::string& indent) {
  std::string out;
  for (Layer& l : Walk(frame).take()) {
    out += indent + l.name + std::string(l.name.size() < 10 ? 10 - l.name.size() : 1, ' ') + l.text;
    const size_t shown = l.name == "payload" ? std::min(l.bytes.size(), kPayloadShown) : l.bytes.size();
    if (shown < l.bytes.size()) out += ", of which these are the first";
    out += '\n';
    for (size_t at = 0; at < shown; at += kBytesInLine)
      out += indent + "  " + hex(l.bytes.substr(at, std::min(kBytesInLine, shown - at))) + '\n';
  }
  return out;
}

std::string packet_text(std::string_view frame) {
  std::string out;
  for (const Layer& l : Walk(frame).take()) {
    if (l.name == "Ethernet" || l.name == "payload") continue;
    if (!out.empty()) out += "; ";
    out += l.name + " " + l.text;
  }
  return out;
}

std::string protocol_text(uint32_t ip_protocol) {
  switch (static_cast<Protocol>(ip_protocol)) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
    case Protocol::kIcmp:
      return "ICMP";
    case Protocol::kIcmpv6:
      return "ICMPv6";
    default:
      return "protocol " + number(ip_protocol);
  }
}

}  // namespace guideway::mgmt
