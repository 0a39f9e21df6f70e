// Follows a real kernel, in network namespaces of this process's own:
//
//   this namespace               the peer's
//   gw-a 192.0.2.1/24  ────────  gw-b 192.0.2.2/24
//        2001:db8:1::1/64             2001:db8:1::2/64
//   gw-c 198.51.100.1/24 ──────  gw-d (no address: nobody answers)
//
// Needs root; without it, each case says that it was skipped.
#include "dataplane/control/routing/kernel_routes.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

namespace guideway::control {
namespace {

using namespace std::chrono_literals;

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }
net::Prefix prefix(const char* address, unsigned length) { return prefix_of(ip(address), length); }

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string out;
  for (char line[256]; std::fgets(line, sizeof line, pipe.get()) != nullptr;) out += line;
  return out;
}

// This thread in a namespace of its own, joined to another by two veth pairs; both end with the object. The peer's
// namespace is held by a child that sleeps, and entered by its process id.
class Lab {
 public:
  Lab() : before_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    REQUIRE(unshare(CLONE_NEWNET) == 0);
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    peer_ = fork();
    if (peer_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to outlive a test that is killed
      const char ok = unshare(CLONE_NEWNET) == 0 ? 1 : 0;
      [[maybe_unused]] const ssize_t n = write(ready[1], &ok, 1);
      pause();
      _exit(0);
    }
    char ok = 0;
    REQUIRE(::read(ready[0], &ok, 1) == 1);
    REQUIRE(ok == 1);
    close(ready[0]);
    close(ready[1]);
    run("ip link set lo up");
    run("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
    for (const char* pair : {"gw-a type veth peer name gw-b", "gw-c type veth peer name gw-d"})
      run(std::string("ip link add ") + pair + " netns " + std::to_string(peer_));
    run("ip addr add 192.0.2.1/24 dev gw-a && ip addr add 2001:db8:1::1/64 dev gw-a nodad && ip link set gw-a up");
    run("ip addr add 198.51.100.1/24 dev gw-c && ip link set gw-c up");
    in_peer("ip addr add 192.0.2.2/24 dev gw-b && ip addr add 2001:db8:1::2/64 dev gw-b nodad");
    in_peer("ip link set gw-b address 02:00:00:00:00:0b && ip link set gw-b up && ip link set gw-d up");
    // Until then the kernel sends no neighbour solicitations, and takes its neighbours for failed.
    run("for i in $(seq 100); do ip -6 addr show dev gw-a scope link | grep -q inet6 && exit; sleep 0.05; done; exit "
        "1");
  }
  ~Lab() {
    if (peer_ > 0) kill(peer_, SIGKILL), waitpid(peer_, nullptr, 0);
    setns(before_, CLONE_NEWNET);
    close(before_);
  }
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  void in_peer(const std::string& command) const {
    run("nsenter -t " + std::to_string(peer_) + " -n sh -c '" + command + "'");
  }

 private:
  int before_;
  pid_t peer_ = -1;
};

bool privileged() {
  if (geteuid() == 0) return true;
  std::cout << "skipped: network namespaces need root\n";
  return false;
}

std::unique_ptr<KernelRoutes> follow(const KernelRoutes::Options& options = {}) {
  auto k = KernelRoutes::open(options);
  INFO(k.status().ToString());
  REQUIRE(k.ok());
  return *std::move(k);
}

// Reads until `condition` holds, for at most 5 s.
template <typename Condition>
bool soon(KernelRoutes& k, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (std::chrono::steady_clock::now() < end) {
    REQUIRE(k.read().ok());
    if (condition()) return true;
    pollfd p{k.fd(), POLLIN, 0};
    poll(&p, 1, 50);
  }
  return false;
}

void write_many_routes(const char* file, const char* verb, unsigned count) {
  std::ofstream out(file);
  for (unsigned i = 0; i < count; ++i)
    out << "route " << verb << " 10." << (i >> 16) << '.' << (i >> 8 & 255) << '.' << (i & 255)
        << "/32 via 192.0.2.2\n";
}

}  // namespace

TEST_CASE("the first dump shows links, addresses and routes", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  const auto k = follow();
  const Link* a = k->rib().link("gw-a");
  REQUIRE(a != nullptr);
  CHECK(a->up);
  CHECK(a->lower_up);
  CHECK(a->resolves);
  CHECK(a->mtu == 1500);
  CHECK_FALSE(k->rib().link("lo")->resolves);
  CHECK(k->rib().addresses(a->ifindex).size() == 3);  // two of ours and the link-local one
  const Resolution r = k->rib().lookup(ip("192.0.2.7"));
  CHECK(r.on_link);
  CHECK(r.hops == std::vector<Hop>{{a->ifindex, ip("192.0.2.7"), 1}});
  CHECK(r.source == ip("192.0.2.1"));
  CHECK(k->rib().lookup(ip("2001:db8:1::7")).source == ip("2001:db8:1::1"));
  CHECK(k->rib().lookup(ip("192.0.2.1")).kind == RouteKind::kLocal);
  CHECK(k->rib().lookup(ip("192.0.2.255")).kind == RouteKind::kLocal);  // broadcast
  CHECK(k->rib().lookup(ip("2001:db8:1::1")).kind == RouteKind::kLocal);
  CHECK(k->rib().lookup(ip("203.0.113.1")).kind == RouteKind::kNone);
}

TEST_CASE("routes are followed as they are added, changed and removed", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  const auto k = follow();
  const int a = k->rib().link("gw-a")->ifindex;
  const int c = k->rib().link("gw-c")->ifindex;
  const auto leads = [&](const char* to, const std::vector<Hop>& hops) {
    return soon(*k, [&] { return k->rib().lookup(ip(to)).hops == hops; });
  };
  const auto is = [&](const char* to, RouteKind kind) {
    return soon(*k, [&] { return k->rib().lookup(ip(to)).kind == kind; });
  };
  const Hop by_a{a, ip("192.0.2.2"), 1}, by_c{c, ip("198.51.100.2"), 1};
  k->take_changes();

  run("ip route add 10.1.0.0/16 via 192.0.2.2");
  CHECK(leads("10.1.0.1", {by_a}));
  CHECK(k->take_changes().routes == std::vector<net::Prefix>{prefix("10.1.0.0", 16)});
  run("ip route replace 10.1.0.0/16 nexthop via 192.0.2.2 weight 3 nexthop via 198.51.100.2");
  CHECK(leads("10.1.0.1", {{a, ip("192.0.2.2"), 3}, by_c}));
  run("ip route add 10.1.0.0/16 metric 5 via 192.0.2.2 && ip route del 10.1.0.0/16 metric 0");
  CHECK(leads("10.1.0.1", {by_a}));
  run("ip route add blackhole 10.1.2.0/24");
  CHECK(is("10.1.2.3", RouteKind::kBlackhole));
  run("ip route replace unreachable 10.1.2.0/24");
  CHECK(is("10.1.2.3", RouteKind::kUnreachable));
  run("ip route replace prohibit 10.1.2.0/24");
  CHECK(is("10.1.2.3", RouteKind::kProhibit));
  run("ip route del prohibit 10.1.2.0/24");
  CHECK(leads("10.1.2.3", {by_a}));
  run("ip route add 10.2.0.0/16 via inet6 2001:db8:1::2 mtu 1400 src 198.51.100.1");
  CHECK(leads("10.2.0.1", {{a, ip("2001:db8:1::2"), 1}}));
  CHECK(k->rib().lookup(ip("10.2.0.1")).mtu == 1400);
  CHECK(k->rib().lookup(ip("10.2.0.1")).source == ip("198.51.100.1"));
  run("ip route add 10.3.0.0/16 via 203.0.113.1 dev gw-c onlink");
  CHECK(leads("10.3.0.1", {{c, ip("203.0.113.1"), 1}}));

  SECTION("another table isn't ours") {
    run("ip route add 10.4.0.0/16 via 192.0.2.2 table 100 && ip route add 10.5.0.0/16 via 192.0.2.2");
    CHECK(leads("10.5.0.1", {by_a}));
    CHECK(k->rib().lookup(ip("10.4.0.1")).kind == RouteKind::kNone);
  }
  SECTION("IPv6 multipath") {
    const Hop v6_a{a, ip("2001:db8:1::2"), 1}, v6_c{c, ip("fe80::2"), 1};
    run("ip -6 route add 2001:db8:9::/48 via 2001:db8:1::2");
    CHECK(leads("2001:db8:9::1", {v6_a}));
    run("ip -6 route append 2001:db8:9::/48 via fe80::2 dev gw-c");
    CHECK(leads("2001:db8:9::1", {v6_a, v6_c}));
    run("ip -6 route del 2001:db8:9::/48 via 2001:db8:1::2");
    CHECK(leads("2001:db8:9::1", {v6_c}));
    run("ip -6 route replace 2001:db8:9::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:1::3");
    CHECK(leads("2001:db8:9::1", {v6_a, {a, ip("2001:db8:1::3"), 1}}));
    CHECK(follow()->rib().route(prefix("2001:db8:9::", 48)) == k->rib().route(prefix("2001:db8:9::", 48)));
    run("ip -6 route del 2001:db8:9::/48");
    CHECK(is("2001:db8:9::1", RouteKind::kNone));
  }
  SECTION("next-hop objects") {
    run("ip nexthop add id 1 via 192.0.2.2 dev gw-a && ip nexthop add id 2 via 198.51.100.2 dev gw-c");
    run("ip nexthop add id 10 group 1/2,4 && ip route add 10.6.0.0/16 nhid 10");
    CHECK(leads("10.6.0.1", {by_a, {c, ip("198.51.100.2"), 4}}));
    run("ip nexthop replace id 2 via 198.51.100.3 dev gw-c");
    CHECK(leads("10.6.0.1", {by_a, {c, ip("198.51.100.3"), 4}}));
    CHECK(follow()->rib().route(prefix("10.6.0.0", 16)) == k->rib().route(prefix("10.6.0.0", 16)));
    run("ip nexthop del id 2");
    CHECK(leads("10.6.0.1", {by_a}));
    run("ip nexthop del id 10");
    CHECK(is("10.6.0.1", RouteKind::kNone));
  }
  SECTION("a link that goes down takes its routes along, which the kernel doesn't tell") {
    run("ip route add 10.7.0.0/16 nexthop via 192.0.2.2 nexthop via 198.51.100.2");
    run("ip route add 10.8.0.0/16 via 198.51.100.2");
    CHECK(leads("10.8.0.1", {by_c}));
    run("ip link set gw-c down");
    CHECK(is("10.8.0.1", RouteKind::kNone));
    CHECK(leads("10.7.0.1", {by_a}));
    run("ip link set gw-c up");
    CHECK(leads("10.7.0.1", {by_a, by_c}));
    CHECK(leads("198.51.100.7", {{c, ip("198.51.100.7"), 1}}));
    CHECK(is("10.8.0.1", RouteKind::kNone));
    lab.in_peer("ip link set gw-d down");  // carrier
    CHECK(leads("10.7.0.1", {by_a}));
    run("ip link del gw-c");
    CHECK(soon(*k, [&] { return k->rib().link("gw-c") == nullptr; }));
    CHECK(k->rib().lookup(ip("198.51.100.7")).kind == RouteKind::kNone);
  }
  SECTION("so does an address that routes prefer") {
    run("ip route add 10.9.0.0/16 via 192.0.2.2 src 198.51.100.1");
    CHECK(leads("10.9.0.1", {by_a}));
    run("ip addr del 198.51.100.1/24 dev gw-c");
    CHECK(is("10.9.0.1", RouteKind::kNone));
  }
}

TEST_CASE("neighbours are resolved and kept", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  const bool managed = GENERATE(true, false);
  const auto k = follow({.managed = managed});
  const int a = k->rib().link("gw-a")->ifindex;
  const net::MacAddress mac = *net::parse_mac("02:00:00:00:00:0b");
  CHECK_FALSE(k->rib().neighbor(a, ip("192.0.2.2")));
  CHECK(k->keep_resolved(a, ip("192.0.2.2")).ok());
  CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("192.0.2.2")) == mac; }));
  CHECK((output_of("ip neigh show 192.0.2.2 dev gw-a").find("managed") != std::string::npos) == managed);

  SECTION("an IPv6 neighbour") {
    CHECK(k->keep_resolved(a, ip("2001:db8:1::2")).ok());
    CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("2001:db8:1::2")) == mac; }));
  }
  SECTION("a neighbour that was flushed comes back without a tick") {
    run("ip neigh flush dev gw-a");
    k->take_changes();
    run("ip neigh del 192.0.2.2 dev gw-a 2>/dev/null || true");
    CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("192.0.2.2")) == mac; }));
  }
  SECTION("so does one whose link was down") {
    run("ip link set gw-a down");
    CHECK(soon(*k, [&] { return !k->rib().neighbor(a, ip("192.0.2.2")); }));
    run("ip link set gw-a up");
    CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("192.0.2.2")) == mac; }));
  }
  SECTION("a new MAC address is learnt") {
    lab.in_peer("ip link set gw-b address 02:00:00:00:00:0c");
    run("ip neigh replace 192.0.2.2 dev gw-a lladdr 02:00:00:00:00:0c nud reachable");
    CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("192.0.2.2")) == net::parse_mac("02:00:00:00:00:0c"); }));
  }
  SECTION("what isn't there doesn't become usable; ticks go on") {
    CHECK(k->keep_resolved(a, ip("192.0.2.99")).ok());
    CHECK(k->tick().ok());
    std::this_thread::sleep_for(100ms);
    REQUIRE(k->read().ok());
    CHECK_FALSE(k->rib().neighbor(a, ip("192.0.2.99")));
  }
  SECTION("permanent entries stay so") {
    run("ip neigh replace 192.0.2.50 dev gw-a lladdr 02:00:00:00:00:50 nud permanent");
    CHECK(soon(*k, [&] { return k->rib().neighbor(a, ip("192.0.2.50")).has_value(); }));
    CHECK(k->keep_resolved(a, ip("192.0.2.50")).ok());
    CHECK(k->tick().ok());
    CHECK(output_of("ip neigh show 192.0.2.50 dev gw-a").find("PERMANENT") != std::string::npos);
  }
  SECTION("released by all who wanted it, it is no longer managed") {
    CHECK(k->keep_resolved(a, ip("192.0.2.2")).ok());
    k->release(a, ip("192.0.2.2"));
    CHECK((output_of("ip neigh show 192.0.2.2 dev gw-a").find("managed") != std::string::npos) == managed);
    k->release(a, ip("192.0.2.2"));
    CHECK(output_of("ip neigh show 192.0.2.2 dev gw-a").find("managed") == std::string::npos);
    CHECK(k->rib().neighbor(a, ip("192.0.2.2")) == mac);
  }
}

TEST_CASE("100,000 routes are dumped, and an overrun ends in the right state", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  char file[] = "/tmp/gw-routes-XXXXXX";
  close(mkstemp(file));
  const auto k = follow({.receive_buffer = 4096});
  const size_t before = k->rib().prefixes();
  const uint64_t dumps = k->dumps();
  write_many_routes(file, "add", 100'000);
  run(std::string("ip -batch ") + file);

  const auto start = std::chrono::steady_clock::now();
  CHECK(soon(*k, [&] { return k->rib().lookup(ip("10.1.134.159")).kind == RouteKind::kUnicast; }));
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(k->dumps() > dumps);  // the buffer held but a few of them
  std::cout << "100,000 routes after an overrun: " << took / 1ms << " ms\n";
  CHECK(k->rib().prefixes() >= before + 100'000);  // IPv6 may have come up meanwhile and brought some of its own
  CHECK(k->take_changes().all);

  write_many_routes(file, "del", 50'000);
  run(std::string("ip -batch ") + file);
  CHECK(soon(*k, [&] { return k->rib().lookup(ip("10.0.195.79")).kind == RouteKind::kNone; }));
  CHECK(k->rib().lookup(ip("10.0.195.80")).kind == RouteKind::kUnicast);
  CHECK(k->take_changes().routes.size() >= 50'000);

  const auto again = std::chrono::steady_clock::now();
  const auto other = follow();
  std::cout << "50,000 routes from the start: " << (std::chrono::steady_clock::now() - again) / 1ms << " ms\n";
  REQUIRE(k->read().ok());
  CHECK(other->rib().prefixes() == k->rib().prefixes());
  unlink(file);
}

TEST_CASE("what was told before an overrun doesn't come on top of the dump after it", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  char file[] = "/tmp/gw-routes-XXXXXX";
  close(mkstemp(file));
  const auto k = follow({.receive_buffer = 3 << 20});  // some 8,000 messages: more than a read takes
  const uint64_t dumps = k->dumps();
  for (const char* verb : {"add", "del"}) {
    write_many_routes(file, verb, 20'000);
    run(std::string("ip -batch ") + file);
  }
  unlink(file);
  REQUIRE(k->read().ok());
  CHECK(k->dumps() == dumps);
  CHECK(k->rib().lookup(ip("10.0.0.0")).kind == RouteKind::kUnicast);
  CHECK(soon(*k, [&] { return k->dumps() > dumps; }));
  for (pollfd p{k->fd(), POLLIN, 0}; poll(&p, 1, 50) > 0;) REQUIRE(k->read().ok());
  CHECK(k->rib().lookup(ip("10.0.20.0")).kind == RouteKind::kNone);  // of those that waited
  const auto other = follow();
  REQUIRE(k->read().ok());
  CHECK(other->rib().prefixes() == k->rib().prefixes());

  run("ip route add 10.1.0.0/16 via 192.0.2.2");
  CHECK(soon(*k, [&] { return k->rib().lookup(ip("10.1.0.1")).kind == RouteKind::kUnicast; }));
}

TEST_CASE("a tick takes in what waits, if there is a dump to be made", "[root]") {
  if (!privileged()) return;
  const Lab lab;
  char file[] = "/tmp/gw-routes-XXXXXX";
  close(mkstemp(file));
  const auto k = follow({.receive_buffer = 3 << 20});
  write_many_routes(file, "add", 20'000);
  run(std::string("ip -batch ") + file);
  unlink(file);
  REQUIRE(k->read().ok());
  const uint64_t dumps = k->dumps();
  for (int i = 0; i < 10 && k->dumps() == dumps; ++i) REQUIRE(k->tick().ok());
  CHECK(k->dumps() == dumps + 1);
  CHECK(k->rib().lookup(ip("10.0.78.31")).kind == RouteKind::kUnicast);  // the last one
}

}  // namespace guideway::control
