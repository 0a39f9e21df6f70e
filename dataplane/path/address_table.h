// address → what it is to us, whatever its ports: asked for a packet that begins a flow, and for what is sent to an
// address rather than to a service (echo, ARP, neighbour solicitations). Immutable once published; open addressing at a
// load of at most a half, so that a miss ends soon.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "net/address.h"
#include "net/flow_hash.h"

namespace guideway::path {

enum AddressFlag : uint8_t {
  kAddressOurs = 1,       // only we send from it: of translation, or a port's
  kAddressVip = 2,        // of a service, whether that has a backend or not
  kAddressAnnounced = 4,  // we answer for it on the link: a VIP only while one of its services has a backend
};

class AddressTable {
 public:
  struct Entry {
    net::IpAddress address;
    uint8_t flags = 0;  // none: the place is free
  };

  // `places`: a power of two of them, at least half free. Owned by control.
  explicit AddressTable(std::span<const Entry> places) : places_(places.data()), mask_(places.size() - 1) {}

  // Of AddressFlag; 0: nothing to us.
  uint8_t flags(const net::IpAddress& address) const {
    for (uint64_t i = hash(address) & mask_;; i = (i + 1) & mask_) {
      const Entry& e = places_[i];
      if (e.flags == 0 || e.address == address) return e.flags;
    }
  }

  static uint64_t hash(const net::IpAddress& address) {
    const auto words = address.words();
    return gw_mix(words[0] ^ gw_mix(words[1]));
  }

 private:
  const Entry* places_;
  uint64_t mask_;
};

}  // namespace guideway::path
