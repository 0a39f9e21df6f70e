#include "dataplane/path/cut.h"

#include <cstring>

#include "net/checksum.h"

namespace guideway::path {

namespace {

// Options without the copied bit stand in the first piece alone (RFC 791, 3.1); elsewhere they become no-operations.
void keep_copied_options(uint8_t* header, size_t length) {
  constexpr uint8_t kCopied = 0x80;
  constexpr uint8_t kEnd = 0;
  constexpr uint8_t kNoOperation = 1;
  for (size_t at = sizeof(net::Ipv4Header); at < length && header[at] != kEnd;) {
    if (header[at] == kNoOperation) {
      ++at;
      continue;
    }
    const size_t size = at + 1 < length ? header[at + 1] : 0;
    if (size < 2 || at + size > length) return;  // malformed: the rest as it is
    if ((header[at] & kCopied) == 0) std::memset(header + at, kNoOperation, size);
    at += size;
  }
}

void set_extent(Packet& p, uint32_t length, uint32_t fragment) {
  auto* h = reinterpret_cast<net::Ipv4Header*>(p.l3);
  p.l3_length = static_cast<uint16_t>(length);
  h->total_length = net::Be16{p.l3_length};
  h->fragment = net::Be16{static_cast<uint16_t>(fragment)};
  h->checksum = {};
  h->checksum = net::Be16::from_wire(net::ipv4_header_error(h, h->header_length()));
}

}  // namespace

bool cut(Burst& burst, Packet& p, uint32_t room) {
  const auto* h = reinterpret_cast<const net::Ipv4Header*>(p.l3);
  const uint32_t header = h->header_length();
  const uint32_t payload = p.l3_length - header;
  const uint32_t each = (room - header) & ~7U;
  const uint32_t others = (payload - 1) / each;
  const uint32_t field = h->fragment.host();
  if (others > burst.packets.size() - burst.count) return false;
  std::array<rte_mbuf*, kMade> mbufs;
  if (rte_pktmbuf_alloc_bulk(p.mbuf->pool, mbufs.data(), others) != 0) return false;

  const auto at = static_cast<uint16_t>(p.l3 - static_cast<uint8_t*>(p.mbuf->buf_addr));
  for (uint32_t n = 1; n <= others; ++n) {
    Packet& piece = burst.packets[burst.count++];
    piece = p;
    piece.mbuf = mbufs[n - 1];
    piece.l3 = static_cast<uint8_t*>(piece.mbuf->buf_addr) + at;
    const uint32_t offset = n * each;
    const uint32_t length = n == others ? payload - offset : each;
    std::memcpy(piece.l3, p.l3, header);
    std::memcpy(piece.l3 + header, p.l3 + header + offset, length);
    keep_copied_options(piece.l3, header);
    set_extent(piece, header + length, (field + offset / 8) | (n == others ? 0 : net::kIpv4MoreFragments));
  }
  set_extent(p, header + each, field | net::kIpv4MoreFragments);
  return true;
}

}  // namespace guideway::path
