// What is told, how often, by which port.
#include "dataplane/control/announcer.h"

#include <catch2/catch.hpp>

#include "dataplane/control/eal_for_test.h"
#include "net/neighbor.h"

namespace guideway::control {
namespace {

using Clock = Announcer::Clock;
using std::chrono::milliseconds;

struct Free {
  void operator()(rte_ring* r) const { rte_ring_free(r); }
  void operator()(rte_mempool* p) const { rte_mempool_free(p); }
};

class Fixture {
 public:
  explicit Fixture(unsigned ring_size = 1024) {
    start_eal();
    static unsigned instance = 0;
    const std::string name = "announcer" + std::to_string(instance++);
    pool_.reset(rte_pktmbuf_pool_create(name.c_str(), 2047, 0, 0, 512, SOCKET_ID_ANY));
    std::vector<Announcer::Way> ways;
    for (uint8_t i = 0; i < 2; ++i) {
      rings_[i].reset(rte_ring_create((name + std::to_string(i)).c_str(), ring_size, SOCKET_ID_ANY, 0));
      ways.push_back({{.index = i, .ifindex = i + 1, .mac = mac(i), .declared = {}}, rings_[i].get()});
    }
    announcer = std::make_unique<Announcer>(std::move(ways), pool_.get());
  }

  static net::MacAddress mac(uint8_t port) { return {{2, 0, 0, 0, 0, port}}; }

  // The addresses that were told by the port since the last call.
  std::vector<std::string> told(uint8_t port) {
    std::vector<std::string> all;
    void* object = nullptr;
    while (rte_ring_dequeue(rings_[port].get(), &object) == 0) {
      auto* m = static_cast<rte_mbuf*>(object);
      const auto* ethernet = rte_pktmbuf_mtod(m, const net::EthernetHeader*);
      CHECK(ethernet->source == mac(port));
      if (ethernet->type == net::Be16{0x0806}) {
        CHECK(ethernet->destination == net::kBroadcastMac);
        const auto& arp = *reinterpret_cast<const net::ArpMessage*>(ethernet + 1);
        CHECK(arp.is_request());
        CHECK(arp.sender == arp.target);
        CHECK(arp.sender_mac == mac(port));
        all.push_back(net::to_string(net::IpAddress::v4(arp.target)));
      } else {
        CHECK(ethernet->destination == net::kAllNodesMac);
        const auto& a = *reinterpret_cast<const net::Advertisement*>(ethernet + 1);
        CHECK(net::icmpv6_error(a.ip, &a.message, sizeof a.message + sizeof a.option) == 0);
        CHECK(a.message.flags == net::Be32{net::kNeighborOverride});
        CHECK(a.option.mac == mac(port));
        all.push_back(net::to_string(a.message.target));
      }
      rte_pktmbuf_free(m);
    }
    return all;
  }

 private:
  std::unique_ptr<rte_mempool, Free> pool_;
  std::array<std::unique_ptr<rte_ring, Free>, 2> rings_;

 public:
  std::unique_ptr<Announcer> announcer;
};

std::set<net::IpAddress> addresses(std::initializer_list<const char*> texts) {
  std::set<net::IpAddress> all;
  for (const char* t : texts) all.insert(net::parse_ip(t).value());
  return all;
}

using Texts = std::vector<std::string>;

TEST_CASE("what is new is told three times by every port", "[announcer]") {
  Fixture f;
  const auto start = Clock::now();
  f.announcer->follow(addresses({"192.0.2.1", "2001:db8::1"}), start);
  for (int second = 0; second < 3; ++second) {
    const auto now = start + std::chrono::seconds(second);
    f.announcer->step(now);
    f.announcer->step(now + milliseconds(900));
    for (const uint8_t port : {0, 1}) CHECK(f.told(port) == Texts{"192.0.2.1", "2001:db8::1"});
  }
  f.announcer->step(start + std::chrono::seconds(9));
  CHECK(f.told(0).empty());
  // One more: it alone. One that has gone isn't told any more, and is new if it comes again.
  const auto later = start + std::chrono::seconds(10);
  f.announcer->follow(addresses({"192.0.2.1", "192.0.2.2"}), later);
  f.announcer->step(later);
  CHECK(f.told(0) == Texts{"192.0.2.2"});
  f.announcer->follow(addresses({"192.0.2.1"}), later);
  f.announcer->step(later + std::chrono::seconds(1));
  CHECK(f.told(0).empty());
  f.announcer->follow(addresses({"192.0.2.1", "192.0.2.2"}), later);
  f.announcer->step(later);
  CHECK(f.told(0) == Texts{"192.0.2.2"});
  f.announcer->repeat(later);
  f.announcer->step(later);
  CHECK(f.told(0) == Texts{"192.0.2.1", "192.0.2.2"});
}

TEST_CASE("many addresses are told by and by, and a full ring keeps no buffer", "[announcer]") {
  Fixture f(64);
  std::set<net::IpAddress> many;
  for (uint32_t i = 0; i < 300; ++i) many.insert(net::IpAddress::v4(net::Be32{0x0a000000 + i}));
  const auto now = Clock::now();
  f.announcer->follow(many, now);
  for (int i = 0; i < 20; ++i) {
    f.announcer->step(now + std::chrono::seconds(i));
    CHECK(f.told(0).size() <= 63);
  }
}

}  // namespace
}  // namespace guideway::control
