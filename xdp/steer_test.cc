// The steering program run by the kernel over single packets (BPF_PROG_TEST_RUN): what it does with each kind.
// Needs root; says so and passes without.
#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "net/drop_reason.h"
#include "net/headers.h"
#include "xdp/fd.h"
#include "xdp/shared.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::xdp {
namespace {

using net::Be16;

struct Packet {
  std::vector<uint8_t> bytes;
  template <typename Header>
  Packet& add(const Header& h) {
    const auto* p = reinterpret_cast<const uint8_t*>(&h);
    bytes.insert(bytes.end(), p, p + sizeof h);
    return *this;
  }
  Packet cut(size_t length) const { return {{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}}; }
};

Packet ethernet(uint16_t type) {
  net::EthernetHeader h;
  h.type = Be16{type};
  return Packet{}.add(h);
}

Packet ipv4(const char* destination, int protocol, uint16_t fragment = 0) {
  net::Ipv4Header h;
  h.destination = net::parse_ip(destination)->as_v4();
  h.protocol = static_cast<uint8_t>(protocol);
  h.fragment = Be16{fragment};
  return ethernet(0x0800).add(h);
}

Packet ipv6(const char* destination, int next) {
  net::Ipv6Header h;
  h.destination = *net::parse_ip(destination);
  h.next_header = static_cast<uint8_t>(next);
  return ethernet(0x86dd).add(h);
}

Packet udp(Packet p, uint16_t port) {
  net::UdpHeader h;
  h.destination_port = Be16{port};
  return p.add(h);
}

Packet tcp(Packet p, uint16_t port) {
  net::TcpHeader h;
  h.destination_port = Be16{port};
  return p.add(h);
}

Packet icmp(Packet p, uint8_t type) {
  net::IcmpHeader h;
  h.type = type;
  return p.add(h);
}

gw_address address(const char* text) {
  gw_address a;
  std::memcpy(a.bytes, net::parse_ip(text)->bytes.data(), sizeof a.bytes);
  return a;
}

struct Unload {
  void operator()(steer_bpf* b) const { steer_bpf__destroy(b); }
};

// The program with VIPs 192.0.2.1:80/tcp and [2001:db8::1]:53/udp, SNAT addresses 192.0.2.2 with ports 40000 to 40999
// and 2001:db8::2 with all, and the dedicated ones 192.0.2.3 and 2001:db8::3.
class Steering {
 public:
  Steering() : object_(steer_bpf__open_and_load()) {
    REQUIRE(object_ != nullptr);
    vip("192.0.2.1", 80, IPPROTO_TCP);
    vip("2001:db8::1", 53, IPPROTO_UDP);
    steer("192.0.2.2", {40000, 40999, GW_ADDRESS_SNAT});
    steer("2001:db8::2", {0, 65535, GW_ADDRESS_SNAT});
    steer("192.0.2.3", {0, 0, GW_ADDRESS_DEDICATED});
    steer("2001:db8::3", {0, 0, GW_ADDRESS_DEDICATED});
  }

  xdp_action run(const Packet& p) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = p.bytes.data();
    options.data_size_in = static_cast<uint32_t>(p.bytes.size());
    options.repeat = 1;
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(object_->progs.gw_steer), &options) == 0);
    return static_cast<xdp_action>(options.retval);
  }

  uint64_t drops(uint32_t reason) {
    std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    REQUIRE(bpf_map_lookup_elem(bpf_map__fd(object_->maps.drops), &reason, of_cpu.data()) == 0);
    uint64_t sum = 0;
    for (const uint64_t n : of_cpu) sum += n;
    return sum;
  }

  // An AF_XDP socket with a receive ring: all that the map asks for.
  void add_socket(uint32_t queue) {
    socket_ = Fd{socket(AF_XDP, SOCK_RAW, 0)};
    const int entries = 64;
    REQUIRE(setsockopt(socket_.get(), SOL_XDP, XDP_RX_RING, &entries, sizeof entries) == 0);
    const int fd = socket_.get();
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.sockets), &queue, &fd, BPF_ANY) == 0);
  }

 private:
  void vip(const char* ip, uint16_t port, int protocol) {
    const gw_vip_key key{address(ip), Be16{port}.wire(), static_cast<uint8_t>(protocol), 0};
    const uint32_t one = 1;
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.vips), &key, &one, BPF_ANY) == 0);
    steer(ip, {0, 0, GW_ADDRESS_VIP});
  }
  void steer(const char* ip, gw_address_value value) {
    const gw_address key = address(ip);
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.addresses), &key, &value, BPF_ANY) == 0);
  }

  std::unique_ptr<steer_bpf, Unload> object_;
  Fd socket_;
};

struct Case {
  std::string description;
  Packet packet;
  bool engine;  // else the host
};

constexpr uint16_t kMoreFragments = 0x2000;
constexpr int kIcmp = IPPROTO_ICMP, kIcmpv6 = IPPROTO_ICMPV6, kTcp = IPPROTO_TCP, kUdp = IPPROTO_UDP;

std::vector<Case> cases() {
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  Packet options = ethernet(0x0800);
  net::Ipv4Header with_options;
  with_options.version_ihl = 0x46;
  with_options.protocol = IPPROTO_TCP;
  with_options.destination = net::parse_ip("192.0.2.1")->as_v4();
  options.add(with_options).add(net::Be32{});
  Packet wrong_version = vip;
  wrong_version.bytes[14] = 0x55;
  Packet short_header = vip;
  short_header.bytes[14] = 0x44;
  return {
      {"VIP, IPv4", vip, true},
      {"VIP, IPv4 options", tcp(std::move(options), 80), true},
      {"VIP, IPv6", udp(ipv6("2001:db8::1", kUdp), 53), true},
      {"VIP address, another port", tcp(ipv4("192.0.2.1", kTcp), 81), false},
      {"VIP address, another protocol", udp(ipv4("192.0.2.1", kUdp), 80), false},
      {"VIP address, IPv6, another port", udp(ipv6("2001:db8::1", kUdp), 54), false},
      {"VIP, ends before its ports", vip.cut(36), false},
      {"VIP, ends in its IP header", vip.cut(30), false},
      {"VIP, IP version 5", wrong_version, false},
      {"VIP, header length 16", short_header, false},
      {"VIP, ICMP", icmp(ipv4("192.0.2.1", kIcmp), 8), true},
      {"VIP, ICMPv6 echo", icmp(ipv6("2001:db8::1", kIcmpv6), 128), true},
      {"VIP, ICMPv6 packet too big", icmp(ipv6("2001:db8::1", kIcmpv6), 2), true},
      {"VIP, router solicitation", icmp(ipv6("2001:db8::1", kIcmpv6), 133), false},
      {"VIP, router advertisement", icmp(ipv6("2001:db8::1", kIcmpv6), 134), false},
      {"VIP, neighbour solicitation", icmp(ipv6("2001:db8::1", kIcmpv6), 135), false},
      {"VIP, neighbour advertisement", icmp(ipv6("2001:db8::1", kIcmpv6), 136), false},
      {"VIP, ICMPv6 that ends before its type", ipv6("2001:db8::1", kIcmpv6), false},
      {"VIP, first fragment", tcp(ipv4("192.0.2.1", kTcp, kMoreFragments), 80), true},
      {"VIP, later fragment whose bytes look like another port", tcp(ipv4("192.0.2.1", kTcp, 100), 81), true},
      {"VIP, IPv6 fragment header", udp(ipv6("2001:db8::1", 44), 0), true},
      {"VIP, IPv6 hop-by-hop options", udp(ipv6("2001:db8::1", 0), 53), false},
      {"VIP address, GRE", tcp(ipv4("192.0.2.1", 47), 80), false},
      {"SNAT, first port of the range", tcp(ipv4("192.0.2.2", kTcp), 40000), true},
      {"SNAT, last port of the range", udp(ipv4("192.0.2.2", kUdp), 40999), true},
      {"SNAT, below the range", tcp(ipv4("192.0.2.2", kTcp), 39999), false},
      {"SNAT, above the range", tcp(ipv4("192.0.2.2", kTcp), 41000), false},
      {"SNAT, IPv6", tcp(ipv6("2001:db8::2", kTcp), 1), true},
      {"SNAT, ICMP", icmp(ipv4("192.0.2.2", kIcmp), 8), false},
      {"SNAT, fragment", tcp(ipv4("192.0.2.2", kTcp, kMoreFragments), 40000), false},
      {"dedicated, TCP", tcp(ipv4("192.0.2.3", kTcp), 22), true},
      {"dedicated, ICMP", icmp(ipv4("192.0.2.3", kIcmp), 8), true},
      {"dedicated, fragment", tcp(ipv4("192.0.2.3", kTcp, 100), 0), true},
      {"dedicated, GRE", tcp(ipv4("192.0.2.3", 47), 0), true},
      {"dedicated, IPv6 with destination options", tcp(ipv6("2001:db8::3", 60), 0), true},
      {"dedicated, neighbour solicitation", icmp(ipv6("2001:db8::3", kIcmpv6), 135), false},
      {"the host's SSH", tcp(ipv4("192.0.2.9", kTcp), 22), false},
      {"an address of a VIP's last four bytes, IPv6", tcp(ipv6("::192.0.2.1", kTcp), 80), false},
      {"tagged", tcp(Packet{ethernet(0x8100)}.add(Be16{7}).add(Be16{0x0800}).add(net::Ipv4Header{}), 80), false},
      {"ARP", ethernet(0x0806).add(net::Ipv4Header{}), false},
  };
}

TEST_CASE("the steering program gives the engine what is its own and the host the rest") {
  if (geteuid() != 0) {
    std::cout << "skipped: running an XDP program needs root\n";
    return;
  }
  Steering steering;
  for (const Case& c : cases()) {
    INFO(c.description << ", no socket");
    const uint64_t before = steering.drops(GW_DROP_NO_SOCKET);
    CHECK(steering.run(c.packet) == (c.engine ? XDP_DROP : XDP_PASS));
    CHECK(steering.drops(GW_DROP_NO_SOCKET) - before == (c.engine ? 1 : 0));
  }
  steering.add_socket(1);  // another queue's socket is no socket
  CHECK(steering.run(cases().front().packet) == XDP_DROP);
  steering.add_socket(0);
  const uint64_t before = steering.drops(GW_DROP_NO_SOCKET);
  for (const Case& c : cases()) {
    INFO(c.description << ", with a socket");
    CHECK(steering.run(c.packet) == (c.engine ? XDP_REDIRECT : XDP_PASS));
  }
  CHECK(steering.drops(GW_DROP_NO_SOCKET) == before);
}

}  // namespace
}  // namespace guideway::xdp
