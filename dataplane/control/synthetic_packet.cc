#include "dataplane/control/synthetic_packet.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>

#include "dataplane/control/contract/values.h"
#include "net/checksum.h"
#include "net/headers.h"

namespace guideway::control {

namespace {

using net::Protocol;
using Bytes = std::vector<uint8_t>;

absl::Status wrong(const char* field, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

// So many bytes of zero behind the header.
template <typename Header>
Bytes begin_with(const Header& h, size_t length) {
  Bytes b(std::max(length, sizeof h));
  std::memcpy(b.data(), &h, sizeof h);
  return b;
}

template <typename Header>
Bytes before(const Header& h, const Bytes& payload) {
  Bytes b = begin_with(h, sizeof h + payload.size());
  std::ranges::copy(payload, b.begin() + sizeof h);
  return b;
}

// Sets what is a checksum in the header at `at`.
template <typename Header>
void seal(Bytes& packet, size_t at, net::Be16 Header::* field, uint64_t sum) {
  auto* h = reinterpret_cast<Header*>(packet.data() + at);
  h->*field = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(sum)));
}

// From where to where.
struct Ends {
  net::IpAddress source;
  net::IpAddress destination;
  net::Be16 source_port;
  net::Be16 destination_port;

  bool v4() const { return source.is_v4(); }
  size_t ip_header() const { return v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header); }
  // What checksums of layer 4 cover besides (RFC 9293, RFC 8200).
  uint64_t pseudo_sum(Protocol protocol, size_t length) const {
    const auto bytes = v4() ? 4U : 16U;
    return net::sum_of(source.bytes.data() + 16 - bytes, bytes) +
           net::sum_of(destination.bytes.data() + 16 - bytes, bytes) +
           net::Be16{static_cast<uint8_t>(protocol)}.wire() + net::Be32{static_cast<uint32_t>(length)}.wire();
  }
};

uint32_t least_l4(Protocol p) {
  switch (p) {
    case Protocol::kTcp:
      return sizeof(net::TcpHeader);
    case Protocol::kSctp:
      return sizeof(net::SctpHeader) + sizeof(net::SctpChunk);
    default:
      return sizeof(net::UdpHeader);  // and ICMP's
  }
}

bool is_icmp(Protocol p) { return p == Protocol::kIcmp || p == Protocol::kIcmpv6; }

Bytes tcp(const engine::TraceRequest& r, const Ends& e, size_t length) {
  net::TcpHeader h;
  h.source_port = e.source_port;
  h.destination_port = e.destination_port;
  h.flags = static_cast<uint8_t>(r.tcp_flags());
  h.window = net::Be16{0xffff};
  Bytes b = begin_with(h, length);
  seal(b, 0, &net::TcpHeader::checksum, e.pseudo_sum(Protocol::kTcp, length) + net::sum_of(b.data(), length));
  return b;
}

Bytes udp(const Ends& e, size_t length) {
  Bytes b = begin_with(net::UdpHeader{e.source_port, e.destination_port, net::Be16{static_cast<uint16_t>(length)}, {}},
                       length);
  seal(b, 0, &net::UdpHeader::checksum, e.pseudo_sum(Protocol::kUdp, length) + net::sum_of(b.data(), length));
  auto* h = reinterpret_cast<net::UdpHeader*>(b.data());
  if (h->checksum == net::Be16{0}) h->checksum = net::Be16{0xffff};
  return b;
}

// Of one chunk, whose value is zeros.
Bytes sctp(const engine::TraceRequest& r, const Ends& e, size_t length) {
  const net::SctpChunk chunk{static_cast<uint8_t>(r.sctp_chunk()), 0,
                             net::Be16{static_cast<uint16_t>(length - sizeof(net::SctpHeader))}};
  Bytes b = before(net::SctpHeader{e.source_port, e.destination_port, {}, {}},
                   begin_with(chunk, length - sizeof(net::SctpHeader)));
  const uint32_t crc = ~rte_hash_crc(b.data(), static_cast<uint32_t>(length), 0xffffffff);
  std::memcpy(b.data() + offsetof(net::SctpHeader, checksum), &crc,
              sizeof crc);  // low byte first: RFC 9260, appendix A
  return b;
}

Bytes icmp(const Ends& e, uint8_t type, uint8_t code, uint32_t rest, const Bytes& payload) {
  Bytes b = before(net::IcmpHeader{type, code, {}, net::Be32{rest}}, payload);
  const uint64_t pseudo = e.v4() ? 0 : e.pseudo_sum(Protocol::kIcmpv6, b.size());
  seal(b, 0, &net::IcmpHeader::checksum, pseudo + net::sum_of(b.data(), b.size()));
  return b;
}

// An echo request's id and sequence number, whatever they are.
constexpr uint32_t kEchoed = 0x00070001;

Bytes layer4(const engine::TraceRequest& r, const Ends& e, Protocol protocol, size_t length) {
  switch (protocol) {
    case Protocol::kTcp:
      return tcp(r, e, length);
    case Protocol::kUdp:
      return udp(e, length);
    case Protocol::kSctp:
      return sctp(r, e, length);
    default:
      return icmp(e, e.v4() ? uint8_t{net::kIcmp4Echo} : uint8_t{net::kIcmp6Echo}, 0, kEchoed,
                  Bytes(length - sizeof(net::IcmpHeader)));
  }
}

// Where a later fragment stands in its datagram: behind a first one of an Ethernet's length.
constexpr uint16_t kLaterOffset = 1'480;

Bytes in_ipv4(const engine::TraceRequest& r, const Ends& e, Protocol protocol, const Bytes& payload) {
  net::Ipv4Header h;
  h.total_length = net::Be16{static_cast<uint16_t>(sizeof h + payload.size())};
  h.id = net::Be16{static_cast<uint16_t>(r.fragment_id())};
  if (r.fragment() == engine::TRACE_FRAGMENT_FIRST)
    h.fragment = net::Be16{net::kIpv4MoreFragments};
  else if (r.fragment() == engine::TRACE_FRAGMENT_LATER)
    h.fragment = net::Be16{kLaterOffset / 8};
  else if (!r.may_fragment())
    h.fragment = net::Be16{net::kIpv4DontFragment};
  if (r.ttl() != 0) h.ttl = static_cast<uint8_t>(r.ttl());
  h.protocol = static_cast<uint8_t>(protocol);
  h.source = e.source.as_v4();
  h.destination = e.destination.as_v4();
  h.checksum = net::Be16::from_wire(net::ipv4_header_error(&h, sizeof h));
  return before(h, payload);
}

Bytes in_ipv6(const engine::TraceRequest& r, const Ends& e, Protocol protocol, const Bytes& payload) {
  const bool whole = r.fragment() == engine::TRACE_FRAGMENT_UNSPECIFIED;
  net::Ipv6Header h;
  h.payload_length = net::Be16{static_cast<uint16_t>(payload.size() + (whole ? 0 : sizeof(net::Ipv6Fragment)))};
  h.next_header = static_cast<uint8_t>(whole ? protocol : Protocol::kFragment);
  if (r.ttl() != 0) h.hop_limit = static_cast<uint8_t>(r.ttl());
  h.source = e.source;
  h.destination = e.destination;
  if (whole) return before(h, payload);
  const uint16_t offset = r.fragment() == engine::TRACE_FRAGMENT_FIRST ? 1 : kLaterOffset;
  return before(
      h, before(net::Ipv6Fragment{static_cast<uint8_t>(protocol), 0, net::Be16{offset}, net::Be32{r.fragment_id()}},
                payload));
}

Bytes in_ip(const engine::TraceRequest& r, const Ends& e, Protocol protocol, const Bytes& payload) {
  return e.v4() ? in_ipv4(r, e, protocol, payload) : in_ipv6(r, e, protocol, payload);
}

struct ErrorType {
  uint8_t type;
  uint8_t code;
  uint32_t rest;
};

ErrorType error_type(engine::IcmpError error, bool v4) {
  constexpr uint32_t kToldMtu = 1'280;  // the least of IPv6, and a common one of tunnels
  switch (error) {
    case engine::ICMP_ERROR_TOO_BIG:
      return v4 ? ErrorType{net::kIcmp4Unreachable, 4, kToldMtu} : ErrorType{net::kIcmp6PacketTooBig, 0, kToldMtu};
    case engine::ICMP_ERROR_TIME_EXCEEDED:
      return {v4 ? uint8_t{net::kIcmp4TimeExceeded} : uint8_t{net::kIcmp6TimeExceeded}, 0, 0};
    case engine::ICMP_ERROR_PARAMETER_PROBLEM:
      return {v4 ? uint8_t{net::kIcmp4ParameterProblem} : uint8_t{net::kIcmp6ParameterProblem}, 0, 0};
    default:  // the port
      return {v4 ? uint8_t{net::kIcmp4Unreachable} : uint8_t{net::kIcmp6Unreachable}, v4 ? uint8_t{3} : uint8_t{4}, 0};
  }
}

// What `request` means, once it is known to mean something.
struct Meaning {
  Ends ends;
  Protocol protocol{};
  std::optional<net::IpAddress> icmp_source;  // of an ICMP error
};

absl::Status check_ports(const engine::TraceRequest& r, Protocol p) {
  for (const auto& [field, port] :
       {std::pair{"source_port", r.source_port()}, std::pair{"destination_port", r.destination_port()}}) {
    if (is_icmp(p) && port != 0) return wrong(field, "an echo request has no ports");
    if (!is_icmp(p) && (port == 0 || port > 65'535)) return wrong(field, "a port is 1 to 65535");
  }
  return absl::OkStatus();
}

absl::Status check_header(const engine::TraceRequest& r, const Meaning& m) {
  if (r.tcp_flags() > 0xff) return wrong("tcp_flags", "eight bits");
  if (r.tcp_flags() != 0 && m.protocol != Protocol::kTcp) return wrong("tcp_flags", "only TCP has them");
  if (r.sctp_chunk() > 0xff) return wrong("sctp_chunk", "a chunk's type is at most 255");
  if (r.sctp_chunk() != 0 && m.protocol != Protocol::kSctp) return wrong("sctp_chunk", "only SCTP has chunks");
  if (r.ttl() > 255) return wrong("ttl", "at most 255");
  if (r.may_fragment() && !m.ends.v4()) return wrong("may_fragment", "routers don't fragment IPv6");
  if (!engine::TraceFragment_IsValid(r.fragment())) return wrong("fragment", "there is no such fragment");
  if (!engine::IcmpError_IsValid(r.icmp_error())) return wrong("icmp_error", "there is no such error");
  const bool fragment = r.fragment() != engine::TRACE_FRAGMENT_UNSPECIFIED;
  if (fragment && m.icmp_source) return wrong("fragment", "an ICMP error isn't sent in fragments");
  if (fragment && is_icmp(m.protocol)) return wrong("fragment", "fragments of TCP, UDP and SCTP are traced");
  if (!fragment && r.fragment_id() != 0) return wrong("fragment_id", "only a fragment has one");
  if (m.ends.v4() && r.fragment_id() > 0xffff) return wrong("fragment_id", "IPv4's has 16 bits");
  if (m.icmp_source && is_icmp(m.protocol)) return wrong("icmp_error", "errors of TCP, UDP and SCTP flows are traced");
  return absl::OkStatus();
}

absl::StatusOr<Meaning> read(const engine::TraceRequest& r) {
  const auto source = net::ip_of_bytes(r.source());
  if (!source) return wrong("source", kAddressShape);
  const auto destination = net::ip_of_bytes(r.destination());
  if (!destination) return wrong("destination", kAddressShape);
  if (source->is_v4() != destination->is_v4())
    return wrong("destination", "it is of another family than the source: both must be IPv4, or both IPv6");
  Meaning m{{*source, *destination, net::Be16{static_cast<uint16_t>(r.source_port())},
             net::Be16{static_cast<uint16_t>(r.destination_port())}},
            static_cast<Protocol>(r.protocol()),
            {}};
  const auto echo = static_cast<uint32_t>(source->is_v4() ? Protocol::kIcmp : Protocol::kIcmpv6);
  constexpr std::array kWithPorts{Protocol::kTcp, Protocol::kUdp, Protocol::kSctp};
  if (r.protocol() != echo && (r.protocol() > 255 || std::ranges::find(kWithPorts, m.protocol) == kWithPorts.end()))
    return wrong("protocol", absl::StrCat("6, 17, 132, or ", echo, " for an echo request"));
  if (absl::Status s = check_ports(r, m.protocol); !s.ok()) return s;
  if (r.icmp_error() != engine::ICMP_ERROR_UNSPECIFIED) {
    m.icmp_source = r.icmp_source().empty() ? source : net::ip_of_bytes(r.icmp_source());
    if (!m.icmp_source) return wrong("icmp_source", kAddressShape);
    if (m.icmp_source->is_v4() != source->is_v4())
      return wrong("icmp_source", "it is of another family than the source");
  } else if (!r.icmp_source().empty()) {
    return wrong("icmp_source", "only an ICMP error has one: icmp_error says which");
  }
  if (absl::Status s = check_header(r, m); !s.ok()) return s;
  return m;
}

// Bytes that stand before what `size` may stretch: all headers.
size_t headers(const engine::TraceRequest& r, const Meaning& m) {
  const size_t ip = m.ends.ip_header();
  if (m.icmp_source) return ip + sizeof(net::IcmpHeader) + ip + least_l4(m.protocol);
  const size_t fragment =
      r.fragment() != engine::TRACE_FRAGMENT_UNSPECIFIED && !m.ends.v4() ? sizeof(net::Ipv6Fragment) : 0;
  return ip + fragment + (r.fragment() == engine::TRACE_FRAGMENT_LATER ? 8 : least_l4(m.protocol));
}

// A router's, about a packet that came back from the destination.
Bytes error_packet(const engine::TraceRequest& r, const Meaning& m, size_t l4_length) {
  const Ends& e = m.ends;
  const Ends back{e.destination, e.source, e.destination_port, e.source_port};
  const Bytes quoted = in_ip({}, back, m.protocol, layer4(r, back, m.protocol, l4_length));
  const Ends outer{*m.icmp_source, e.destination, {}, {}};
  const ErrorType t = error_type(r.icmp_error(), e.v4());
  return in_ip(r, outer, e.v4() ? Protocol::kIcmp : Protocol::kIcmpv6, icmp(outer, t.type, t.code, t.rest, quoted));
}

}  // namespace

absl::StatusOr<std::vector<uint8_t>> synthetic_packet(const engine::TraceRequest& r, const net::MacAddress& mac,
                                                      uint32_t mtu) {
  const auto meaning = read(r);
  if (!meaning.ok()) return meaning.status();
  const Meaning& m = *meaning;
  const size_t least = headers(r, m);
  size_t size = r.size() == 0 ? least : r.size();
  if (size < least) return wrong("size", absl::StrCat("its headers alone have ", least, " bytes"));
  if (size > mtu)
    return wrong("size", absl::StrCat("more than the port's MTU of ", mtu, " bytes doesn't come in by it"));
  // All fragments but the last carry a multiple of 8 bytes.
  if (r.fragment() == engine::TRACE_FRAGMENT_FIRST) size += (8 - (size - m.ends.ip_header()) % 8) % 8;
  if (size > mtu) size -= 8;
  size_t l4 = size - least + least_l4(m.protocol);
  Bytes ip;
  if (m.icmp_source)
    ip = error_packet(r, m, l4);
  else if (r.fragment() == engine::TRACE_FRAGMENT_LATER)
    ip = in_ip(r, m.ends, m.protocol, Bytes(size - least + 8));
  else
    ip = in_ip(r, m.ends, m.protocol, layer4(r, m.ends, m.protocol, l4));
  const net::EtherType type = m.ends.v4() ? net::EtherType::kIpv4 : net::EtherType::kIpv6;
  return before(net::EthernetHeader{mac, {}, net::Be16{static_cast<uint16_t>(type)}}, ip);
}

}  // namespace guideway::control
