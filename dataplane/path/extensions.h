// Over IPv6 extension headers to layer 4 (RFC 8200, 4).
#pragma once

#include <cstdint>

#include "net/drop_reason.h"
#include "net/headers.h"

namespace guideway::path {

inline constexpr unsigned kMaxExtensions = 8;

// Where the chain of a packet leads.
struct Ipv6Chain {
  uint8_t protocol = 0;   // of what comes after the last extension header
  uint32_t offset = 0;    // of that, from the IPv6 header; in a fragment that isn't the first: of its piece
  uint32_t fragment = 0;  // offset of the fragment header; 0: the packet is whole
};

constexpr bool is_extension(uint8_t protocol) {
  using net::Protocol;
  constexpr auto bit = [](Protocol p) { return uint64_t{1} << static_cast<unsigned>(p); };
  constexpr uint64_t kAll = bit(Protocol::kHopByHop) | bit(Protocol::kRouting) | bit(Protocol::kFragment) |
                            bit(Protocol::kDestinationOptions);
  return protocol < 64 && (kAll >> protocol & 1) != 0;
}

// `length` bytes at `l3`, of which the IPv6 header is there.
inline net::DropReason walk_extensions(const uint8_t* l3, uint32_t length, Ipv6Chain* chain) {
  chain->protocol = reinterpret_cast<const net::Ipv6Header*>(l3)->next_header;
  chain->offset = sizeof(net::Ipv6Header);
  for (unsigned n = 0; is_extension(chain->protocol); ++n) {
    if (n == kMaxExtensions) return net::DropReason::EXTENSION_HEADERS;
    if (length - chain->offset < sizeof(net::Ipv6Fragment)) return net::DropReason::TRUNCATED;
    const auto* h = reinterpret_cast<const net::Ipv6Extension*>(l3 + chain->offset);
    const bool fragment = chain->protocol == static_cast<uint8_t>(net::Protocol::kFragment);
    const uint32_t size = fragment ? static_cast<uint32_t>(sizeof(net::Ipv6Fragment)) : h->length();
    if (length - chain->offset < size) return net::DropReason::TRUNCATED;
    const uint32_t at = chain->offset;
    chain->protocol = h->next_header;
    chain->offset += size;
    if (!fragment) continue;
    const auto* f = reinterpret_cast<const net::Ipv6Fragment*>(l3 + at);
    if (f->is_fragment()) chain->fragment = at;
    if (!f->is_first()) return net::DropReason::NONE;  // what follows is somewhere within the datagram
  }
  return net::DropReason::NONE;
}

}  // namespace guideway::path
