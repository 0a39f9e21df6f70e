// Prefixes, as what an address lies in is looked up: once for each length that there is.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <unordered_set>

#include "net/prefix.h"

namespace guideway::control {

class Networks {
 public:
  explicit Networks(std::span<const net::Prefix> all) : all_(all.begin(), all.end()) {
    for (const net::Prefix& p : all) lengths_[p.address.is_v4()].insert(p.length);
  }
  bool contain(const net::IpAddress& a) const {
    return std::ranges::any_of(lengths_[a.is_v4()],
                               [&](unsigned length) { return all_.contains(prefix_of(a, length)); });
  }

 private:
  std::unordered_set<net::Prefix> all_;
  std::array<std::set<unsigned>, 2> lengths_;  // [is IPv4]
};

}  // namespace guideway::control
