#include "dataplane/path/frame.h"

#include <cstring>

namespace guideway::path {

namespace {

// apply() has left room for it.
void leave(Packet& p, const NextHop& hop) {
  const bool v4 = (*p.l3 >> 4) == 4;
  const net::Be16 type{static_cast<uint16_t>(v4 ? net::EtherType::kIpv4 : net::EtherType::kIpv6)};
  uint8_t* frame = p.l3 - sizeof(net::EthernetHeader);
  std::memcpy(frame, &hop.destination, 12);
  std::memcpy(frame + 12, &type, sizeof type);
  p.mbuf->data_off = static_cast<uint16_t>(frame - static_cast<uint8_t*>(p.mbuf->buf_addr));
  p.mbuf->data_len = static_cast<uint16_t>(p.l3_length + sizeof(net::EthernetHeader));
  p.mbuf->pkt_len = p.mbuf->data_len;
  p.out_port = hop.port;
}

}  // namespace

void frame(Burst& burst, const Tables& t) {
  for (Packet& p : burst.all())
    if (p.live()) leave(p, t.next_hops[p.hop]);
}

}  // namespace guideway::path
