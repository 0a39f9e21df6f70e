// The parser against any bytes: it reads nothing beyond the packet, and what it believes lies inside.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "dataplane/path/icmp.h"
#include "dataplane/path/parse.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway;
  if (size > 65'535 + 14) return 0;
  // Of just this size, so that AddressSanitizer sees a read past the end.
  const std::unique_ptr<uint8_t[]> frame(new uint8_t[size]);
  if (size > 0) std::memcpy(frame.get(), bytes, size);
  path::Packet p;
  path::parse(p, frame.get(), static_cast<uint32_t>(size));
  if (!p.live()) {
    require(p.reason != net::DropReason::NONE);
    return 0;
  }
  const bool v4 = p.family == path::Family::kIpv4;
  require(p.l3 == frame.get() + 14 && size_t{14} + p.l3_length <= size);
  if (p.kind == path::Kind::kNeighbor) return 0;  // has neither ports nor key
  require(p.l4_offset >= (v4 ? 20 : 40));
  const size_t l4 = p.l3_length - p.l4_offset;
  require(p.l3_length >= p.l4_offset);
  const void* key = v4 ? static_cast<void*>(&p.key4.source_port) : &p.key6.source_port;
  if (p.kind == path::Kind::kIcmpError) {
    require(l4 >= sizeof(net::IcmpHeader) + (v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header)) + 4);
    // What parse has believed, nat translates: within the packet as well.
    v4 ? path::translate_error(p, path::Translation<net::Be32>{})
       : path::translate_error(p, path::Translation<net::IpAddress>{});
  } else if (p.kind == path::Kind::kFlow) {
    require(l4 >= (p.is(net::Protocol::kTcp) ? sizeof(net::TcpHeader) : sizeof(net::UdpHeader)));
    require(std::memcmp(key, p.l3 + p.l4_offset, 4) == 0);
  } else {
    require(p.kind == path::Kind::kIcmpEcho && l4 >= sizeof(net::IcmpHeader));
  }
  return 0;
}
