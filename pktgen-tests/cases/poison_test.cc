// Only in builds with AddressSanitizer: a stage that reads or writes beyond its packet is caught, though the bytes are
// the pool's own.
#include "dataplane/path/poison.h"

#include <catch2/catch.hpp>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

#ifdef GW_POISON

bool caught(const void* at) { return __asan_address_is_poisoned(at) != 0; }

TEST_CASE("what isn't the packet's own is poisoned while stages read it", "[poison]") {
  Rig rig;
  for (const uint16_t size : {60, 61, 64, 67, 1514}) {
    INFO(size);
    rte_mbuf* m = rte_pktmbuf_alloc(rig.pool());
    REQUIRE(m != nullptr);
    rte_pktmbuf_append(m, size);
    const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const auto* buffer = static_cast<const uint8_t*>(m->buf_addr);
    path::poison(m);
    CHECK_FALSE(caught(data));
    CHECK_FALSE(caught(data + size - 1));
    CHECK(caught(data + size));
    CHECK(caught(data - 1));
    CHECK(caught(buffer));
    CHECK(caught(buffer + m->buf_len - 1));
    path::make_whole(m);
    CHECK(__asan_region_is_poisoned(m->buf_addr, m->buf_len) == nullptr);
    rte_pktmbuf_free(m);
  }
}

// A whole buffer goes back to the pool and to the port, whatever became of the packet.
TEST_CASE("nothing stays poisoned", "[poison]") {
  Rig rig({.workers = 2});
  network(rig);
  rig.gateway(snat());
  rig.service(service("192.0.2.10", 80, net::Protocol::kTcp, path::Mode::kNat, {"10.0.1.10"}));
  rig.service(service("192.0.2.11", 80, net::Protocol::kTcp, path::Mode::kDsrIpip, {"10.0.1.10"}));
  for (uint16_t port = 1; port <= 64; ++port)
    for (const char* to : {"192.0.2.10", "192.0.2.11", "192.0.2.12"})
      rig.send(Frame().ip("10.0.0.99", to).tcp(port, 80).syn().bytes());
  std::vector<rte_mbuf*> all;
  while (rte_mbuf* m = rte_pktmbuf_alloc(rig.pool())) all.push_back(m);
  REQUIRE(!all.empty());
  unsigned poisoned = 0;
  for (rte_mbuf* m : all) {
    if (__asan_region_is_poisoned(m->buf_addr, m->buf_len) != nullptr) ++poisoned;
    rte_pktmbuf_free(m);
  }
  CHECK(poisoned == 0);
}

#endif

}  // namespace
}  // namespace guideway::cases
