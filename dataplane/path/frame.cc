#include "dataplane/path/frame.h"

#include <cstring>

namespace guideway::path {

namespace {

constexpr net::Be16 wire(net::EtherType type) { return net::Be16{static_cast<uint16_t>(type)}; }

void leave(Packet& p) {
  const NextHop& hop = *p.hop;
  const net::Be16 type = wire((*p.l3 >> 4) == 4 ? net::EtherType::kIpv4 : net::EtherType::kIpv6);
  auto* const buffer = static_cast<uint8_t*>(p.mbuf->buf_addr);
  size_t header = sizeof(net::EthernetHeader);
  std::memcpy(p.l3 - sizeof type, &type, sizeof type);
  if (hop.vlan != net::Be16{0}) {
    header += sizeof(net::VlanTag);
    if (static_cast<size_t>(p.l3 - buffer) < header) return p.drop(net::DropReason::NO_HEADROOM);
    const net::VlanTag tag{hop.vlan, type};
    const net::Be16 tagged = wire(net::EtherType::kVlan);
    std::memcpy(p.l3 - sizeof tag, &tag, sizeof tag);
    std::memcpy(p.l3 - sizeof tag - sizeof tagged, &tagged, sizeof tagged);
  }
  uint8_t* frame = p.l3 - header;
  std::memcpy(frame, &hop.destination, 12);
  p.mbuf->data_off = static_cast<uint16_t>(frame - buffer);
  p.mbuf->data_len = static_cast<uint16_t>(p.l3_length + header);
  p.mbuf->pkt_len = p.mbuf->data_len;
  p.out_port = hop.port;
}

}  // namespace

void frame(Burst& burst) {
  for (Packet& p : burst.all())
    if (p.live()) leave(p);
}

}  // namespace guideway::path
