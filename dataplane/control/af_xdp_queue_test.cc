// The queue against rings in plain memory, with the test as the kernel: no root, no interface.
#include "dataplane/path/af_xdp_queue.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <optional>
#include <vector>

#include "dataplane/control/eal_for_test.h"
#include "dataplane/control/packet_memory.h"

namespace guideway::path {
namespace {

// One ring as the kernel and libxdp share it.
struct RingMemory {
  uint32_t producer = 0, consumer = 0, flags = 0;
  std::vector<xdp_desc> descriptors{kAfXdpRingSize};

  template <typename Ring>
  void attach(Ring& ring, uint32_t cached_consumer) {
    ring.mask = kAfXdpRingSize - 1;
    ring.size = kAfXdpRingSize;
    ring.producer = &producer;
    ring.consumer = &consumer;
    ring.flags = &flags;
    ring.ring = descriptors.data();
    ring.cached_cons = cached_consumer;
  }
  uint64_t& address(uint32_t at) { return reinterpret_cast<uint64_t*>(descriptors.data())[at & (kAfXdpRingSize - 1)]; }
  xdp_desc& descriptor(uint32_t at) { return descriptors[at & (kAfXdpRingSize - 1)]; }
};

constexpr unsigned kFrames = 4096;

struct Rig {
  Rig() {
    control::start_eal();
    auto made = control::PacketMemory::create("queue", kFrames, 0, false);
    REQUIRE(made.ok());
    memory.emplace(std::move(*made));
    rings.emplace(memory->frames(), uint16_t{7});
    rx.attach(rings->rx, 0);
    tx.attach(rings->tx, kAfXdpRingSize);
    fill.attach(rings->fill, kAfXdpRingSize);
    completion.attach(rings->completion, 0);
  }

  // As the kernel: takes a frame from the fill ring and puts a packet into it.
  uint64_t deliver(uint8_t content, uint32_t length = 60) {
    REQUIRE(fill.consumer != fill.producer);
    const uint64_t frame = fill.address(fill.consumer++);
    const uint64_t at = frame + kFrameHeadroom + kKernelHeadroom;
    std::memset(memory->frames().base + at, content, length);
    rx.descriptor(rx.producer++) = {at, length, 0};
    return frame;
  }
  // As the kernel: sends everything and reports it.
  void transmit() {
    while (tx.consumer != tx.producer) completion.address(completion.producer++) = tx.descriptor(tx.consumer++).addr;
  }
  rte_mbuf* packet() {
    rte_mbuf* m = rte_pktmbuf_alloc(memory->pool());
    REQUIRE(m != nullptr);
    rte_pktmbuf_append(m, 60);
    return m;
  }

  std::optional<control::PacketMemory> memory;
  std::optional<AfXdpRings> rings;
  RingMemory rx, tx, fill, completion;
};

TEST_CASE("packets come in, go out by the same frames, and none is lost") {
  Rig rig;
  AfXdpQueue queue{*rig.rings};
  REQUIRE(prime(*rig.rings));
  CHECK(rig.memory->free_frames() == kFrames - kAfXdpRingSize);
  std::vector<rte_mbuf*> burst(32);
  for (unsigned round = 0; round < 1000; ++round) {
    const auto content = static_cast<uint8_t>(round);
    for (unsigned i = 0; i < 20; ++i) rig.deliver(content, 60 + i);
    REQUIRE(queue.receive(burst) == 20);
    for (unsigned i = 0; i < 20; ++i) {
      CHECK(burst[i]->port == 7);
      REQUIRE(burst[i]->data_len == 60 + i);
      CHECK(burst[i]->pkt_len == 60 + i);
      CHECK(burst[i]->data_off == kKernelHeadroom);
      CHECK(*rte_pktmbuf_mtod(burst[i], uint8_t*) == content);
    }
    rte_pktmbuf_prepend(burst[0], 20);  // an outer header
    const uint64_t data = static_cast<uint64_t>(rte_pktmbuf_mtod(burst[0], std::byte*) - rig.memory->frames().base);
    const uint32_t first = rig.tx.producer;
    REQUIRE(queue.send({burst.data(), 20}) == 20);
    CHECK(rig.tx.descriptor(first).addr == data);
    CHECK(rig.tx.descriptor(first).len == 80);
    rig.transmit();
    queue.flush();
    CHECK(queue.receive(burst) == 0);
  }
  CHECK(queue.counters().received == 20000);
  CHECK(queue.counters().sent == 20000);
  CHECK(rig.memory->free_frames() == kFrames - kAfXdpRingSize);
  reclaim(*rig.rings);
  CHECK(rig.memory->free_frames() == kFrames);
}

TEST_CASE("what the kernel held when the socket closed comes back, once") {
  Rig rig;
  AfXdpQueue queue{*rig.rings};
  REQUIRE(prime(*rig.rings));
  for (unsigned i = 0; i < 10; ++i) rig.deliver(1);  // received, never read
  std::vector<rte_mbuf*> out;
  for (unsigned i = 0; i < 30; ++i) out.push_back(rig.packet());
  REQUIRE(queue.send(out) == 30);
  for (unsigned i = 0; i < 10; ++i)  // sent and reported; ten more are on their way, ten are queued
    rig.completion.address(rig.completion.producer++) = rig.tx.descriptor(rig.tx.consumer++).addr;
  rig.tx.consumer += 10;
  queue.flush();
  CHECK(rig.memory->free_frames() == kFrames - kAfXdpRingSize - 20);
  reclaim(*rig.rings);
  CHECK(rig.memory->free_frames() == kFrames);
  reclaim(*rig.rings);
  CHECK(rig.memory->free_frames() == kFrames);
}

TEST_CASE("a queue without a socket may be polled: nothing comes, and nothing has room") {
  Rig rig;
  AfXdpQueue queue{*rig.rings};
  REQUIRE(prime(*rig.rings));
  rig.deliver(1);
  reclaim(*rig.rings);
  std::vector<rte_mbuf*> burst(32);
  CHECK(queue.receive(burst) == 0);
  std::vector<rte_mbuf*> out{rig.packet()};
  CHECK(queue.send(out) == 0);
  queue.flush();
  CHECK(rig.rings->socket == -1);
  rte_pktmbuf_free(out[0]);
  CHECK(rig.memory->free_frames() == kFrames);
}

TEST_CASE("what can't be sent is freed and counted, and the rest goes") {
  Rig rig;
  auto other = control::PacketMemory::create("other", 512, 0, false);
  REQUIRE(other.ok());
  AfXdpQueue queue{*rig.rings};

  rte_mbuf* chained = rig.packet();
  rte_pktmbuf_chain(chained, rig.packet());
  rte_mbuf* foreign = rte_pktmbuf_alloc(other->pool());
  rte_pktmbuf_append(foreign, 60);
  rte_mbuf* empty = rte_pktmbuf_alloc(rig.memory->pool());
  rte_mbuf* past_its_end = rig.packet();
  past_its_end->data_off = kBufferSize - 59;
  rte_mbuf* original = rig.packet();
  rte_mbuf* clone = rte_pktmbuf_clone(original, rig.memory->pool());
  rte_mbuf* good = rig.packet();
  std::vector<rte_mbuf*> burst{chained, foreign, empty, past_its_end, original, clone, good, good};
  CHECK(queue.send(burst) == burst.size());
  CHECK(queue.counters().unsendable == 7);
  CHECK(queue.counters().sent == 1);
  CHECK(rig.tx.producer == 1);
  rig.transmit();
  queue.flush();
  CHECK(rig.memory->free_frames() == kFrames);
  CHECK(other->free_frames() == 512);
}

TEST_CASE("a full tx ring takes no more, and a pool without frames is no dead end") {
  Rig rig;
  AfXdpQueue queue{*rig.rings};
  std::vector<rte_mbuf*> out;
  for (unsigned i = 0; i < kAfXdpRingSize + 10; ++i) out.push_back(rig.packet());
  CHECK(queue.send(out) == kAfXdpRingSize);
  CHECK(queue.send({out.data() + kAfXdpRingSize, 10}) == 0);

  std::vector<rte_mbuf*> rest(rig.memory->free_frames());
  REQUIRE(rte_pktmbuf_alloc_bulk(rig.memory->pool(), rest.data(), static_cast<unsigned>(rest.size())) == 0);
  CHECK_FALSE(prime(*rig.rings));
  CHECK(queue.counters().no_frames > 0);
  rte_pktmbuf_free(rest.back());
  rest.pop_back();
  std::vector<rte_mbuf*> burst(32);
  CHECK(queue.receive(burst) == 0);
  rig.deliver(1);
  CHECK(queue.receive(burst) == 1);
  rte_pktmbuf_free(burst[0]);

  rig.transmit();
  queue.flush();
  CHECK(queue.send({out.data() + kAfXdpRingSize, 10}) == 10);
  rte_pktmbuf_free_bulk(rest.data(), static_cast<unsigned>(rest.size()));
  CHECK(queue.receive(burst) == 0);
  reclaim(*rig.rings);
  CHECK(rig.memory->free_frames() == kFrames);
}

TEST_CASE("frames that the kernel didn't hold are ignored") {
  Rig rig;
  AfXdpQueue queue{*rig.rings};
  REQUIRE(prime(*rig.rings));
  std::vector<rte_mbuf*> burst(32);
  const uint64_t frame = rig.deliver(1);
  rig.rx.descriptor(rig.rx.producer++) = {frame + kFrameHeadroom + kKernelHeadroom, 60, 0};  // twice
  rig.rx.descriptor(rig.rx.producer++) = {uint64_t{1} << 40, 60, 0};                         // not in the memory
  CHECK(queue.receive(burst) == 1);
  REQUIRE(queue.send({burst.data(), 1}) == 1);
  rig.transmit();
  rig.completion.address(rig.completion.producer++) = frame;
  queue.flush();
  reclaim(*rig.rings);
  CHECK(rig.memory->free_frames() == kFrames);
}

}  // namespace
}  // namespace guideway::path
