// The geometry of the packets' memory, with DPDK's own pool over it.
#include "dataplane/control/packet_memory.h"

#include <catch2/catch.hpp>
#include <rte_eal.h>

#include <set>
#include <vector>

#include "dataplane/control/eal_for_test.h"

namespace guideway::control {
namespace {

TEST_CASE("every mbuf lies in a frame of its own and is found from any address in it") {
  start_eal();
  auto memory = PacketMemory::create("geometry", 1000, 32, true);
  REQUIRE(memory.ok());
  const path::FrameMemory frames = memory->frames();
  REQUIRE(frames.frames() == 1024);  // whole 2 MB pages
  REQUIRE(memory->free_frames() == 1024);
  CHECK(reinterpret_cast<uintptr_t>(frames.base) % path::kFrameSize == 0);

  std::vector<rte_mbuf*> all(1024);
  REQUIRE(rte_pktmbuf_alloc_bulk(frames.pool, all.data(), 1024) == 0);
  std::set<uint64_t> addresses;
  for (rte_mbuf* m : all) {
    const uint64_t address = frames.frame_address(m);
    CHECK(address % path::kFrameSize == 0);
    CHECK(address < frames.size);
    addresses.insert(address);
    CHECK(frames.mbuf(address) == m);
    CHECK(frames.mbuf(address + path::kFrameSize - 1) == m);
    CHECK(m->buf_len == path::kBufferSize);
    CHECK(static_cast<std::byte*>(m->buf_addr) == frames.base + address + path::kFrameHeadroom);
  }
  CHECK(addresses.size() == 1024);
  rte_pktmbuf_free_bulk(all.data(), 1024);
  CHECK(memory->free_frames() == 1024);
}

TEST_CASE("memory that isn't there is an error, and a name can be used again") {
  start_eal();
  CHECK(PacketMemory::create("huge", size_t{1} << 32, 0, false).status().code() ==
        absl::StatusCode::kResourceExhausted);
  CHECK(PacketMemory::create("twice", 512, 0, false).ok());
  const auto again = PacketMemory::create("twice", 512, 0, false);
  REQUIRE(again.ok());
  CHECK_FALSE(again->huge());
}

}  // namespace
}  // namespace guideway::control
