// What is wrong with a packet before anybody asks where it goes.
#include "net/checksum.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

constexpr size_t kL3 = 14;
constexpr size_t kTcp = kL3 + 20;

void web(Rig& rig) {
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"}));
  rig.service(service(kVip6, 80, Protocol::kTcp, Mode::kDsrIpip, {"2001:db8:1::10"}));
}

Frame client() { return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80).syn(); }
Frame client6() { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).syn(); }

Case dropped(const char* description, DropReason why, rig::Bytes raw) {
  return {.description = description, .configure = web, .reason = why, .raw = std::move(raw)};
}

// The frame with one byte changed.
rig::Bytes with(const Frame& frame, size_t at, uint8_t value) {
  rig::Bytes b = frame.bytes();
  b.at(at) = value;
  return b;
}

// An IPv6 packet with an IPv4 address in its header.
rig::Bytes mapped(const char* address, size_t at) {
  rig::Bytes b = client6().bytes();
  const net::IpAddress a = *net::parse_ip(address);
  std::memcpy(&b.at(at), &a, sizeof a);
  return b;
}

rig::Bytes cut(const Frame& frame, size_t length) {
  rig::Bytes b = frame.bytes();
  b.resize(length);
  return b;
}

// The packet ends within its layer 4's header; what the frame has of that is Ethernet's padding.
rig::Bytes ends_within(Frame frame, size_t bytes) {
  rig::Bytes b = frame.pad_to(60).bytes();
  auto* h = reinterpret_cast<net::Ipv4Header*>(b.data() + kL3);
  h->total_length = net::Be16{static_cast<uint16_t>(sizeof *h + bytes)};
  h->checksum = {};
  h->checksum = net::Be16::from_wire(net::ipv4_header_error(h, sizeof *h));
  return b;
}

Frame extended(unsigned headers) {
  Frame f = client6();
  for (unsigned n = 0; n < headers; ++n) f.extension(n == 0 ? 0 : n % 2 == 0 ? 43 : 60, n % 3 == 0 ? 16 : 8);
  return f;
}

}  // namespace

std::vector<Case> parse_cases() {
  std::vector<Case> cases{
      dropped("neither IP nor ARP", DropReason::NOT_IP, with(Frame().pad_to(60), 13, 0x07)),
      dropped("an Ethernet header cut short", DropReason::TRUNCATED, cut(client(), 13)),
      dropped("a VLAN tag cut short", DropReason::TRUNCATED, cut(client().vlan(7), 17)),
      dropped("a tag around something that is neither IP nor ARP", DropReason::NOT_IP,
              with(Frame().vlan(7).pad_to(60), 17, 0x07)),
      dropped("three tags", DropReason::NOT_IP, client().vlan(5).vlan(6).vlan(7).bytes()),
      dropped("an IPv4 header cut short", DropReason::TRUNCATED, cut(client(), kL3 + 19)),
      dropped("an IPv4 packet shorter than it says", DropReason::TRUNCATED, cut(client(), kTcp + 19)),
      dropped("an IPv6 packet shorter than it says", DropReason::TRUNCATED, cut(client6(), kL3 + 59)),
      dropped("version 5 under the EtherType of IPv4", DropReason::BAD_IP_HEADER, with(client(), kL3, 0x55)),
      dropped("version 4 under the EtherType of IPv6", DropReason::BAD_IP_HEADER, with(client6(), kL3, 0x45)),
      dropped("an IPv4 header of 16 bytes", DropReason::BAD_IP_HEADER, with(client(), kL3, 0x44)),
      dropped("an IPv4 total length below its header", DropReason::BAD_IP_HEADER, with(client(), kL3 + 3, 19)),
      dropped("a wrong IPv4 header checksum", DropReason::BAD_IP_CHECKSUM, with(client(), kL3 + 10, 0xaa)),
      dropped("a TCP header of 16 bytes", DropReason::BAD_L4_HEADER, with(client(), kTcp + 12, 0x40)),
      dropped("a TCP header longer than the packet", DropReason::BAD_L4_HEADER, with(client(), kTcp + 12, 0xf0)),
      dropped("a UDP length below its header", DropReason::BAD_L4_HEADER,
              with(Frame().ip("10.0.0.99", kVip).udp(40'000, 53).payload(8), kTcp + 5, 7)),
      dropped("a UDP length beyond the packet", DropReason::BAD_L4_HEADER,
              with(Frame().ip("10.0.0.99", kVip).udp(40'000, 53).payload(8), kTcp + 5, 17)),
      dropped("from 127.0.0.1", DropReason::BAD_ADDRESS, Frame().ip("127.0.0.1", kVip).tcp(40'000, 80).syn().bytes()),
      dropped("from a multicast group", DropReason::BAD_ADDRESS,
              Frame().ip("224.0.0.1", kVip).tcp(40'000, 80).syn().bytes()),
      dropped("from 0.0.0.0", DropReason::BAD_ADDRESS, Frame().ip("0.0.0.0", kVip).tcp(40'000, 80).syn().bytes()),
      dropped("from ::1", DropReason::BAD_ADDRESS, Frame().ip("::1", kVip6).tcp(40'000, 80).syn().bytes()),
      dropped("from ff02::1", DropReason::BAD_ADDRESS, Frame().ip("ff02::1", kVip6).tcp(40'000, 80).syn().bytes()),
      dropped("from an IPv4-mapped address", DropReason::BAD_ADDRESS, mapped("10.0.0.99", kL3 + 8)),
      dropped("to a VIP as an IPv4-mapped address", DropReason::BAD_ADDRESS, mapped(kVip, kL3 + 24)),
      dropped("the first fragment of a ping", DropReason::FRAGMENT,
              Frame().ip("10.0.0.99", kVip).echo().payload(64).piece(7, 0, 24).bytes()),
      dropped("a later fragment of a ping", DropReason::FRAGMENT,
              Frame().ip("10.0.0.99", kVip).echo().payload(64).piece(7, 24, 24).bytes()),
      dropped("the first fragment of a ping over IPv6", DropReason::FRAGMENT,
              Frame().ip("2001:db8:0::99", kVip6).echo().payload(64).piece(7, 0, 24).bytes()),
      dropped("a first fragment that cuts the TCP header", DropReason::TRUNCATED, client().piece(7, 0, 16).bytes()),
      dropped("a first fragment that cuts TCP's options", DropReason::TRUNCATED,
              with(client().payload(40).piece(7, 0, 24), kTcp + 12, 0x70)),
      dropped("a first fragment that cuts the TCP header over IPv6", DropReason::TRUNCATED,
              client6().piece(7, 0, 16).bytes()),
      dropped("a TCP header that ends in the padding", DropReason::TRUNCATED, ends_within(client(), 19)),
      {.description = "a UDP header that ends in the padding",
       .configure = [](Rig& rig) { rig.service(service(kVip, 80, Protocol::kUdp, Mode::kDsrIpip, {"10.0.1.10"})); },
       .reason = DropReason::TRUNCATED,
       .raw = ends_within(Frame().ip("10.0.0.99", kVip).udp(40'000, 80), 7)},
      dropped("ICMP cut short", DropReason::TRUNCATED, Frame().ip("10.0.0.99", kVip).protocol(1).payload(7).bytes()),
      dropped("ICMPv6 over IPv4", DropReason::PROTOCOL_UNSUPPORTED,
              Frame().ip("10.0.0.99", kVip).protocol(58).payload(64).bytes()),
      dropped("ESP to a VIP", DropReason::PROTOCOL_UNSUPPORTED,
              Frame().ip("2001:db8:0::99", kVip6).protocol(50).payload(40).bytes()),
      dropped("an authentication header to a VIP", DropReason::PROTOCOL_UNSUPPORTED,
              Frame().ip("2001:db8:0::99", kVip6).protocol(51).payload(40).bytes()),
      dropped("no next header", DropReason::PROTOCOL_UNSUPPORTED,
              Frame().ip("2001:db8:0::99", kVip6).extension(0).protocol(59).bytes()),
      dropped("an extension header beyond the packet", DropReason::TRUNCATED,
              with(client6().extension(60), kL3 + 41, 9)),
      dropped("nine extension headers", DropReason::EXTENSION_HEADERS, extended(9).bytes()),
      dropped("GRE to a VIP", DropReason::PROTOCOL_UNSUPPORTED, Frame().ip("10.0.0.99", kVip).protocol(47).bytes()),
      dropped("to a port that is no VIP", DropReason::NO_VIP,
              Frame().ip("10.0.0.99", kVip).tcp(40'000, 81).syn().bytes()),
      dropped("to a protocol that is no VIP", DropReason::NO_VIP,
              Frame().ip("10.0.0.99", kVip).udp(40'000, 80).bytes()),
      dropped("to an address that is no VIP", DropReason::NO_VIP,
              Frame().ip("10.0.0.99", "192.0.2.11").tcp(40'000, 80).syn().bytes()),
  };
  const auto encapsulated = [](Frame f) {
    return f.ethernet(kPort1Mac, real_mac(10)).encapsulated("10.0.1.1", "10.0.1.10");
  };
  cases.push_back({.description = "Ethernet padding isn't encapsulated",
                   .configure = web,
                   .in = client().pad_to(60),
                   .out = encapsulated(client())});
  cases.push_back({.description = "IPv4 options pass",
                   .configure = web,
                   .in = client().options(8),
                   .out = encapsulated(client().options(8))});
  const auto encapsulated6 = [](Frame f) {
    const net::FlowKey6 key{*net::parse_ip("2001:db8:0::99"), *net::parse_ip(kVip6), net::Be16{40'000}, net::Be16{80},
                            6};
    return f.ethernet(kPort1Mac, real_mac(10))
        .encapsulated("2001:db8:1::1", "2001:db8:1::10")
        .flow_label(static_cast<uint32_t>(net::flow_hash(key, 0)) & 0xfffff);
  };
  for (const unsigned headers : {1U, 3U, 8U})
    cases.push_back({.description = "IPv6 extension headers pass: " + std::to_string(headers),
                     .configure = web,
                     .in = extended(headers),
                     .out = encapsulated6(extended(headers))});
  cases.push_back({.description = "an IPv6 fragment header around all of a packet passes",
                   .configure = web,
                   .in = client6().piece(7, 0, 1'000),
                   .out = encapsulated6(client6().piece(7, 0, 1'000))});
  cases.push_back({.description = "an 802.1Q tag is taken off",
                   .configure = web,
                   .in = client().vlan(0x2007),
                   .out = encapsulated(client())});
  cases.push_back({.description = "two tags are taken off, of 802.1ad and 802.1Q",
                   .configure = web,
                   .in = client6().vlan(7, net::EtherType::kServiceVlan).vlan(8),
                   .out = encapsulated6(client6())});
  cases.push_back({.description = "a wrong TCP checksum is not ours to judge",
                   .configure = web,
                   .in = client().wrong_l4_checksum(),
                   .out = encapsulated(client().wrong_l4_checksum())});
  return cases;
}

}  // namespace guideway::cases
