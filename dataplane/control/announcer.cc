#include "dataplane/control/announcer.h"

#include <algorithm>
#include <cstring>

#include "net/neighbor.h"

namespace guideway::control {

namespace {

constexpr unsigned kTimes = 3;
constexpr auto kInterval = std::chrono::seconds(1);
constexpr unsigned kAtOnce = 256;  // addresses a step

template <typename Message>
bool write(rte_mbuf* m, const net::EthernetHeader& ethernet, const Message& message) {
  char* room = rte_pktmbuf_append(m, sizeof ethernet + sizeof message);
  if (room == nullptr) return false;
  std::memcpy(room, &ethernet, sizeof ethernet);
  std::memcpy(room + sizeof ethernet, &message, sizeof message);
  return true;
}

// RFC 5227, 3: a request rather than a reply, for more implementations heed it.
bool write_arp(rte_mbuf* m, const net::IpAddress& address, const net::MacAddress& mac) {
  net::ArpMessage arp;
  arp.sender_mac = mac;
  arp.sender = arp.target = address.as_v4();
  return write(m, {net::kBroadcastMac, mac, net::Be16{static_cast<uint16_t>(net::EtherType::kArp)}}, arp);
}

// RFC 4861, 7.2.6.
bool write_advertisement(rte_mbuf* m, const net::IpAddress& address, const net::MacAddress& mac) {
  return write(m, {net::kAllNodesMac, mac, net::Be16{static_cast<uint16_t>(net::EtherType::kIpv6)}},
               net::Advertisement(address, mac, net::kAllNodes, false));
}

}  // namespace

void Announcer::follow(const std::set<net::IpAddress>& announced, Clock::time_point now) {
  std::erase_if(due_, [&](const auto& d) { return !announced.contains(d.first); });
  for (const net::IpAddress& a : announced)
    if (!announced_.contains(a)) due_[a] = {kTimes, now};
  announced_ = announced;
}

void Announcer::repeat(Clock::time_point now) {
  for (const net::IpAddress& a : announced_) due_[a] = {kTimes, now};
}

void Announcer::step(Clock::time_point now) {
  unsigned n = 0;
  for (auto it = due_.begin(); it != due_.end() && n < kAtOnce;) {
    auto& [address, due] = *it;
    if (due.next > now) {
      ++it;
      continue;
    }
    for (const Way& way : ways_) tell(address, way);
    due.next = now + kInterval;
    ++n;
    it = --due.left == 0 ? due_.erase(it) : std::next(it);
  }
}

// What finds no room is told again a second later.
void Announcer::tell(const net::IpAddress& address, const Way& way) {
  rte_mbuf* m = rte_pktmbuf_alloc(pool_);
  if (m == nullptr) return;
  const bool written =
      address.is_v4() ? write_arp(m, address, way.port.mac) : write_advertisement(m, address, way.port.mac);
  if (!written || rte_ring_sp_enqueue(way.ring, m) != 0) rte_pktmbuf_free(m);
}

}  // namespace guideway::control
