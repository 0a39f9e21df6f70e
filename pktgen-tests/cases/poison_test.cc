// Only in builds with AddressSanitizer: a stage that reads or writes beyond its packet is caught, though the bytes are
// the pool's own.
#include "dataplane/path/poison.h"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

#ifdef GW_POISON

bool caught(const void* at) { return __asan_address_is_poisoned(at) != 0; }

TEST_CASE("poison covers what isn't the packet's own", "[poison]") {
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

// A stage is made to read behind its packet: the table of VIPs stands there. A child that runs the round dies of it.
TEST_CASE("a worker's stages read packets that are poisoned around", "[poison]") {
  Rig rig;
  network(rig);
  rig.service(service("192.0.2.10", 80, net::Protocol::kTcp, path::Mode::kDsrIpip, {"10.0.1.10"}));
  const rig::Bytes frame = Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).syn().pad_to(64).bytes();
  auto& in_force = const_cast<std::atomic<const path::Tables*>&>(rig.publisher().tables());
  const path::Tables* published = in_force.load();
  for (const bool behind : {false, true}) {
    INFO("behind " << behind);
    rte_mbuf* m = rte_pktmbuf_alloc(rig.pool());
    std::ranges::copy(frame, rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())));
    REQUIRE(rte_ring_enqueue(rig.rx(0, 0), m) == 0);
    path::Tables tables = *published;
    if (behind) tables.vips = new (rte_pktmbuf_mtod_offset(m, void*, frame.size())) path::VipTable(*tables.vips);
    in_force = &tables;
    const pid_t child = fork();
    if (child == 0) {
      close(STDERR_FILENO);  // the report
      _exit(rig.workers()[0].round(rig.now()) ? 0 : 2);
    }
    in_force = published;
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == (behind ? 1 : 0));  // AddressSanitizer's is 1
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
