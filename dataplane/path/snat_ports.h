// Which SNAT ports of a worker's blocks are taken towards each destination, a bit each: so a free one is found wherever
// it is, at the cost of some words also when nearly all are taken.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/path/tables.h"

namespace guideway::path {

// What a port can be taken towards: an SNAT address of ours, and the real's address, port and protocol.
struct SnatDestination {
  net::IpAddress snat;
  net::IpAddress real;
  net::Be16 port;
  uint8_t protocol = 0;
  uint8_t zero = 0;
  friend bool operator==(const SnatDestination&, const SnatDestination&) = default;
};

class SnatPorts {
 public:
  // Destinations at once. Towards others ports are found by trying some.
  static constexpr uint32_t kDestinations = 8'192;
  using Index = uint16_t;
  static constexpr Index kNone = 0xffff;

  struct Row {
    SnatDestination destination;
    uint32_t taken = 0;  // ports; 0: the row is free
    Index next = kNone;  // of the same bucket, or of the free ones
  };
  struct Memory {
    std::span<Row> rows;        // kDestinations
    std::span<Index> buckets;   // as many
    std::span<uint64_t> words;  // kDestinations × words_for(workers), zero
  };
  static constexpr uint32_t words_for(unsigned workers) { return (kSnatBlocks + workers - 1) / workers; }

  SnatPorts(unsigned worker, unsigned workers, const Memory& memory);

  // For one packet that may change nothing, while the ports stay as they are: one is looked for and not taken.
  SnatPorts rehearsal() const {
    SnatPorts copy = *this;
    copy.rehearses_ = true;
    return copy;
  }

  // The destination's row, one that is taken for it now, or none if all are. Given back with its last port.
  Index find(const SnatDestination& destination);
  // A free port of the range in blocks of ours, from a place on that `random` chooses; 0 if there is none.
  uint16_t free_port(Index destination, const SnatAddress& range, uint64_t random) const;
  void take(Index destination, uint16_t port);
  void give_back(Index destination, uint16_t port);
  uint32_t destinations() const { return destinations_; }
  // After a find() of which nothing came.
  void release_unused(Index destination) {
    if (rows_[destination].taken == 0 && !rehearses_) release(destination);
  }

 private:
  static uint32_t bucket_of(const SnatDestination& destination);
  void release(Index destination);
  uint64_t& word(Index destination, uint16_t port) {
    return words_[destination * words_each_ + (port >> kSnatBlockBits) / workers_];
  }
  static uint64_t bit(uint16_t port) { return uint64_t{1} << (port % (1U << kSnatBlockBits)); }

  unsigned worker_;
  unsigned workers_;
  uint32_t words_each_;
  Row* rows_;
  Index* buckets_;
  uint64_t* words_;
  Index free_ = 0;
  uint32_t destinations_ = 0;  // rows that aren't free
  // A rehearsal's: ports that it has given back.
  struct Returned {
    Index destination = kNone;
    uint16_t port = 0;
  };
  bool rehearses_ = false;
  uint32_t returned_count_ = 0;
  std::array<Returned, 4> returned_{};
};

}  // namespace guideway::path
