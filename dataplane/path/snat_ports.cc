#include "dataplane/path/snat_ports.h"

#include <bit>
#include <cstring>

namespace guideway::path {

namespace {

constexpr uint32_t kBlock = 1U << kSnatBlockBits;

// The bits of the block's ports that are within the range.
uint64_t within(const SnatAddress& range, uint32_t block) {
  uint64_t bits = ~uint64_t{0};
  if (const uint32_t first = block * kBlock; first < range.port_min) bits &= ~uint64_t{0} << (range.port_min - first);
  if (const uint32_t last = block * kBlock + kBlock - 1; last > range.port_max)
    bits &= ~uint64_t{0} >> (last - range.port_max);
  return bits;
}

}  // namespace

SnatPorts::SnatPorts(unsigned worker, unsigned workers, const Memory& memory)
    : worker_(worker),
      workers_(workers),
      words_each_(words_for(workers)),
      rows_(memory.rows.data()),
      buckets_(memory.buckets.data()),
      words_(memory.words.data()) {
  for (uint32_t i = 0; i < kDestinations; ++i) {
    rows_[i] = {};
    rows_[i].next = i + 1 < kDestinations ? static_cast<Index>(i + 1) : kNone;
    buckets_[i] = kNone;
  }
}

uint32_t SnatPorts::bucket_of(const SnatDestination& d) {
  uint64_t words[4];
  std::memcpy(words, &d, sizeof words);
  uint64_t h = static_cast<uint64_t>(d.port.wire()) << 8 | d.protocol;
  for (const uint64_t w : words) h = gw_mix(h ^ w);
  return gw_slot(h, kDestinations);
}

SnatPorts::Index SnatPorts::find(const SnatDestination& destination) {
  Index& first = buckets_[bucket_of(destination)];
  for (Index i = first; i != kNone; i = rows_[i].next)
    if (rows_[i].destination == destination) return i;
  if (free_ == kNone) return kNone;
  const Index i = free_;
  if (rehearses_) return i;  // of which no port is taken
  free_ = rows_[i].next;
  rows_[i] = {.destination = destination, .taken = 0, .next = first};
  first = i;
  ++destinations_;
  return i;
}

uint16_t SnatPorts::free_port(Index destination, const SnatAddress& range, uint64_t random) const {
  // Our blocks are worker, worker + workers, …: number k of them is worker + k × workers.
  const uint32_t first = range.port_min / kBlock;
  const uint32_t last = range.port_max / kBlock;
  if (last < worker_) return 0;
  const uint32_t from = first <= worker_ ? 0 : (first - worker_ + workers_ - 1) / workers_;
  const uint32_t to = (last - worker_) / workers_;
  if (from > to) return 0;
  const uint64_t* taken = words_ + destination * words_each_;
  const uint32_t count = to - from + 1;
  const uint32_t start = gw_slot(random, count);
  // The block that it starts in comes again, for the ports before the one that it starts at.
  for (uint32_t n = 0; n <= count; ++n) {
    const uint32_t k = from + (start + n) % count;
    const uint32_t block = worker_ + k * workers_;
    uint64_t free = ~taken[k];
    for (uint32_t i = 0; i < returned_count_; ++i)
      if (returned_[i].destination == destination && returned_[i].port / kBlock == block)
        free |= bit(returned_[i].port);
    free &= within(range, block);
    if (n == 0) free &= ~uint64_t{0} << (random % kBlock);
    if (free != 0) return static_cast<uint16_t>(block * kBlock + static_cast<uint32_t>(std::countr_zero(free)));
  }
  return 0;
}

void SnatPorts::take(Index destination, uint16_t port) {
  if (rehearses_) return;
  word(destination, port) |= bit(port);
  ++rows_[destination].taken;
}

void SnatPorts::give_back(Index destination, uint16_t port) {
  if (rehearses_) {
    if (returned_count_ < returned_.size()) returned_[returned_count_++] = {destination, port};
    return;
  }
  word(destination, port) &= ~bit(port);
  if (--rows_[destination].taken == 0) release(destination);
}

void SnatPorts::release(Index destination) {
  Index* link = &buckets_[bucket_of(rows_[destination].destination)];
  while (*link != destination) link = &rows_[*link].next;
  *link = rows_[destination].next;
  rows_[destination].next = free_;
  free_ = destination;
  --destinations_;
}

}  // namespace guideway::path
