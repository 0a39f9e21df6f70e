// The steering program run by the kernel over single packets (BPF_PROG_TEST_RUN): what it does with each kind.
// Needs root; says so and passes without.
#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/drop_reason.h"
#include "net/headers.h"
#include "net/prefix.h"
#include "xdp/fd.h"
#include "xdp/kernel_tables.h"
#include "xdp/rehearsal.h"
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

Packet operator+(Packet a, const Packet& b) {
  a.bytes.insert(a.bytes.end(), b.bytes.begin(), b.bytes.end());
  return a;
}

Packet ethernet(uint16_t type) {
  net::EthernetHeader h;
  h.type = Be16{type};
  return Packet{}.add(h);
}

// A tag of this protocol behind the MAC addresses.
Packet tagged(Packet p, uint16_t protocol = 0x8100) {
  const auto tag = Packet{}.add(Be16{protocol}).add(Be16{7});
  p.bytes.insert(p.bytes.begin() + 12, tag.bytes.begin(), tag.bytes.end());
  return p;
}

struct Ends {
  const char* source;
  const char* destination;
};

Packet ipv4_header(Ends ends, int protocol, uint16_t fragment = 0, uint16_t id = 0) {
  net::Ipv4Header h;
  h.source = net::parse_ip(ends.source)->as_v4();
  h.destination = net::parse_ip(ends.destination)->as_v4();
  h.protocol = static_cast<uint8_t>(protocol);
  h.fragment = Be16{fragment};
  h.id = Be16{id};
  return Packet{}.add(h);
}

Packet ipv6_header(Ends ends, int next) {
  net::Ipv6Header h;
  h.source = *net::parse_ip(ends.source);
  h.destination = *net::parse_ip(ends.destination);
  h.next_header = static_cast<uint8_t>(next);
  return Packet{}.add(h);
}

constexpr const char* kPeer = "198.51.100.9";
constexpr const char* kPeer6 = "2001:db8:9::9";

// The same packet from elsewhere: behind Ethernet, without tags.
Packet from(const net::IpAddress& source, Packet p) {
  const size_t size = source.is_v4() ? 4 : 16;
  std::memcpy(p.bytes.data() + sizeof(net::EthernetHeader) + (source.is_v4() ? 12 : 8), &source.bytes[16 - size], size);
  return p;
}

Packet ipv4(const char* destination, int protocol, uint16_t fragment = 0, uint16_t id = 0) {
  return ethernet(0x0800) + ipv4_header({kPeer, destination}, protocol, fragment, id);
}

Packet ipv6(const char* destination, int next) { return ethernet(0x86dd) + ipv6_header({kPeer6, destination}, next); }

// Hop-by-hop, routing or destination options, of 8 * (1 + more) bytes.
Packet options(Packet p, int next, uint8_t more = 0) {
  p.bytes.push_back(static_cast<uint8_t>(next));
  p.bytes.push_back(more);
  p.bytes.resize(p.bytes.size() + 6 + 8U * more);
  return p;
}

Packet fragment(Packet p, int next, uint16_t offset, uint32_t id = 0) {
  return p.add(static_cast<uint8_t>(next)).add(uint8_t{0}).add(Be16{offset}).add(net::Be32{id});
}

Packet ports(Packet p, uint16_t source, uint16_t destination) { return p.add(Be16{source}).add(Be16{destination}); }

Packet udp(Packet p, uint16_t port) {
  net::UdpHeader h;
  h.length = Be16{sizeof h};
  h.destination_port = Be16{port};
  return p.add(h);
}

Packet tcp(Packet p, uint16_t port) {
  net::TcpHeader h;
  h.destination_port = Be16{port};
  return p.add(h);
}

// With the header of a chunk.
Packet sctp(Packet p, uint16_t port) {
  return ports(std::move(p), 1, port).add(net::Be32{}).add(net::Be32{}).add(net::Be32{});
}

Packet icmp(Packet p, uint8_t type) {
  net::IcmpHeader h;
  h.type = type;
  return p.add(h);
}

Packet arp(const char* target, uint16_t operation = 1) {
  Packet p = ethernet(0x0806).add(Be16{1}).add(Be16{0x0800}).add(uint8_t{6}).add(uint8_t{4}).add(Be16{operation});
  return p.add(net::MacAddress{}).add(net::Be32{}).add(net::MacAddress{}).add(net::parse_ip(target)->as_v4());
}

Packet solicitation(const char* target, const char* destination = "ff02::1:ff00:0") {
  return icmp(ipv6(destination, IPPROTO_ICMPV6), 135).add(*net::parse_ip(target));
}

// What IP says of its length is what there is.
Packet with_lengths(Packet p) {
  size_t l3 = 14;
  const auto type = [&] { return p.bytes[l3 - 2] << 8 | p.bytes[l3 - 1]; };
  while (l3 + 4 <= p.bytes.size() && (type() == 0x8100 || type() == 0x88a8)) l3 += 4;
  const auto set = [&](size_t at, size_t length) {
    if (at + 2 > p.bytes.size()) return;
    p.bytes[at] = static_cast<uint8_t>(length >> 8);
    p.bytes[at + 1] = static_cast<uint8_t>(length);
  };
  if (type() == 0x0800) set(l3 + 2, p.bytes.size() - l3);
  if (type() == 0x86dd) set(l3 + 4, p.bytes.size() - l3 - 40);
  return p;
}

Packet tcp_to(const net::IpAddress& vip, uint16_t port) {
  return tcp(ipv4(net::to_string(vip).c_str(), IPPROTO_TCP), port);
}

gw_address address(const net::IpAddress& ip) {
  gw_address a;
  std::memcpy(a.bytes, ip.bytes.data(), sizeof a.bytes);
  return a;
}
gw_address address(const char* text) { return address(*net::parse_ip(text)); }

gw_vip_key vip_key(const net::IpAddress& ip, uint16_t port, int protocol) {
  return {address(ip), Be16{port}.wire(), static_cast<uint8_t>(protocol), {}};
}

// The program with VIPs 192.0.2.1:80/tcp and [2001:db8::1]:53/udp, SNAT addresses 192.0.2.2 and 2001:db8::2 with
// ports 40000 to 40999, the dedicated ones 192.0.2.3 and 2001:db8::3, announced all of them, the VIPs
// 192.0.2.5 and 2001:db8::5 with every port of TCP, and VIP 192.0.2.6:80/tcp, which isn't announced: of nat all of
// them. And 192.0.2.7:80/tcp, of DSR and without a backend.
class Steering {
 public:
  Steering() : object_(steer_bpf__open()) {
    auto tables = KernelTables::create();
    REQUIRE(tables.ok());
    tables_ = *std::move(tables);
    REQUIRE(tables_->lend(object_.get()).ok());
    REQUIRE(steer_bpf__load(object_.get()) == 0);
    auto rehearsal = Rehearsal::load(*object_);
    INFO(rehearsal.status().ToString());
    REQUIRE(rehearsal.ok());
    rehearsal_ = *std::move(rehearsal);
    vip("192.0.2.1", 80, IPPROTO_TCP);
    vip("2001:db8::1", 53, IPPROTO_UDP);
    vip("192.0.2.1", 5060, IPPROTO_SCTP);
    vip("192.0.2.5", 0, IPPROTO_TCP, GW_ADDRESS_ANY_PORT);
    vip("2001:db8::5", 0, IPPROTO_TCP, GW_ADDRESS_ANY_PORT);
    vip("192.0.2.6", 80, IPPROTO_TCP, 0);
    vip("192.0.2.7", 80, IPPROTO_TCP, 0, GW_MODE_DSR_L2);
    steer("192.0.2.2", {40000, 40999, GW_ADDRESS_SNAT});
    steer("2001:db8::2", {40000, 40999, GW_ADDRESS_SNAT});
    steer("192.0.2.3", {0, 0, GW_ADDRESS_DEDICATED | GW_ADDRESS_ANNOUNCED});
    steer("2001:db8::3", {0, 0, GW_ADDRESS_DEDICATED | GW_ADDRESS_ANNOUNCED});
  }

  xdp_action run(const Packet& p) { return run_as_it_is(with_lengths(p)); }
  xdp_action run_as_it_is(const Packet& p) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = p.bytes.data();
    options.data_size_in = static_cast<uint32_t>(p.bytes.size());
    options.repeat = 1;
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(object_->progs.gw_steer), &options) == 0);
    return static_cast<xdp_action>(options.retval);
  }

  Verdict ask(const Packet& p) {
    const auto verdict = rehearsal_->ask(with_lengths(p).bytes, {});
    REQUIRE(verdict.ok());
    return *verdict;
  }
  // What is counted and remembered of packets: keys and values of the maps, but buckets, of which there are many.
  std::string memory() const {
    std::string all;
    const auto& maps = object_->maps;
    for (const bpf_map* map : {maps.drops, maps.counts, maps.sources, maps.begun, maps.datagrams}) {
      const auto cpus = static_cast<size_t>(libbpf_num_possible_cpus());
      std::string key(bpf_map__key_size(map), '\0');
      std::string value((bpf_map__value_size(map) + 7) / 8 * 8 * cpus, '\0');
      const int fd = bpf_map__fd(map);
      for (int left = bpf_map_get_next_key(fd, nullptr, key.data()); left == 0;
           left = bpf_map_get_next_key(fd, key.data(), key.data()))
        if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0) all += key + value;
    }
    return all;
  }

  uint64_t drops(uint32_t reason) {
    std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    REQUIRE(bpf_map_lookup_elem(bpf_map__fd(object_->maps.drops), &reason, of_cpu.data()) == 0);
    uint64_t sum = 0;
    for (const uint64_t n : of_cpu) sum += n;
    return sum;
  }

  uint64_t drops() {  // for whatever reason
    uint64_t sum = 0;
    for (uint32_t reason = 0; reason < GW_DROP_COUNT; ++reason) sum += drops(reason);
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

  // A queue's worker's last.
  void add_heartbeat(uint32_t queue, std::chrono::nanoseconds age) {
    timespec now;
    REQUIRE(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    const auto time = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) - age;
    const gw_heartbeat heartbeat{.time = static_cast<uint64_t>(time.count()), .zero = {}};
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.heartbeats), &queue, &heartbeat, BPF_ANY) == 0);
  }
  void ask_for_heartbeats(std::chrono::nanoseconds limit) {
    const uint32_t zero = 0;
    gw_settings settings{};
    settings.heartbeat = static_cast<uint64_t>(limit.count());
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.settings), &zero, &settings, BPF_ANY) == 0);
  }

  // The VIP's bucket, full of so many tokens; an interval that no test waits for.
  void limit(const char* ip, uint16_t port, int protocol, uint32_t bucket, uint64_t tokens) {
    const gw_vip_key key = vip_key(*net::parse_ip(ip), port, protocol);
    gw_served* const end = rows() + vips_;
    gw_served* const row =
        std::find_if(rows(), end, [&](const gw_served& s) { return std::memcmp(&s.vip, &key, sizeof key) == 0; });
    REQUIRE(row != end);
    row->service.bucket = static_cast<uint16_t>(bucket);
    const gw_bucket full{.rate = rate(tokens), .until = 0};
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.buckets), &bucket, &full, BPF_ANY) == 0);
  }
  // Full from now on.
  void set_rate(uint32_t bucket, gw_rate rate) {
    gw_bucket b{};
    REQUIRE(bpf_map_lookup_elem(bpf_map__fd(object_->maps.buckets), &bucket, &b) == 0);
    b.rate = rate;
    b.until = 0;
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.buckets), &bucket, &b, BPF_ANY) == 0);
  }
  void limit_sources(uint64_t tokens, unsigned ipv4_length, unsigned ipv6_length) {
    gw_settings settings{};
    settings.source_rate.rate = rate(tokens);
    net::IpAddress ones;
    ones.bytes.fill(0xff);
    const unsigned lengths[] = {96 + ipv4_length, ipv6_length};
    for (unsigned v6 = 0; v6 < 2; ++v6) {
      const auto mask = net::prefix_of(ones, lengths[v6]).address.words();
      std::ranges::copy(mask, settings.source_rate.masks[v6]);
    }
    const uint32_t zero = 0;
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.settings), &zero, &settings, BPF_ANY) == 0);
  }
  static gw_rate rate(uint64_t tokens) {
    constexpr uint64_t kHour = uint64_t{3'600'000'000'000} * GW_RATE_UNITS;
    return {kHour, (tokens - 1) * kHour};
  }

  // Of nat, which the kernel doesn't balance, if nothing is said.
  void add_vip(const net::IpAddress& ip, uint16_t port, int protocol, gw_mode mode = GW_MODE_NAT) {
    gw_service service{};
    service.mode = static_cast<uint8_t>(mode);
    REQUIRE(tables_->put_vip(vips_++, vip_key(ip, port, protocol), service).ok());
  }
  // One that only its hash makes look like this VIP.
  void add_like(const net::IpAddress& ip, uint16_t port, int protocol) {
    const gw_vip_key key = vip_key(ip, port, protocol);
    const uint64_t hash = hash_of(key);
    uint64_t* const line = tables_->vips.as<uint64_t>() + size_t{gw_vip_line(hash, 0)} * GW_VIP_PLACES;
    uint64_t* const free = std::find(line, line + GW_VIP_PLACES, 0);
    REQUIRE(free != line + GW_VIP_PLACES);
    rows()[vips_].vip = key;
    rows()[vips_].vip.protocol ^= 0xff;
    *free = hash | vips_++;
  }

  // Has just these prefixes denied.
  void deny(const std::vector<net::Prefix>& prefixes) {
    for (const uint64_t hash : std::exchange(denied_, {})) tables_->admit(hash);
    gw_filter filter{};
    std::set<std::pair<bool, unsigned>> lengths;
    for (const net::Prefix& p : prefixes) {
      const int v6 = p.address.is_v4() ? 0 : 1;
      const unsigned length = p.length + (v6 != 0 ? 0U : 96U);
      const auto words = p.address.words();
      const __u64 masked[2] = {words[0], words[1]};
      REQUIRE(tables_->deny(denied_.emplace_back(gw_denied_hash(length, masked, v6))).ok());
      if (!lengths.emplace(v6, length).second) continue;
      net::IpAddress ones;
      ones.bytes.fill(0xff);
      const auto mask = net::prefix_of(ones, length).address.words();
      filter.lengths[v6][filter.counts[v6]++] = {{mask[0], mask[1]}, length};
    }
    REQUIRE(tables_->set(filter).ok());
  }

 private:
  void vip(const char* ip, uint16_t port, int protocol, uint32_t flags = GW_ADDRESS_ANNOUNCED,
           gw_mode mode = GW_MODE_NAT) {
    add_vip(*net::parse_ip(ip), port, protocol, mode);
    steer(ip, {0, 0, GW_ADDRESS_VIP | flags});
  }
  void steer(const char* ip, gw_address_value value) {
    const gw_address key = address(ip);
    REQUIRE(bpf_map_update_elem(bpf_map__fd(object_->maps.addresses), &key, &value, BPF_ANY) == 0);
  }

  gw_served* rows() const { return tables_->services.as<gw_served>(); }

  std::unique_ptr<KernelTables> tables_;
  Object object_;
  std::optional<Rehearsal> rehearsal_;
  Fd socket_;
  uint32_t vips_ = 0;
  std::vector<uint64_t> denied_;
};

struct Case {
  std::string description;
  Packet packet;
  bool engine;  // else the host
};

constexpr uint16_t kMoreFragments = 0x2000, kMoreFragments6 = 1;
constexpr int kIcmp = IPPROTO_ICMP, kIcmpv6 = IPPROTO_ICMPV6, kTcp = IPPROTO_TCP, kUdp = IPPROTO_UDP,
              kSctp = IPPROTO_SCTP;
constexpr int kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60;

std::vector<Case> vip_cases() {
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  net::Ipv4Header with_options;
  with_options.version_ihl = 0x46;
  with_options.protocol = IPPROTO_TCP;
  with_options.source = net::parse_ip(kPeer)->as_v4();
  with_options.destination = net::parse_ip("192.0.2.1")->as_v4();
  Packet wrong_version = vip;
  wrong_version.bytes[14] = 0x55;
  Packet short_header = vip;
  short_header.bytes[14] = 0x44;
  return {
      {"VIP, IPv4", vip, true},
      {"VIP, IPv4 options", tcp(ethernet(0x0800).add(with_options).add(net::Be32{}), 80), true},
      {"VIP, IPv6", udp(ipv6("2001:db8::1", kUdp), 53), true},
      {"VIP, SCTP", sctp(ipv4("192.0.2.1", kSctp), 5060), true},
      {"VIP, SCTP, another port", sctp(ipv4("192.0.2.1", kSctp), 80), false},
      {"VIP address, another port", tcp(ipv4("192.0.2.1", kTcp), 81), false},
      {"VIP address, another protocol", udp(ipv4("192.0.2.1", kUdp), 80), false},
      {"VIP address, IPv6, another port", udp(ipv6("2001:db8::1", kUdp), 54), false},
      {"VIP of every port", tcp(ipv4("192.0.2.5", kTcp), 4711), true},
      {"VIP of every port, IPv6", tcp(ipv6("2001:db8::5", kTcp), 4711), true},
      {"VIP of every port, another protocol", udp(ipv4("192.0.2.5", kUdp), 4711), false},
      {"VIP, ends before its ports", vip.cut(36), false},
      {"VIP, ends in its IP header", vip.cut(30), false},
      {"VIP, IP version 5", wrong_version, false},
      {"VIP, header length 16", short_header, false},
      {"VIP, ICMP", icmp(ipv4("192.0.2.1", kIcmp), 8), true},
      {"VIP, ICMPv6 echo", icmp(ipv6("2001:db8::1", kIcmpv6), 128), true},
      {"VIP, ICMPv6 packet too big", icmp(ipv6("2001:db8::1", kIcmpv6), 2), true},
      {"VIP, router solicitation", icmp(ipv6("2001:db8::1", kIcmpv6), 133), false},
      {"VIP, router advertisement", icmp(ipv6("2001:db8::1", kIcmpv6), 134), false},
      {"VIP, neighbour advertisement", icmp(ipv6("2001:db8::1", kIcmpv6), 136), false},
      {"VIP, ICMPv6 that ends before its type", ipv6("2001:db8::1", kIcmpv6), false},
      {"VIP, first fragment", tcp(ipv4("192.0.2.1", kTcp, kMoreFragments), 80), true},
      {"VIP, later fragment whose bytes look like another port", tcp(ipv4("192.0.2.1", kTcp, 100), 81), true},
      {"VIP, first fragment that ends before its ports", ipv4("192.0.2.1", kTcp, kMoreFragments), true},
      {"VIP, IPv6, first fragment", udp(fragment(ipv6("2001:db8::1", kFragment), kUdp, kMoreFragments6), 53), true},
      {"VIP, IPv6, later fragment", fragment(ipv6("2001:db8::1", kFragment), kUdp, 8), true},
      {"VIP, IPv6, first fragment that ends before its ports",
       fragment(ipv6("2001:db8::1", kFragment), kUdp, kMoreFragments6), true},
      {"VIP, IPv6, the only fragment", udp(fragment(ipv6("2001:db8::1", kFragment), kUdp, 0), 53), true},
      {"VIP, IPv6, the only fragment, another port", udp(fragment(ipv6("2001:db8::1", kFragment), kUdp, 0), 54), false},
      {"VIP, IPv6, ends in its fragment header", ipv6("2001:db8::1", kFragment).add(net::Be32{}), false},
      {"VIP address, GRE", tcp(ipv4("192.0.2.1", 47), 80), false},
  };
}

std::vector<Case> extension_cases() {
  const auto chain = [](const char* destination, unsigned count, uint16_t port) {
    Packet p = ipv6(destination, kDestination);
    for (unsigned i = 1; i < count; ++i) p = options(std::move(p), kDestination, 2);
    return udp(options(std::move(p), kUdp), port);
  };
  const Packet hop = udp(options(ipv6("2001:db8::1", kHopByHop), kUdp, 1), 53);
  return {
      {"hop-by-hop options", hop, true},
      {"hop-by-hop options, another port", udp(options(ipv6("2001:db8::1", kHopByHop), kUdp, 1), 54), false},
      {"hop-by-hop options, routing, destination options",
       udp(options(options(options(ipv6("2001:db8::1", kHopByHop), kRouting), kDestination, 1), kUdp), 53), true},
      {"options that are cut", hop.cut(14 + 40 + 1), false},
      {"options that reach beyond the packet", hop.cut(14 + 40 + 8), false},
      {"as many options as there may be", chain("2001:db8::1", 4, 53), true},
      {"more options", chain("2001:db8::1", 5, 53), false},
      {"more options, dedicated", chain("2001:db8::3", 5, 53), true},
      {"the longest options", udp(options(ipv6("2001:db8::1", kDestination), kUdp, 255), 53), true},
      {"ICMPv6 behind options", icmp(options(ipv6("2001:db8::1", kDestination), kIcmpv6), 2), true},
      {"options of a fragment",
       udp(options(fragment(ipv6("2001:db8::2", kFragment), kDestination, kMoreFragments6, 77), kUdp), 40000), true},
      {"options of a fragment, a port of the host",
       udp(options(fragment(ipv6("2001:db8::2", kFragment), kDestination, kMoreFragments6, 78), kUdp), 53), false},
  };
}

// What a router says about a packet that went from `quoted.source`.
Packet error4(const char* destination, Ends quoted, int protocol, uint16_t source_port, uint8_t type = 3) {
  return ports(icmp(ipv4(destination, kIcmp), type) + ipv4_header(quoted, protocol), source_port, 80);
}

Packet error6(const char* destination, Ends quoted, int protocol, uint16_t source_port, uint8_t type = 2) {
  return ports(icmp(ipv6(destination, kIcmpv6), type) + ipv6_header(quoted, protocol), source_port, 80);
}

std::vector<Case> snat_cases() {
  const Ends sent{"192.0.2.2", kPeer};
  const Ends sent6{"2001:db8::2", kPeer6};
  const Packet error = error4("192.0.2.2", sent, kTcp, 40000);
  return {
      {"SNAT, first port of the range", tcp(ipv4("192.0.2.2", kTcp), 40000), true},
      {"SNAT, last port of the range", udp(ipv4("192.0.2.2", kUdp), 40999), true},
      {"SNAT, SCTP", sctp(ipv4("192.0.2.2", kSctp), 40999), true},
      {"SNAT, below the range", tcp(ipv4("192.0.2.2", kTcp), 39999), false},
      {"SNAT, above the range", tcp(ipv4("192.0.2.2", kTcp), 41000), false},
      {"SNAT, IPv6", tcp(ipv6("2001:db8::2", kTcp), 40000), true},
      {"SNAT, IPv6, below the range", tcp(ipv6("2001:db8::2", kTcp), 39999), false},
      {"SNAT, echo", icmp(ipv4("192.0.2.2", kIcmp), 8), false},
      {"SNAT, an error about a port of ours", error, true},
      {"SNAT, an error about UDP of ours", error4("192.0.2.2", sent, kUdp, 40999, 11), true},
      {"SNAT, an error about a port of the host", error4("192.0.2.2", sent, kTcp, 39999), false},
      {"SNAT, an error about another's packet", error4("192.0.2.2", {"192.0.2.9", kPeer}, kTcp, 40000), false},
      {"SNAT, an error about an ICMP packet", error4("192.0.2.2", sent, kIcmp, 40000), false},
      {"SNAT, a redirect", error4("192.0.2.2", sent, kTcp, 40000, 5), false},
      {"SNAT, an error that ends before the quoted ports", error.cut(14 + 20 + 8 + 20 + 1), false},
      {"SNAT, an error that quotes a later fragment",
       ports(icmp(ipv4("192.0.2.2", kIcmp), 3) + ipv4_header(sent, kTcp, 100), 40000, 80), false},
      {"SNAT, an ICMPv6 error about a port of ours", error6("2001:db8::2", sent6, kTcp, 40000), true},
      {"SNAT, an ICMPv6 error about a port of the host", error6("2001:db8::2", sent6, kTcp, 41000), false},
      {"SNAT, an ICMPv6 error about another's packet", error6("2001:db8::2", {kPeer6, kPeer6}, kTcp, 40000), false},
      {"SNAT, an ICMPv6 error about a first fragment of ours",
       ports(fragment(icmp(ipv6("2001:db8::2", kIcmpv6), 2) + ipv6_header(sent6, kFragment), kUdp, kMoreFragments6),
             40000, 53),
       true},
      {"SNAT, an ICMPv6 error about a later fragment",
       ports(fragment(icmp(ipv6("2001:db8::2", kIcmpv6), 2) + ipv6_header(sent6, kFragment), kUdp, 8), 40000, 53),
       false},
      {"SNAT, an ICMPv6 echo that looks like it", error6("2001:db8::2", sent6, kTcp, 40000, 128), false},
      {"dedicated, TCP", tcp(ipv4("192.0.2.3", kTcp), 22), true},
      {"dedicated, ICMP", icmp(ipv4("192.0.2.3", kIcmp), 8), true},
      {"dedicated, fragment", tcp(ipv4("192.0.2.3", kTcp, 100), 0), true},
      {"dedicated, GRE", tcp(ipv4("192.0.2.3", 47), 0), true},
      {"dedicated, IPv6 with destination options", tcp(options(ipv6("2001:db8::3", kDestination), kTcp), 0), true},
      {"dedicated, neighbour advertisement", icmp(ipv6("2001:db8::3", kIcmpv6), 136), false},
  };
}

// In this order: a later fragment goes where the first went.
std::vector<Case> fragment_cases() {
  const auto first = [](uint16_t id, uint16_t port) { return udp(ipv4("192.0.2.2", kUdp, kMoreFragments, id), port); };
  const auto later = [](uint16_t id, int protocol = kUdp) { return tcp(ipv4("192.0.2.2", protocol, 100, id), 40000); };
  const auto first6 = [](uint32_t id, uint16_t port) {
    return udp(fragment(ipv6("2001:db8::2", kFragment), kUdp, kMoreFragments6, id), port);
  };
  const auto later6 = [](uint32_t id) { return udp(fragment(ipv6("2001:db8::2", kFragment), kUdp, 8, id), 40000); };
  return {
      {"SNAT, a later fragment before the first", later(5), false},
      {"SNAT, the first fragment", first(5, 40000), true},
      {"SNAT, a later fragment", later(5), true},
      {"SNAT, a later fragment of another datagram", later(6), false},
      {"SNAT, a later fragment of another protocol", later(5, kTcp), false},
      {"SNAT, the first fragment of a datagram of the host", first(7, 53), false},
      {"SNAT, a later fragment of it", later(7), false},
      {"SNAT, the first fragment of the host's with an id that was ours", first(5, 53), false},
      {"SNAT, a later fragment of that", later(5), false},
      {"SNAT, IPv6, a later fragment before the first", later6(0x50000), false},
      {"SNAT, IPv6, the first fragment", first6(0x50000, 40000), true},
      {"SNAT, IPv6, a later fragment", later6(0x50000), true},
      {"SNAT, IPv6, a later fragment of another datagram", later6(0x60000), false},
      {"SNAT, IPv6, the first fragment of the host's with an id that was ours", first6(0x50000, 53), false},
      {"SNAT, IPv6, a later fragment of that", later6(0x50000), false},
  };
}

std::vector<Case> link_cases() {
  return {
      {"ARP request for a VIP", arp("192.0.2.1"), true},
      {"ARP request for a dedicated SNAT address", arp("192.0.2.3"), true},
      {"ARP request for a VIP that isn't announced", arp("192.0.2.6"), false},
      {"ARP request for an SNAT address of the host", arp("192.0.2.2"), false},
      {"ARP request for the host", arp("192.0.2.9"), false},
      {"ARP reply from a VIP's address", arp("192.0.2.1", 2), false},
      {"ARP request that is cut", arp("192.0.2.1").cut(14 + 27), false},
      {"neighbour solicitation for a VIP", solicitation("2001:db8::1"), true},
      {"neighbour solicitation for a VIP, to the VIP", solicitation("2001:db8::1", "2001:db8::1"), true},
      {"neighbour solicitation for a dedicated SNAT address", solicitation("2001:db8::3"), true},
      {"neighbour solicitation for a VIP that isn't announced", solicitation("2001:db8::5"), false},
      {"neighbour solicitation for the host", solicitation("2001:db8::9"), false},
      {"neighbour solicitation for the host, to a VIP", solicitation("2001:db8::9", "2001:db8::1"), false},
      {"neighbour solicitation that is cut", solicitation("2001:db8::1").cut(14 + 40 + 8 + 15), false},
      {"the host's SSH", tcp(ipv4("192.0.2.9", kTcp), 22), false},
      {"an address of a VIP's last four bytes, IPv6", tcp(ipv6("::192.0.2.1", kTcp), 80), false},
      {"VIP, tagged", tagged(tcp(ipv4("192.0.2.1", kTcp), 80)), true},
      {"VIP, IPv6, tagged", tagged(udp(ipv6("2001:db8::1", kUdp), 53)), true},
      {"VIP, tagged twice", tagged(tagged(tcp(ipv4("192.0.2.1", kTcp), 80)), 0x88a8), true},
      {"VIP, tagged three times", tagged(tagged(tagged(tcp(ipv4("192.0.2.1", kTcp), 80)))), false},
      {"VIP, tagged, ends in the tag", tagged(tcp(ipv4("192.0.2.1", kTcp), 80)).cut(16), false},
      {"ARP request for a VIP, tagged", tagged(arp("192.0.2.1")), true},
      {"neighbour solicitation for a VIP, tagged", tagged(solicitation("2001:db8::1")), true},
      {"the host's SSH, tagged", tagged(tcp(ipv4("192.0.2.9", kTcp), 22)), false},
      {"ARP request for the host, tagged", tagged(arp("192.0.2.9")), false},
      {"another EtherType", ethernet(0x88cc).add(net::Ipv4Header{}), false},
  };
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (auto table : {vip_cases, extension_cases, snat_cases, fragment_cases, link_cases})
    for (Case& c : table()) all.push_back(std::move(c));
  return all;
}

TEST_CASE("the steering program gives the engine what is its own and the host the rest") {
  if (geteuid() != 0) {
    std::cout << "skipped: running an XDP program needs root\n";
    return;
  }
  Steering steering;
  for (const Case& c : cases()) {
    INFO(c.description << ", no socket");
    const uint64_t before = steering.drops();
    const int verdict = steering.run(c.packet);
    CHECK(verdict == (c.engine ? XDP_DROP : XDP_PASS));
    CHECK(steering.drops() - before == (c.engine ? 1 : 0));
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

TEST_CASE("what comes for a worker that is away is balanced, or waits for it") {
  if (geteuid() != 0) return;
  using std::chrono_literals::operator""s;
  Steering steering;
  const Packet dsr = tcp(ipv4("192.0.2.7", kTcp), 80);
  steering.add_socket(0);
  steering.ask_for_heartbeats(1s);
  CHECK(steering.run(dsr) == XDP_REDIRECT);  // it hasn't begun
  steering.add_heartbeat(1, 2s);             // another queue's
  CHECK(steering.run(dsr) == XDP_REDIRECT);
  steering.add_heartbeat(0, 0s);
  CHECK(steering.run(dsr) == XDP_REDIRECT);
  steering.add_heartbeat(0, 2s);
  CHECK(steering.run(dsr) == XDP_DROP);  // as it has no backend
  for (const Case& c : cases()) {
    INFO(c.description);
    CHECK((steering.run(c.packet) != XDP_PASS) == c.engine);
  }
  CHECK(steering.drops(GW_DROP_NO_SOCKET) == 0);
  steering.ask_for_heartbeats(0s);
  CHECK(steering.run(dsr) == XDP_REDIRECT);
}

net::Prefix prefix(const char* text) { return *net::parse_prefix(text); }

TEST_CASE("what a denied source sends to the gateway is dropped with its reason, and nothing else") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  steering.deny({prefix("198.51.100.0/24"), prefix("2001:db8:9::/48")});
  for (const Case& c : cases()) {
    INFO(c.description);
    const bool asks =
        c.description.find("ARP") != std::string::npos || c.description.find("solicit") != std::string::npos;
    const uint64_t before = steering.drops(GW_DROP_SOURCE_FILTERED);
    const int verdict = steering.run(c.packet);
    CHECK(verdict == (!c.engine ? XDP_PASS : asks ? XDP_REDIRECT : XDP_DROP));
    CHECK(steering.drops(GW_DROP_SOURCE_FILTERED) - before == (verdict == XDP_DROP ? 1 : 0));
  }
  // By who has sent it, not by whom it is about.
  const Packet error = error4("192.0.2.2", {"192.0.2.2", "203.0.113.1"}, kTcp, 40000);
  CHECK(steering.run(error) == XDP_DROP);
  steering.deny({prefix("203.0.113.0/24")});
  CHECK(steering.run(error) == XDP_REDIRECT);
  for (const char* other : {"198.51.100.0/25", "198.51.101.0/24", "198.51.100.9/31", "::/0", "2001:db8:9::/48"}) {
    INFO(other);
    steering.deny({prefix(other)});
    CHECK(steering.run(error) == (net::contains(prefix(other), *net::parse_ip(kPeer)) ? XDP_DROP : XDP_REDIRECT));
  }
  steering.deny({});
  CHECK(steering.run(error) == XDP_REDIRECT);
}

TEST_CASE("of random prefixes and sources, those are denied that a search finds") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  std::mt19937_64 random(3);
  // Few different bits, so that there are prefixes of prefixes, and sources in and beside them.
  const auto some_address = [&](bool v4) {
    net::IpAddress a = v4 ? net::IpAddress::v4(net::Be32{0xc0000000}) : *net::parse_ip("2001:db8::");
    for (size_t i = v4 ? 13 : 4; i < 16; ++i) a.bytes[i] = static_cast<uint8_t>(random() & 1 ? 0x80 : random() & 3);
    return a;
  };
  unsigned denied = 0, permitted = 0;
  for (unsigned round = 0; round < 20; ++round) {
    std::vector<net::Prefix> prefixes;
    for (unsigned i = 0; i < 5 + 20 * round; ++i) {
      const bool v4 = random() % 2 == 0;
      // As many lengths of each family as there may be.
      const unsigned length =
          v4 ? 32 - static_cast<unsigned>(random() % 24) : 128 - 3 * static_cast<unsigned>(random() % 32);
      prefixes.push_back(net::prefix_of(some_address(v4), length));
    }
    steering.deny(prefixes);
    for (unsigned i = 0; i < 500; ++i) {
      const bool v4 = random() % 2 == 0;
      const net::IpAddress source = some_address(v4);
      const Packet p = from(source, v4 ? tcp(ipv4("192.0.2.1", kTcp), 80) : udp(ipv6("2001:db8::1", kUdp), 53));
      const bool found = std::ranges::any_of(prefixes, [&](const net::Prefix& d) { return net::contains(d, source); });
      INFO(net::to_string(source));
      REQUIRE(steering.run(p) == (found ? XDP_DROP : XDP_REDIRECT));
      ++(found ? denied : permitted);
    }
  }
  CHECK(denied > 1'000);
  CHECK(permitted > 1'000);
}

TEST_CASE("VIPs that all stand in one line and those behind it are found, and others aren't") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  std::vector<net::IpAddress> vips;
  std::vector<net::IpAddress> others;
  for (uint32_t n = 0; others.size() < 20; ++n) {
    const auto ip = net::IpAddress::v4(net::Be32{0x64000000 + n});
    if (gw_vip_line(hash_of(vip_key(ip, 80, kTcp)), 0) != GW_VIP_LINES - 2) continue;  // and on from the first
    if (vips.size() < 8 * 3 + 4)
      vips.push_back(ip);
    else
      others.push_back(ip);
  }
  for (const net::IpAddress& ip : vips) steering.add_vip(ip, 80, kTcp);
  for (const net::IpAddress& ip : vips) CHECK(steering.run(tcp_to(ip, 80)) == XDP_REDIRECT);
  for (const net::IpAddress& ip : others) CHECK(steering.run(tcp_to(ip, 80)) == XDP_PASS);
}

TEST_CASE("a VIP is told from one with the same hash") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  const auto ip = *net::parse_ip("192.0.2.77");
  steering.add_like(ip, 80, kTcp);
  CHECK(steering.run(tcp_to(ip, 80)) == XDP_PASS);
  steering.add_vip(ip, 80, kTcp);
  steering.add_like(ip, 80, kTcp);
  CHECK(steering.run(tcp_to(ip, 80)) == XDP_REDIRECT);
  CHECK(steering.run(tcp_to(ip, 81)) == XDP_PASS);
}

TEST_CASE("prefixes that all stand in one line and those behind it are found, and others aren't") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  std::vector<net::Prefix> prefixes;
  std::vector<net::IpAddress> others;
  for (uint32_t n = 0; others.size() < 20; ++n) {
    const auto source = net::IpAddress::v4(net::Be32{0x64000000 + n});
    const auto words = source.words();
    const __u64 masked[2] = {words[0], words[1]};
    if (gw_denied_hash(128, masked, 0) % GW_DENIED_LINES != GW_DENIED_LINES - 2) continue;  // and on from the first
    if (prefixes.size() < 8 * 3 + 4)
      prefixes.push_back(net::prefix_of(source, 32));
    else
      others.push_back(source);
  }
  steering.deny(prefixes);
  const Packet p = tcp(ipv4("192.0.2.1", kTcp), 80);
  for (const net::Prefix& d : prefixes) CHECK(steering.run(from(d.address, p)) == XDP_DROP);
  for (const net::IpAddress& a : others) CHECK(steering.run(from(a, p)) == XDP_REDIRECT);
}

TEST_CASE("what is malformed is dropped before the socket, by the engine's reason; to the host it passes") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  struct Malformed {
    std::string description;
    Packet packet;
    gw_drop_reason reason;
  };
  const auto changed = [](Packet p, size_t at, std::initializer_list<uint8_t> bytes) {
    std::ranges::copy(bytes, p.bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return p;
  };
  const Packet vip = with_lengths(tcp(ipv4("192.0.2.1", kTcp), 80));
  const Packet vip6 = with_lengths(udp(ipv6("2001:db8::1", kUdp), 53));
  const Packet nat = with_lengths(udp(ipv4("192.0.2.2", kUdp), 40000));
  const size_t l4 = 14 + 20, l4_6 = 14 + 40;
  const auto host = [&](const Packet& p) {  // the same, to an address of the host
    return p.bytes[12] == 0x08 ? changed(p, 14 + 19, {9}) : changed(p, 14 + 39, {9});
  };
  const std::vector<Malformed> all{
      {"a total length below the header's", changed(vip, 16, {0, 19}), GW_DROP_BAD_IP_HEADER},
      {"a total length beyond the frame", changed(vip, 16, {0, 41}), GW_DROP_TRUNCATED},
      {"a payload length beyond the frame", changed(vip6, 18, {0, 9}), GW_DROP_TRUNCATED},
      {"from loopback", changed(vip, 26, {127, 0, 0, 1}), GW_DROP_BAD_ADDRESS},
      {"from multicast", changed(vip, 26, {224, 0, 0, 1}), GW_DROP_BAD_ADDRESS},
      {"from nowhere", changed(vip, 26, {0, 0, 0, 0}), GW_DROP_BAD_ADDRESS},
      {"from multicast, IPv6", changed(vip6, 22, {0xff, 2}), GW_DROP_BAD_ADDRESS},
      {"a TCP header of 16 bytes", changed(vip, l4 + 12, {0x40}), GW_DROP_BAD_L4_HEADER},
      {"a TCP header beyond the packet", changed(vip, l4 + 12, {0x60}), GW_DROP_BAD_L4_HEADER},
      {"TCP that ends in its header", with_lengths(vip.cut(l4 + 19)), GW_DROP_TRUNCATED},
      {"UDP of seven bytes", changed(vip6, l4_6 + 4, {0, 7}), GW_DROP_BAD_L4_HEADER},
      {"UDP beyond the packet", changed(nat, l4 + 4, {0, 9}), GW_DROP_BAD_L4_HEADER},
      {"UDP that ends in its header", with_lengths(nat.cut(l4 + 7)), GW_DROP_TRUNCATED},
      {"SCTP without a chunk", with_lengths(sctp(ipv4("192.0.2.1", kSctp), 5060).cut(l4 + 15)), GW_DROP_TRUNCATED},
  };
  for (const Packet& sound : {vip, vip6, nat}) CHECK(steering.run_as_it_is(sound) == XDP_REDIRECT);
  for (const Malformed& m : all) {
    INFO(m.description);
    const uint64_t before = steering.drops(m.reason);
    CHECK(steering.run_as_it_is(m.packet) == XDP_DROP);
    CHECK(steering.drops(m.reason) == before + 1);
    CHECK(steering.run_as_it_is(host(m.packet)) == XDP_PASS);
  }
}

TEST_CASE("a VIP gets as many packets as its bucket has tokens, and no more") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  const Packet any = tcp(ipv6("2001:db8::5", kTcp), 4711);
  const Packet other = sctp(ipv4("192.0.2.1", kSctp), 5060);
  steering.limit("192.0.2.1", 80, kTcp, 1, 5);
  steering.limit("2001:db8::5", 0, kTcp, 2, 3);
  for (int i = 0; i < 5; ++i) CHECK(steering.run(vip) == XDP_REDIRECT);
  for (int i = 0; i < 5; ++i) CHECK(steering.run(vip) == XDP_DROP);
  CHECK(steering.drops(GW_DROP_VIP_RATE) == 5);
  for (int i = 0; i < 3; ++i) CHECK(steering.run(any) == XDP_REDIRECT);
  CHECK(steering.run(any) == XDP_DROP);
  for (int i = 0; i < 20; ++i) CHECK(steering.run(other) == XDP_REDIRECT);
  CHECK(steering.run(tcp(ipv4("192.0.2.1", kTcp), 81)) == XDP_PASS);
  steering.limit("192.0.2.1", 80, kTcp, 1, 1);
  CHECK(steering.run(vip) == XDP_REDIRECT);
  CHECK(steering.run(vip) == XDP_DROP);
}

TEST_CASE("tokens come back with the time") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  const uint32_t bucket = 1;
  steering.limit("192.0.2.1", 80, kTcp, bucket, 1);
  CHECK(steering.run(vip) == XDP_REDIRECT);
  CHECK(steering.run(vip) == XDP_DROP);
  steering.set_rate(bucket, {uint64_t{1'000'000} * GW_RATE_UNITS, 0});  // 1 ms
  for (int i = 0; i < 3; ++i)
    while (steering.run(vip) != XDP_REDIRECT) {
    }
  CHECK(steering.drops(GW_DROP_VIP_RATE) > 1);
}

TEST_CASE("what comes to VIPs from a prefix is counted together, and costs the VIP nothing when it is too much") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  const Packet vip6 = udp(ipv6("2001:db8::1", kUdp), 53);
  const auto source = [](const char* text) { return *net::parse_ip(text); };
  steering.limit("192.0.2.1", 80, kTcp, 1, 10);
  steering.limit_sources(4, 24, 48);
  for (const char* a : {"198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.255"})
    CHECK(steering.run(from(source(a), vip)) == XDP_REDIRECT);
  for (int i = 0; i < 20; ++i) CHECK(steering.run(from(source("198.51.100.1"), vip)) == XDP_DROP);
  CHECK(steering.drops(GW_DROP_SOURCE_RATE) == 20);
  for (int i = 0; i < 4; ++i) CHECK(steering.run(from(source("198.51.101.1"), vip)) == XDP_REDIRECT);
  for (const char* a : {"2001:db8:9::1", "2001:db8:9:ffff::1", "2001:db8:9::1", "2001:db8:9::1"})
    CHECK(steering.run(from(source(a), vip6)) == XDP_REDIRECT);
  CHECK(steering.run(from(source("2001:db8:9:1::1"), vip6)) == XDP_DROP);
  CHECK(steering.run(from(source("2001:db8:a::1"), vip6)) == XDP_REDIRECT);
  // Answers to SNAT ports are the backends', and what is the host's is the host's.
  for (int i = 0; i < 20; ++i) {
    CHECK(steering.run(udp(ipv4("192.0.2.2", kUdp), 40000)) == XDP_REDIRECT);
    CHECK(steering.run(tcp(ipv4("192.0.2.9", kTcp), 22)) == XDP_PASS);
  }
  for (int i = 0; i < 2; ++i) CHECK(steering.run(from(source("203.0.113.1"), vip)) == XDP_REDIRECT);
  CHECK(steering.run(from(source("203.0.113.1"), vip)) == XDP_DROP);  // the VIP's ten are gone
  CHECK(steering.drops(GW_DROP_VIP_RATE) == 1);
}

TEST_CASE("a rehearsal foretells what becomes of a packet, and neither counts nor remembers it") {
  if (geteuid() != 0) return;
  Steering steering;
  const auto foretold = [&](const Packet& p) {
    const std::string before = steering.memory();
    const Verdict verdict = steering.ask(p);
    CHECK((steering.memory() == before));
    const auto reason = static_cast<uint32_t>(verdict.reason);
    const uint64_t counted = steering.drops(reason);
    const xdp_action done = steering.run(p);
    if (verdict.fate == Verdict::kDropped) CHECK(steering.drops(reason) == counted + 1);
    CHECK(done == (verdict.fate == Verdict::kDropped ? XDP_DROP
                   : verdict.fate == Verdict::kHost  ? XDP_PASS
                                                     : XDP_REDIRECT));
    return verdict.reason;
  };
  const auto all = [&] {
    for (const Case& c : cases()) {
      INFO(c.description);
      foretold(c.packet);
    }
  };
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  all();
  CHECK(foretold(vip) == net::DropReason::NO_SOCKET);
  steering.add_socket(0);
  all();
  CHECK(foretold(from(*net::parse_ip("224.0.0.1"), vip)) == net::DropReason::BAD_ADDRESS);
  Packet jumbo = vip;
  jumbo.bytes.resize(9'000);
  CHECK(steering.ask(jumbo).fate == Verdict::kEngine);  // though the kernel can't take it whole here
  steering.limit_sources(1, 24, 48);
  all();
  CHECK(foretold(vip) == net::DropReason::SOURCE_RATE);
  steering.deny({prefix("198.51.100.0/24")});
  all();
  CHECK(foretold(vip) == net::DropReason::SOURCE_FILTERED);
}

TEST_CASE("a rehearsal takes no token") {
  if (geteuid() != 0) return;
  Steering steering;
  steering.add_socket(0);
  const Packet vip = tcp(ipv4("192.0.2.1", kTcp), 80);
  steering.limit("192.0.2.1", 80, kTcp, 1, 2);
  for (int left = 2; left > 0; --left) {
    for (int i = 0; i < 30; ++i) CHECK(steering.ask(vip).fate == Verdict::kEngine);
    CHECK(steering.run(vip) == XDP_REDIRECT);
  }
  for (int i = 0; i < 30; ++i) CHECK(steering.ask(vip).reason == net::DropReason::VIP_RATE);
  CHECK(steering.drops() == 0);
}

}  // namespace
}  // namespace guideway::xdp
