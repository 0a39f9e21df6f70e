// The packet cases once more, by the XDP program as it is where no engine listens: the kernel runs it over the packet
// of each (BPF_PROG_TEST_RUN) with what the publisher has mirrored. Needs root; says so and passes without.
#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <span>

#include "pktgen-tests/cases/case.h"
#include "xdp/loader.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::cases {
namespace {

// What the program did with a packet: it went to `sent`, or was dropped, or is the host's.
struct Answer {
  enum { kSent, kDropped, kHost } kind;
  rig::Bytes sent;
  net::DropReason reason = net::DropReason::NONE;
  bool instead = false;               // of the packet: pieces of it, or an answer to its sender
  std::vector<rig::Bytes> more = {};  // sent after it
};

class Kernel {
 public:
  Kernel() : tables_(must(xdp::KernelTables::create())), program_(steer_bpf__open()) {
    REQUIRE(tables_->lend(program_.get()).ok());
    REQUIRE(steer_bpf__load(program_.get()) == 0);
    rehearsal_ = must(xdp::Rehearsal::load(*program_));
    const uint32_t zero = 0;
    const gw_port port{{2, 0, 0, 0, 0, 1}, {}};  // the rig's first
    REQUIRE(bpf_map_update_elem(bpf_map__fd(program_->maps.ports), &zero, &port, BPF_ANY) == 0);
  }

  xdp::KernelTables& tables() { return *tables_; }

  // As if an engine listened: an AF_XDP socket with a receive ring is all that the map asks for.
  void add_socket() {
    socket_ = xdp::Fd{socket(AF_XDP, SOCK_RAW, 0)};
    const int entries = 64;
    REQUIRE(setsockopt(socket_.get(), SOL_XDP, XDP_RX_RING, &entries, sizeof entries) == 0);
    const uint32_t queue = 0;
    const int fd = socket_.get();
    REQUIRE(bpf_map_update_elem(bpf_map__fd(program_->maps.sockets), &queue, &fd, BPF_ANY) == 0);
  }

  void forget_datagrams() {
    const int map = bpf_map__fd(program_->maps.datagrams);
    std::vector<uint8_t> key(bpf_map__key_size(program_->maps.datagrams));
    while (bpf_map_get_next_key(map, nullptr, key.data()) == 0) bpf_map_delete_elem(map, key.data());
  }

  void take_begun(const xdp::VisitBegun& visit) {
    REQUIRE(xdp::take_begun(bpf_map__fd(program_->maps.begun), visit).ok());
  }

  // As run(), but a connection that begins with it isn't remembered.
  Answer ask(const rig::Bytes& packet) {
    const Answer a = run(packet);
    take_begun([](const auto&...) {});
    return a;
  }

  xdp::Verdict rehearse(const rig::Bytes& packet) {
    const auto before = drops();
    const xdp::Verdict verdict = must(rehearsal_->ask(packet, {}));
    REQUIRE(drops() == before);
    return verdict;
  }

  // What it has counted as balanced, and connections and datagrams that it remembers.
  std::array<uint64_t, 3> noted() const {
    const uint32_t balanced = GW_COUNT_BALANCED;
    std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    REQUIRE(bpf_map_lookup_elem(bpf_map__fd(program_->maps.counts), &balanced, of_cpu.data()) == 0);
    std::array<uint64_t, 3> all{std::accumulate(of_cpu.begin(), of_cpu.end(), uint64_t{0})};
    size_t i = 1;
    for (const bpf_map* map : {program_->maps.begun, program_->maps.datagrams}) {
      std::vector<uint8_t> key(bpf_map__key_size(map));
      const uint8_t* last = nullptr;
      for (; bpf_map_get_next_key(bpf_map__fd(map), last, key.data()) == 0; last = key.data()) ++all[i];
      ++i;
    }
    return all;
  }

  // Is foretold, and what is foretold comes true.
  Answer run(const rig::Bytes& packet) {
    const xdp::Verdict verdict = rehearse(packet);
    const Answer a = sent(packet);
    REQUIRE((verdict.fate == xdp::Verdict::kHost) == (a.kind == Answer::kHost));
    REQUIRE((verdict.fate == xdp::Verdict::kDropped) == (a.kind == Answer::kDropped));
    REQUIRE(verdict.reason == a.reason);
    return a;
  }

 private:
  Answer sent(const rig::Bytes& packet) {
    rig::Bytes out(4'096);
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = packet.data();
    options.data_size_in = static_cast<uint32_t>(packet.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.repeat = 1;
    const auto before = drops();
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.gw_steer), &options) == 0);
    if (options.retval == XDP_PASS) return {Answer::kHost, {}};
    if (options.retval == XDP_DROP) {
      const auto after = drops();
      for (size_t i = 0; i < after.size(); ++i)
        if (after[i] != before[i]) return {Answer::kDropped, {}, static_cast<net::DropReason>(i)};
      FAIL("dropped without a reason");
    }
    REQUIRE(options.retval == XDP_REDIRECT);
    out.resize(options.data_size_out);
    return {Answer::kSent, out};
  }

  template <typename T>
  static T must(absl::StatusOr<T> value) {
    INFO(value.status().ToString());
    REQUIRE(value.ok());
    return std::move(*value);
  }
  std::array<uint64_t, net::kDropReasons> drops() const {
    std::array<uint64_t, net::kDropReasons> sums{};
    std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (uint32_t i = 0; i < sums.size(); ++i) {
      REQUIRE(bpf_map_lookup_elem(bpf_map__fd(program_->maps.drops), &i, of_cpu.data()) == 0);
      sums[i] = std::accumulate(of_cpu.begin(), of_cpu.end(), uint64_t{0});
    }
    return sums;
  }

  std::unique_ptr<xdp::KernelTables> tables_;
  xdp::Object program_;
  std::optional<xdp::Rehearsal> rehearsal_;
  xdp::Fd socket_;
};

std::string to_text(const Answer& a) {
  if (a.kind == Answer::kSent) return rig::describe(a.sent);
  return a.kind == Answer::kHost ? "to the host" : "dropped: " + std::string(net::to_string(a.reason));
}

// What the case says that should become of its packet.
Answer expected(const Case& c) {
  const bool instead = !c.more.empty() || c.out_port == c.in_port;
  std::vector<rig::Bytes> more;
  for (const Frame& f : c.more) more.push_back(f.bytes());
  if (c.out) return {Answer::kSent, c.out->bytes(), net::DropReason::NONE, instead, more};
  if (!c.raw_out.empty()) return {Answer::kSent, c.raw_out, net::DropReason::NONE, instead, more};
  return {Answer::kDropped, {}, c.reason};
}

bool same(const Answer& a, const Answer& b) {
  return a.kind == b.kind && a.sent == b.sent && a.more == b.more && a.reason == b.reason;
}

bool has_nat(Rig& rig) {
  return std::ranges::any_of(rig.publisher().services(), [](const auto& s) { return s.second.mode == Mode::kNat; });
}

bool about(const Case& c, std::string_view what) { return c.description.find(what) != std::string::npos; }

// The differences that there are between the kernel's way and the engine's, by name.
struct Difference {
  std::string_view name;
  std::function<bool(const Case&, const Answer& kernel, const Answer& engine, bool nat)> is;
};

bool unserved(const Answer& a) { return a.kind == Answer::kDropped && a.reason == net::DropReason::NO_SOCKET; }

const std::vector<Difference>& differences() {
  static const std::vector<Difference> all{
      {"what it can't read, or nobody asked for, is the host's to refuse",
       [](auto&, auto& kernel, auto& engine, bool) {
         constexpr std::array kRefused{DropReason::NO_VIP,        DropReason::NOT_IP,
                                       DropReason::TRUNCATED,     DropReason::BAD_IP_HEADER,
                                       DropReason::BAD_L4_HEADER, DropReason::PROTOCOL_UNSUPPORTED,
                                       DropReason::BAD_QUESTION,  DropReason::EXTENSION_HEADERS,
                                       DropReason::NOT_ANNOUNCED};
         return kernel.kind == Answer::kHost && engine.kind == Answer::kDropped &&
                std::ranges::find(kRefused, engine.reason) != kRefused.end();
       }},
      {"nat keeps state, and waits for the engine",
       [](auto&, auto& kernel, auto&, bool nat) { return unserved(kernel) && nat; }},
      {"what belongs to no flow has one reason",
       [](auto&, auto& kernel, auto& engine, bool) { return unserved(kernel) && engine.kind == Answer::kDropped; }},
      {"it reads no extension headers of a packet that is quoted",
       [](const Case& c, auto& kernel, auto&, bool) {
         return unserved(kernel) && about(c, "extension headers quoted");
       }},
      {"it reads four extension headers",
       [](const Case& c, auto& kernel, auto&, bool) {
         return kernel.kind == Answer::kHost && about(c, "extension headers pass: 8");
       }},
      {"what is too large is dropped: it cuts nothing and tells nobody",
       [](auto&, auto& kernel, auto& engine, bool) {
         return kernel.kind == Answer::kDropped && kernel.reason == net::DropReason::MTU_EXCEEDED && engine.instead;
       }},
      {"a later fragment that comes before its first is dropped",
       [](auto&, auto& kernel, auto& engine, bool) {
         return kernel.kind == Answer::kSent && kernel.sent == engine.sent && !engine.more.empty();
       }},
      {"a service that has no backend any more has no slot by which to know its connections",
       [](auto&, auto& kernel, auto&, bool) {
         return kernel.kind == Answer::kDropped && kernel.reason == net::DropReason::NO_BACKEND;
       }},
      {"room before a packet is its driver's",
       [](const Case& c, auto&, auto&, bool) { return c.headroom != RTE_PKTMBUF_HEADROOM; }},
  };
  return all;
}

TEST_CASE("the kernel's answers to the packet cases are the engine's, but for those that differ by name", "[kernel]") {
  if (geteuid() != 0) {
    std::cout << "skipped: running an XDP program needs root\n";
    return;
  }
  std::map<std::string_view, unsigned> differ;
  unsigned sent = 0;
  Kernel kernel;
  for (const Case& c : all_cases()) {
    const rig::Bytes in = c.raw.empty() ? c.in.bytes() : c.raw;
    if (in.size() < sizeof(net::EthernetHeader)) continue;  // the kernel runs nothing over those
    INFO(c.description);
    kernel.forget_datagrams();
    Rig rig({.kernel = &kernel.tables()});
    network(rig);
    c.configure(rig);
    for (const Frame& f : c.before) {
      const Answer early = kernel.run(f.bytes());
      CHECK((c.more.empty() || unserved(early)));
    }
    const Answer answer = kernel.run(in);
    const bool nat = has_nat(rig);
    REQUIRE_FALSE(rig.apply({.full = true, .gateway = control::GatewaySpec{}, .services = {}, .removals = {}}));
    const Answer wanted = expected(c);
    if (same(answer, wanted)) {
      if (answer.kind == Answer::kSent) ++sent;
      continue;
    }
    INFO("the kernel: " << to_text(answer) << "\nthe engine: " << to_text(wanted));
    const auto difference =
        std::ranges::find_if(differences(), [&](const Difference& d) { return d.is(c, answer, wanted, nat); });
    REQUIRE(difference != differences().end());
    ++differ[difference->name];
  }
  CHECK(sent > 70);
  for (const Difference& d : differences()) {
    INFO(d.name);
    CHECK(differ[d.name] > 0);  // one that is gone shall go from the list
  }
}

TEST_CASE("what is dropped before the engine's socket, the engine would drop by the same reason", "[kernel]") {
  if (geteuid() != 0) return;
  std::set<net::DropReason> reasons;
  Kernel kernel;
  kernel.add_socket();
  for (const Case& c : all_cases()) {
    const rig::Bytes in = c.raw.empty() ? c.in.bytes() : c.raw;
    if (in.size() < sizeof(net::EthernetHeader)) continue;
    INFO(c.description);
    Rig rig({.kernel = &kernel.tables()});
    network(rig);
    c.configure(rig);
    const Answer answer = kernel.run(in);
    REQUIRE_FALSE(rig.apply({.full = true, .gateway = control::GatewaySpec{}, .services = {}, .removals = {}}));
    if (answer.kind != Answer::kDropped) continue;
    INFO(to_text(answer));
    CHECK(same(answer, expected(c)));
    reasons.insert(answer.reason);
  }
  using net::DropReason;
  CHECK(reasons ==
        std::set{DropReason::TRUNCATED, DropReason::BAD_IP_HEADER, DropReason::BAD_L4_HEADER, DropReason::BAD_ADDRESS});
}

TEST_CASE("a VIP that passes from one service to another is steered and balanced all the way", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  const auto named = [](const char* name, const char* vip, const char* real) {
    auto s = service(vip, 80, Protocol::kTcp, Mode::kDsrL2, {real});
    s.name = name;
    return s;
  };
  const auto meets = [&](const char* vip) {
    const Answer a = kernel.run(Frame().ip("10.0.0.99", vip).tcp(40'000, 80).syn().bytes());
    return a.kind == Answer::kSent ? a.sent[5] : 0U;  // the last byte of the real's MAC address
  };
  const auto apply = [&](std::vector<control::ServiceSpec> services, std::vector<std::string> removals) {
    const auto refused =
        rig.apply({.full = false, .gateway = {}, .services = std::move(services), .removals = std::move(removals)});
    REQUIRE_FALSE(refused);
  };
  apply({named("a", "192.0.2.1", "10.0.1.10"), named("b", "192.0.2.2", "10.0.1.11")}, {});
  CHECK(meets("192.0.2.1") == 10);
  CHECK(meets("192.0.2.2") == 11);
  apply({named("a", "192.0.2.2", "10.0.1.10"), named("b", "192.0.2.1", "10.0.1.11")}, {});
  CHECK(meets("192.0.2.1") == 11);
  CHECK(meets("192.0.2.2") == 10);
  apply({named("c", "192.0.2.2", "10.0.1.12")}, {"a"});
  CHECK(meets("192.0.2.2") == 12);
  apply({}, {"b"});
  CHECK(meets("192.0.2.1") == 0);
  CHECK(meets("192.0.2.2") == 12);
}

TEST_CASE("a VIP takes no more rows however often it changes, and none once it is gone", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  auto s = service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"});
  const std::span rows(kernel.tables().services.as<gw_served>(), GW_ROW_LINES);
  const std::span words(kernel.tables().vips.as<uint64_t>(), size_t{GW_VIP_LINES} * GW_VIP_PLACES);
  for (unsigned n = 0; n < 100; ++n) {
    s.mtu = static_cast<uint16_t>(1'300 + n);
    rig.service(s);
    CHECK(std::ranges::count_if(words, [](uint64_t w) { return w > GW_VIP_GONE; }) == 1);
  }
  CHECK(std::ranges::count_if(rows, [](const gw_served& r) { return r.vip.protocol != 0; }) == 2);
  CHECK(std::ranges::count_if(words, [](uint64_t w) { return w != 0; }) == 1);
  REQUIRE_FALSE(rig.apply({.full = false, .gateway = {}, .services = {}, .removals = {s.name}}));
  CHECK(std::ranges::count_if(words, [](uint64_t w) { return w > GW_VIP_GONE; }) == 0);
}

// A flow to kVip, by its source port, and the last byte of its real's address.
Frame flow(uint16_t port, uint8_t flags) { return Frame().ip("10.0.0.99", kVip).tcp(port, 80, flags); }
Frame datagram(uint16_t port) { return Frame().ip("10.0.0.99", kVip).udp(port, 80); }

// This thread in a network namespace of its own.
class Namespace {
 public:
  Namespace() : before_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) { REQUIRE(unshare(CLONE_NEWNET) == 0); }
  ~Namespace() { setns(before_.get(), CLONE_NEWNET); }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  void run(const std::string& command) const {
    INFO(command);
    REQUIRE(std::system(command.c_str()) == 0);  // NOLINT(cert-env33-c)
  }

 private:
  xdp::Fd before_;
};

TEST_CASE("where the engine knew no way, the kernel is asked for one by a port", "[kernel]") {
  if (geteuid() != 0) return;
  const Namespace host;
  host.run("ip link set lo up && ip link add fib0 index 11 type veth peer name fib1");  // the rig's second
  host.run("ip link add other0 type veth peer name other1");
  host.run("for i in fib0 fib1 other0 other1; do ip link set $i up; done");
  host.run("ip addr add 10.0.1.1/24 dev fib0 && ip addr add 2001:db8:1::1/64 dev fib0 nodad");
  host.run("ip addr add 10.0.7.1/24 dev other0 && ip link set fib0 address 02:00:00:00:00:02");
  const auto forwards = [&](const char* yes) {
    for (const char* family : {"ipv4", "ipv6"})
      host.run(std::string("echo ") + yes + " >/proc/sys/net/" + family + "/conf/all/forwarding");
  };
  forwards("1");
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  control::GatewaySpec gateway;  // a route that isn't there says no source
  gateway.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.1"), 32);
  gateway.encap_source6 = net::prefix_of(*net::parse_ip("2001:db8:1::1"), 128);
  rig.gateway(gateway);
  const auto ask = [&](const char* real) {
    rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {real}));
    rig.sweep();  // or the kernel goes by the former table
    return kernel.run(flow(40'000, net::kTcpAck).bytes());
  };
  const auto sent_to = [](const Answer& a, uint8_t last) {
    constexpr std::array<uint8_t, 5> kPrefix{2, 0, 0, 0, 7};
    return a.kind == Answer::kSent && std::ranges::equal(std::span(a.sent).first(5), kPrefix) && a.sent[5] == last &&
           a.sent[11] == 2;
  };

  // On the link, without an answer when the engine was there.
  CHECK(ask("10.0.1.77").reason == DropReason::NO_NEIGHBOR);
  host.run("ip neigh add 10.0.1.77 lladdr 02:00:00:00:07:77 dev fib0");
  const Answer a = ask("10.0.1.77");
  CHECK(sent_to(a, 0x77));
  REQUIRE(a.sent.size() > 34);
  CHECK(std::ranges::equal(std::span(a.sent).subspan(30, 4), std::array<uint8_t, 4>{10, 0, 1, 77}));
  host.run("ip neigh add 2001:db8:1::77 lladdr 02:00:00:00:07:78 dev fib0");
  CHECK(sent_to(ask("2001:db8:1::77"), 0x78));
  // By a route that came later.
  CHECK(ask("172.16.0.1").reason == DropReason::NO_ROUTE);
  host.run("ip route add 172.16.0.0/12 via 10.0.1.77");
  CHECK(sent_to(ask("172.16.0.1"), 0x77));
  // Not by what isn't a port, or against the host's will.
  host.run("ip neigh add 10.0.7.77 lladdr 02:00:00:00:07:79 dev other0 && ip route add 172.32.0.0/16 via 10.0.7.77");
  CHECK(ask("172.32.0.1").reason == DropReason::NO_ROUTE);
  forwards("0");
  CHECK(ask("10.0.1.77").reason == DropReason::NO_NEIGHBOR);
  // What the engine refuses for another reason stays refused.
  forwards("1");
  rig.foreign_link("10.0.8.0/24");
  host.run("ip route add 10.0.8.0/24 via 10.0.1.77");
  CHECK(ask("10.0.8.1").reason == DropReason::FOREIGN_PORT);
}

TEST_CASE("a rehearsal of what the kernel balances notes nothing", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  for (const auto protocol : {Protocol::kTcp, Protocol::kUdp}) {
    auto s = service(kVip, 80, protocol, Mode::kDsrL2, {"10.0.1.10"});
    s.name = protocol == Protocol::kTcp ? "tcp" : "udp";
    rig.service(s);
  }
  const rig::Bytes syn = flow(40'000, net::kTcpSyn).bytes();
  Frame fragment = datagram(40'000);
  const rig::Bytes first = fragment.fragment(net::kIpv4MoreFragments).bytes();
  for (const rig::Bytes& in : {syn, first}) CHECK(kernel.rehearse(in).fate == xdp::Verdict::kEngine);
  CHECK(kernel.noted() == std::array<uint64_t, 3>{0, 0, 0});
  for (const rig::Bytes& in : {syn, first}) CHECK(kernel.run(in).kind == Answer::kSent);
  CHECK(kernel.noted() == std::array<uint64_t, 3>{2, 2, 1});
}

TEST_CASE("a VIP's rate limit outlives changes of its row, and goes when it is told", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  auto s = service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"});
  const auto passed = [&](unsigned of) {
    unsigned n = 0;
    for (unsigned i = 0; i < of; ++i)
      n += kernel.run(flow(static_cast<uint16_t>(1'000 + i), net::kTcpSyn).bytes()).kind == Answer::kSent;
    return n;
  };
  rig.service(s);
  CHECK(passed(40) == 40);
  s.rate_limit = 1;  // and ten at once; a token more comes in a second
  rig.service(s);
  const unsigned first = passed(40);
  CHECK((first >= 10 && first < 40));
  s.mtu = 1'400;  // the row is another, and its bucket the same
  rig.service(s);
  CHECK(passed(40) < 30);
  s.rate_limit = 2;
  rig.service(s);
  CHECK(passed(10) == 10);  // another bucket's worth
  s.rate_limit = 0;
  rig.service(s);
  CHECK(passed(40) == 40);
}

TEST_CASE("the kernel knows connections off their slot, once a sweep has found them", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  const auto serve = [&](std::initializer_list<std::string_view> reals) {
    for (const auto protocol : {Protocol::kTcp, Protocol::kUdp}) {
      auto s = service(kVip, 80, protocol, Mode::kDsrL2, reals);
      s.name = protocol == Protocol::kTcp ? "tcp" : "udp";
      rig.service(s);
    }
    rig.sweep();
  };
  const auto meets = [&](const Frame& f) {
    const Answer a = kernel.ask(f.bytes());
    return a.kind == Answer::kSent ? a.sent[5] : 0U;
  };
  serve({"10.0.1.10"});
  constexpr uint16_t kFirst = 1'000, kLast = 1'020;
  for (uint16_t port = kFirst; port < kLast; ++port)
    for (const Frame& f : {flow(port, net::kTcpSyn), datagram(port)}) REQUIRE(rig.send(f.bytes()).size() == 1);
  serve({"10.0.1.10", "10.0.1.11"});
  unsigned moved = 0;
  for (uint16_t port = kFirst; port < kLast; ++port) {
    CHECK(meets(flow(port, net::kTcpAck)) == 10);
    CHECK(meets(datagram(port)) == 10);
    moved += meets(flow(port, net::kTcpSyn)) == 11;  // new connections of the same ports
  }
  CHECK(moved > 0);
  serve({"10.0.1.11"});
  for (uint16_t port = kFirst; port < kLast; ++port) {
    CHECK(meets(flow(port, net::kTcpAck)) == 10);
    CHECK(meets(flow(port, net::kTcpSyn)) == 11);
    CHECK(meets(datagram(port)) == 11);
  }
  rig.pass(path::kMaxIdle);
  rig.sweep();
  for (uint16_t port = kFirst; port < kLast; ++port) CHECK(meets(flow(port, net::kTcpAck)) == 11);
}

// A service of two protocols whose table changes, with or without a sweep behind it; by the last bytes of the reals.
class Changing {
 public:
  Changing() : rig_({.kernel = &kernel_.tables(), .begun = [this](const auto& visit) { kernel_.take_begun(visit); }}) {
    network(rig_);
  }

  Rig& rig() { return rig_; }
  void serve(std::initializer_list<std::string_view> reals, uint32_t affinity = 0) {
    for (const auto protocol : {Protocol::kTcp, Protocol::kUdp}) {
      auto s = service(kVip, 80, protocol, Mode::kDsrL2, reals);
      s.name = protocol == Protocol::kTcp ? "tcp" : "udp";
      s.affinity_seconds = affinity;
      rig_.service(s);
    }
  }
  unsigned kernel(const Frame& f) {
    const Answer a = kernel_.run(f.bytes());
    return a.kind == Answer::kSent ? a.sent[5] : 0;
  }
  unsigned engine(const Frame& f) {
    const auto out = rig_.send(f.bytes());
    return out.size() == 1 ? out[0].bytes[5] : 0;
  }
  // How many of so many flows the kernel would send to the real.
  template <typename Make>
  unsigned count(unsigned real, Make make) {
    unsigned n = 0;
    for (uint16_t port = kFirst; port < kFirst + kFlows; ++port) {
      const Answer a = kernel_.ask(make(port).bytes());
      n += a.kind == Answer::kSent && a.sent[5] == real;
    }
    return n;
  }
  static constexpr uint16_t kFirst = 1'000, kFlows = 40;

 private:
  Kernel kernel_;
  Rig rig_;
};

Frame syn(uint16_t port) { return flow(port, net::kTcpSyn); }
Frame ack(uint16_t port) { return flow(port, net::kTcpAck); }

TEST_CASE("the kernel goes by a service's former table until a sweep has found whom the new one moves", "[kernel]") {
  if (geteuid() != 0) return;
  Changing c;
  constexpr auto kAll = Changing::kFlows;
  c.serve({"10.0.1.10"});
  for (uint16_t port = c.kFirst; port < c.kFirst + kAll; ++port) {
    REQUIRE(c.engine(syn(port)) == 10);
    REQUIRE(c.engine(datagram(port)) == 10);
  }
  c.serve({"10.0.1.10", "10.0.1.11"});
  for (const auto make : {ack, syn, datagram}) CHECK(c.count(10, make) == kAll);
  // A change while the sweep is under way: what that one finds isn't all.
  c.rig().sweep_part(0);
  c.serve({"10.0.1.11", "10.0.1.12"});
  const auto begun = static_cast<uint16_t>(c.kFirst + kAll);  // and what workers begin meanwhile
  const unsigned real = c.engine(syn(begun));
  REQUIRE(real != 10);
  c.rig().sweep_part(1U << 20);
  REQUIRE(c.rig().sweeper().walks() == 1);
  CHECK(c.count(10, ack) == kAll);
  CHECK(c.kernel(ack(begun)) == real);
  // Of a real that is gone only what stands goes by the former table.
  CHECK(c.count(10, syn) + c.count(10, datagram) == 0);
  CHECK(c.count(11, syn) + c.count(12, syn) == kAll);
  CHECK(c.count(11, datagram) + c.count(12, datagram) == kAll);
  c.rig().sweep_rest();
  CHECK(c.count(10, ack) == kAll);
  CHECK(c.kernel(ack(begun)) == real);
  CHECK(c.count(10, syn) + c.count(10, datagram) == 0);
}

TEST_CASE("an engine may end while a former table stands", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10", "10.0.1.11"}));
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10", "10.0.1.12"}));
  CHECK(kernel.run(flow(40'000, net::kTcpAck).bytes()).kind == Answer::kSent);
}

TEST_CASE("the row of a real that the kernel's table still names isn't another's", "[kernel]") {
  if (geteuid() != 0) return;
  Changing c;
  c.serve({"10.0.1.10", "10.0.1.11"});
  const unsigned by_11 = c.count(11, ack);
  REQUIRE(by_11 > 0);
  c.serve({"10.0.1.10"});
  c.rig().sweep_part(0);
  c.serve({"10.0.1.10", "10.0.1.12"});  // the table of before is gone by until a sweep has seen this
  c.rig().sweep_part(1U << 20);
  REQUIRE(c.rig().sweeper().walks() == 1);
  c.rig().service(service("192.0.2.77", 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.13", "10.0.1.14"}));
  CHECK(c.count(11, ack) == by_11);
  CHECK(c.count(13, ack) + c.count(14, ack) == 0);
  c.rig().sweep_rest();
  c.rig().sweeper().wish();
  c.rig().sweep();
  CHECK(c.count(11, ack) == 0);
  CHECK(c.rig().publisher().real_rows() == 2 * 2 + 2);
}

TEST_CASE("a table that follows another before a sweep doesn't replace the one that connections were made by",
          "[kernel]") {
  if (geteuid() != 0) return;
  Changing c;
  c.serve({"10.0.1.10", "10.0.1.11"});
  std::map<uint16_t, unsigned> made;
  for (uint16_t port = c.kFirst; port < c.kFirst + c.kFlows; ++port) made[port] = c.engine(syn(port));
  const auto all_stand = [&] {
    return std::ranges::all_of(made, [&](const auto& flow) { return c.kernel(ack(flow.first)) == flow.second; });
  };
  for (int round = 0; round < 3; ++round) {
    c.serve({"10.0.1.11", "10.0.1.12"});
    CHECK(all_stand());
    c.serve({"10.0.1.10", "10.0.1.12"});
    CHECK(all_stand());
    c.rig().sweep();
    CHECK(all_stand());
    // Another hash asks.
    c.serve({"10.0.1.10", "10.0.1.12"}, 100);
    CHECK(all_stand());
    c.rig().sweep();
    CHECK(all_stand());
    c.serve({"10.0.1.10", "10.0.1.11"});
    CHECK(all_stand());
    c.rig().sweep();
    CHECK(all_stand());
  }
  // No table, and one again: at once.
  c.serve({});
  CHECK(c.kernel(ack(c.kFirst)) == 0);
  c.serve({"10.0.1.12"});
  CHECK(c.count(12, syn) == c.kFlows);
}

TEST_CASE("the kernel knows what a worker has begun off its slot, before a sweep does", "[kernel]") {
  if (geteuid() != 0) return;
  const uint32_t affinity = GENERATE(0U, 100U);
  Changing c;
  c.serve({"10.0.1.10", "10.0.1.11"}, affinity);
  std::map<uint16_t, unsigned> made;
  const auto all_stand = [&] {
    return std::ranges::all_of(made, [&](const auto& flow) { return c.kernel(ack(flow.first)) == flow.second; });
  };
  const auto begin = [&](uint16_t first) {
    for (uint16_t port = first; port < first + c.kFlows; ++port) made[port] = c.engine(syn(port));
  };
  begin(c.kFirst);
  CHECK(all_stand());
  for (int round = 0; round < 3; ++round) {
    c.serve({"10.0.1.11", "10.0.1.12"}, affinity);
    begin(static_cast<uint16_t>(c.kFirst + 100));
    CHECK(all_stand());
    c.serve({"10.0.1.10", "10.0.1.12"}, affinity);
    begin(static_cast<uint16_t>(c.kFirst + 200));
    CHECK(all_stand());
    c.rig().sweep();
    CHECK(all_stand());
    // What begins anew is off to another real than the exception of before says.
    begin(c.kFirst);
    CHECK(all_stand());
    // What a client's real is, no slot says.
    if (affinity != 0) begin(static_cast<uint16_t>(c.kFirst + 300));
    CHECK(all_stand());
    c.rig().sweep();
    CHECK(all_stand());
  }
}

TEST_CASE("what the kernel begins takes the place of an earlier connection of the same ports", "[kernel]") {
  if (geteuid() != 0) return;
  Changing c;
  c.serve({"10.0.1.10", "10.0.1.11"});
  const auto end = static_cast<uint16_t>(c.kFirst + c.kFlows);
  for (uint16_t port = c.kFirst; port < end; ++port) {
    REQUIRE(c.engine(syn(port)) != 0);
    REQUIRE(c.engine(ack(port)) != 0);
    if (port % 2 == 0) REQUIRE(c.engine(flow(port, net::kTcpFin | net::kTcpAck)) != 0);
  }
  const bool swept = GENERATE(true, false);  // the earlier ones are exceptions, or about to be
  c.serve({"10.0.1.11", "10.0.1.12"});
  if (swept) c.rig().sweep();
  std::map<uint16_t, unsigned> made;
  for (uint16_t port = c.kFirst; port < end; ++port) made[port] = c.kernel(syn(port));
  const auto all_stand = [&](auto&& ask) {
    return std::ranges::all_of(made, [&](const auto& flow) { return ask(ack(flow.first)) == flow.second; });
  };
  const auto kernel = [&](const Frame& f) { return c.kernel(f); };
  const auto engine = [&](const Frame& f) { return c.engine(f); };
  CHECK(all_stand(kernel));
  if (!swept) c.rig().sweep();  // meets the earlier ones still
  CHECK(all_stand(kernel));
  c.rig().hear_of_kernel();
  CHECK(all_stand(kernel));
  CHECK(all_stand(engine));
  // They are as established as any.
  c.rig().pass(path::kIdleTimeout[static_cast<size_t>(path::ConnectionState::kClosing)] + 1);
  c.serve({"10.0.1.12"});
  CHECK(all_stand(engine));
  c.rig().sweep();
  CHECK(all_stand(kernel));
  // Workers know what came later: nothing of the kernel's is left that would take its place.
  for (uint16_t port = c.kFirst; port < end; ++port) CHECK((made[port] = c.engine(syn(port))) == 12);
  c.rig().sweep();
  CHECK(all_stand(kernel));
  CHECK(all_stand(engine));
}

TEST_CASE("what the kernel has begun stays where it is, whatever changes before a worker sees it", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables(), .begun = [&](const xdp::VisitBegun& visit) { kernel.take_begun(visit); }});
  network(rig);
  const auto serve = [&](std::initializer_list<unsigned> reals) {
    for (const bool v4 : {true, false})
      for (const auto protocol : {Protocol::kTcp, Protocol::kUdp}) {
        auto s = service(v4 ? kVip : kVip6, 80, protocol, Mode::kDsrL2, {});
        s.name = std::string(v4 ? "4" : "6") + (protocol == Protocol::kTcp ? "tcp" : "udp");
        for (const unsigned n : reals)
          s.reals.push_back(
              {.address = net::parse_ip((v4 ? "10.0.1." : "2001:db8:1::") + std::to_string(n)).value(), .port = 80});
        rig.service(s);
      }
  };
  const auto by_kernel = [&](const Frame& f) {
    const Answer a = kernel.run(f.bytes());
    return a.kind == Answer::kSent ? a.sent[5] : 0U;
  };
  const auto by_worker = [&](const Frame& f) {
    const auto out = rig.send(f.bytes());
    return out.size() == 1 ? out[0].bytes[5] : 0U;
  };
  const auto frame = [](bool v4) { return Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6); };
  constexpr uint16_t kFirst = 1'000, kFlows = 60;
  std::map<std::pair<bool, uint16_t>, std::pair<unsigned, unsigned>> met;  // by TCP and by UDP
  serve({10, 11});
  rig.sweep();
  for (const bool v4 : {true, false})
    for (uint16_t port = kFirst; port < kFirst + kFlows; ++port) {
      const unsigned tcp = by_kernel(frame(v4).tcp(port, 80, net::kTcpSyn));
      const unsigned udp = by_kernel(frame(v4).udp(port, 80));
      REQUIRE((tcp != 0 && udp != 0));
      CHECK(by_kernel(frame(v4).udp(port, 80)) == udp);
      met[{v4, port}] = {tcp, udp};
    }
  // Worker or kernel, before a sweep or after one, and after another change.
  const auto all_stand = [&](const auto& ask, uint16_t rest) {
    for (const auto& [flow, reals] : met) {
      const auto [v4, port] = flow;
      if (port % 3 != rest) continue;
      CAPTURE(v4, port);
      CHECK(ask(frame(v4).tcp(port, 80, net::kTcpAck)) == reals.first);
      if (reals.second != 11) CHECK(ask(frame(v4).udp(port, 80)) == reals.second);
    }
  };
  serve({10, 12});
  all_stand(by_kernel, 2);
  all_stand(by_worker, 0);
  rig.sweep();
  all_stand(by_kernel, 2);
  all_stand(by_worker, 1);
  serve({12, 13});
  for (auto& [flow, reals] : met)
    if (reals.second == 10) reals.second = 11;  // a datagram needs no real that is gone
  for (const uint16_t rest : {0, 1, 2}) all_stand(by_kernel, rest);
  rig.sweep();
  for (const uint16_t rest : {0, 1, 2}) all_stand(by_kernel, rest);
  for (const uint16_t rest : {0, 1, 2}) all_stand(by_worker, rest);
}

// Services and packets of all kinds that the kernel serves, by a seed; some belong to connections that stand.
class Chance {
 public:
  explicit Chance(uint32_t seed) : random_(seed) {}

  control::Batch batch() {
    control::Batch b{.full = true, .gateway = control::GatewaySpec{}, .services = {}, .removals = {}};
    b.gateway->hash_seed = random_();
    b.gateway->new_flow_rate = 1'000'000'000;
    if (one_of(3)) b.gateway->encap_source4 = rig::prefix("100.64.0.0/" + std::to_string(16 + below(17)));
    if (one_of(3)) b.gateway->encap_source6 = rig::prefix("2001:db8:e::/" + std::to_string(64 + below(65)));
    std::set<path::VipKey> taken;
    for (unsigned n = 1 + below(12); n > 0; --n)
      if (control::ServiceSpec s = service(); taken.insert(s.vip).second) b.services.push_back(std::move(s));
    // What a service of all ports has stays its own where one of the port itself takes what comes from now on.
    std::erase_if(flows_, [&](const Flow& f) { return !vips_.contains(f.key()) && taken.contains(f.key()); });
    vips_ = std::move(taken);
    return b;
  }

  // Packets that belong together, in their order.
  std::vector<rig::Bytes> packets() {
    if (!flows_.empty() && one_of(4)) return {again()};
    const bool v4 = one_of(2);
    const std::string from = client(v4);
    const Flow flow{from, vip(v4), static_cast<uint16_t>(1 + below(65'535)), port(), one_of(3)};
    Frame f = Frame().ip(flow.client, flow.vip);
    flow.udp ? f.udp(flow.client_port, flow.vip_port) : f.tcp(flow.client_port, flow.vip_port, net::kTcpSyn);
    f.payload(below(1'460)).tos(static_cast<uint8_t>(below(256)));
    if (v4 && one_of(6)) f.options(4 * (1 + below(10)));
    if (one_of(6)) f.no_udp_checksum();
    if (one_of(8)) f.pad_to(1'514);
    if (one_of(8)) f.vlan(static_cast<uint16_t>(below(4'095)));
    if (one_of(8)) return pieces(f);
    if (one_of(8)) return {damaged(error_about(v4, from))};
    flows_.push_back(flow);
    return {damaged(f.bytes())};
  }

  // The engine has forgotten its connections.
  void forget() { flows_.clear(); }

 private:
  struct Flow {
    std::string client;
    std::string vip;
    uint16_t client_port;
    uint16_t vip_port;
    bool udp;
    path::VipKey key() const {
      const auto protocol = udp ? Protocol::kUdp : Protocol::kTcp;
      return {net::parse_ip(vip).value(), net::Be16{vip_port}, static_cast<uint8_t>(protocol), 0};
    }
  };

  rig::Bytes again() {
    const Flow& flow = flows_[below(static_cast<unsigned>(flows_.size()))];
    Frame f = Frame().ip(flow.client, flow.vip);
    flow.udp ? f.udp(flow.client_port, flow.vip_port) : f.tcp(flow.client_port, flow.vip_port, net::kTcpAck);
    return f.payload(below(1'300)).bytes();
  }

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool one_of(unsigned n) { return below(n) == 0; }
  uint16_t port() { return one_of(2) ? uint16_t{80} : uint16_t{443}; }
  static std::string number(const char* before, unsigned n) { return before + std::to_string(n); }
  std::string vip(bool v4) { return number(v4 ? "192.0.2." : "2001:db8:ff::", 1 + below(2)); }
  std::string client(bool v4) {
    const unsigned n = ++clients_;
    if (!v4) return number("2001:db8:c::", n % 10'000) + number(":", n / 10'000);
    return number("11.", n >> 16) + number(".", n >> 8 & 255) + number(".", n & 255);
  }
  std::string real(bool v4) {
    if (one_of(3)) return number(v4 ? "10.9.0." : "2001:db8:9::", 1 + below(200));
    return number(v4 ? "10.0.1." : "2001:db8:1::", 10 + below(4));  // the last one is no neighbour
  }

  control::ServiceSpec service() {
    const bool v4 = one_of(2);
    control::ServiceSpec s = cases::service(
        vip(v4), one_of(4) ? 0 : port(), one_of(3) ? Protocol::kUdp : Protocol::kTcp, static_cast<Mode>(below(3)), {});
    s.table_size = one_of(4) ? 509 : 251;
    std::set<std::string> reals;
    for (unsigned n = below(6); n > 0; --n)
      if (const std::string r = real(s.mode == Mode::kDsrL2 || one_of(2) ? v4 : !v4); reals.insert(r).second)
        s.reals.push_back({net::parse_ip(r).value(), s.vip.port.host(), below(4), one_of(8)});
    if (one_of(3)) s.mtu = static_cast<uint16_t>(1'280 + below(300));
    if (one_of(3)) s.affinity_seconds = 100;
    s.source_ranges_deny = one_of(2);
    if (one_of(3))
      for (unsigned n = 1 + below(40); n > 0; --n)
        s.source_ranges.push_back(
            v4 ? rig::prefix(number("11.0.", below(256)) + number(".0/", 17 + below(8)))
               : rig::prefix(number("2001:db8:c::", below(10'000)) + number(":0/", 97 + below(24))));
    return s;
  }

  std::vector<rig::Bytes> pieces(const Frame& f) {
    const uint32_t id = ++ids_;
    const Frame whole = Frame(f).payload(100 + below(1'300));
    return {Frame(whole).piece(id, 0, 64).bytes(), Frame(whole).piece(id, 64, 2'000).bytes()};
  }

  // Some of them: cut or padded, and a byte of the headers changed.
  rig::Bytes damaged(rig::Bytes b) {
    if (!one_of(6)) return b;
    if (one_of(4)) b.resize(14 + below(static_cast<unsigned>(b.size())));
    if (one_of(2))
      b.at(below(static_cast<unsigned>(std::min(b.size(), size_t{90})))) = static_cast<uint8_t>(below(256));
    return b;
  }

  rig::Bytes error_about(bool v4, const std::string& from) {
    const std::string at = vip(v4);
    Frame quoted = Frame().ip(at, from);
    const auto port = this->port();
    one_of(3) ? quoted.udp(port, 4'711) : quoted.tcp(port, 4'711);
    quoted.payload(below(200));
    const uint8_t type = v4 ? 3 : 1;
    return Frame().ip(v4 ? "203.0.113.7" : "2001:db8:77::7", at).icmp_error(type, 4, quoted, v4 ? 28 : 48).bytes();
  }

  std::mt19937 random_;
  std::vector<Flow> flows_;
  std::set<path::VipKey> vips_;
  unsigned clients_ = 0;
  uint32_t ids_ = 0;
};

TEST_CASE("whatever the configuration and the packet, the kernel sends what the engine sends", "[kernel]") {
  if (geteuid() != 0) return;
  Kernel kernel;
  Rig rig({.kernel = &kernel.tables()});
  network(rig);
  Chance chance(1);
  const Case none{};
  unsigned sent = 0;
  unsigned exceptions = 0;
  for (int round = 0; round < 1'000; ++round) {
    rig.pass(1);  // the engine forgets datagrams whose pieces have all come
    if (round % 10 == 9) {
      rig.pass(path::kMaxIdle);  // and all connections, so that rows of removed reals and services are used again
      rig.sweep();
      chance.forget();
    }
    const auto refusal = rig.apply(chance.batch());
    INFO("round " << round);
    if (refusal) FAIL(refusal->entry << " " << refusal->field << ": " << refusal->why);
    rig.sweep();
    exceptions += rig.publisher().exceptions().size();
    for (int n = 0; n < 100; ++n)
      for (const rig::Bytes& in : chance.packets()) {
        const auto out = rig.send(in);
        Answer wanted{Answer::kDropped, {}, rig.dropped()};
        if (!out.empty())
          wanted = {Answer::kSent, out[0].bytes, net::DropReason::NONE, out.size() > 1 || out[0].port == 0};
        for (size_t i = 1; i < out.size(); ++i) wanted.more.push_back(out[i].bytes);
        const Answer answer = kernel.ask(in);
        sent += answer.kind == Answer::kSent;
        if (same(answer, wanted)) continue;
        if (answer.kind == Answer::kHost && wanted.kind == Answer::kDropped) continue;  // damaged, and nobody's VIP
        INFO(rig::describe(in) << "\nthe kernel: " << to_text(answer) << "\nthe engine: " << to_text(wanted));
        REQUIRE(std::ranges::any_of(differences(), [&](const auto& d) { return d.is(none, answer, wanted, false); }));
      }
  }
  CHECK(sent > 15'000);
  CHECK(exceptions > 3'000);
}

}  // namespace
}  // namespace guideway::cases
