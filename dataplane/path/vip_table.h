// (address, port, protocol) → service: asked once per packet that belongs to no known connection. Immutable once
// published; open addressing at a load of at most a half, so that a miss ends soon.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "dataplane/path/index.h"
#include "net/flow_hash.h"
#include "net/headers.h"

namespace guideway::path {

// In a VIP: all ports of the protocol. In a real: the port that the client sent to.
inline constexpr net::Be16 kAnyPort{0};

struct VipKey {
  net::IpAddress address;
  net::Be16 port;
  uint8_t protocol = 0;
  uint8_t zero = 0;
  // By its parts, which have just been written one by one.
  friend bool operator==(const VipKey& a, const VipKey& b) {
    return a.address == b.address && a.port == b.port && a.protocol == b.protocol;
  }
  friend auto operator<=>(const VipKey&, const VipKey&) = default;
};
static_assert(sizeof(VipKey) == 20);

class VipTable {
 public:
  struct Entry {
    VipKey key;
    ServiceIndex service = kNone<ServiceIndex>;  // none: the place is free
  };

  // `places`: a power of two of them, at least half free. Owned by control.
  explicit VipTable(std::span<const Entry> places) : places_(places.data()), mask_(places.size() - 1) {}

  // A service of the port itself wins over one of all ports.
  ServiceIndex service_of(const VipKey& key) const {
    const ServiceIndex exact = lookup(key);
    if (exact != kNone<ServiceIndex>) return exact;
    return lookup({key.address, kAnyPort, key.protocol, 0});
  }

  ServiceIndex lookup(const VipKey& key) const {
    for (uint64_t i = hash(key) & mask_;; i = (i + 1) & mask_) {
      const Entry& e = places_[i];
      if (e.service == kNone<ServiceIndex> || e.key == key) return e.service;
    }
  }

  static uint64_t hash(const VipKey& key) {
    const auto words = key.address.words();
    return gw_mix(gw_mix(words[0] ^ words[1]) ^ (static_cast<uint64_t>(key.port.wire()) << 8 | key.protocol));
  }

 private:
  const Entry* places_;
  uint64_t mask_;
};

}  // namespace guideway::path
