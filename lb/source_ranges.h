// Which clients a service is for: prefixes, as an operator writes them, become ranges that don't overlap, so that a
// packet is judged by one binary search. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/prefix.h"

namespace guideway::lb {

inline constexpr uint32_t kMaxSourceRanges = 1'024;  // of one service

// Addresses from `first` to `last`, both included, of one family.
struct SourceRange {
  net::IpAddress first;
  net::IpAddress last;
  friend bool operator==(const SourceRange&, const SourceRange&) = default;
};

// Ordered, disjoint, and covering just what the prefixes cover.
std::vector<SourceRange> source_ranges(std::span<const net::Prefix> prefixes);

// Whether one of the ranges, as source_ranges() makes them, holds the address.
bool holds(std::span<const SourceRange> ranges, const net::IpAddress& address);

}  // namespace guideway::lb
