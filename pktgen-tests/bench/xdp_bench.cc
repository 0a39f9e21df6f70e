#include "pktgen-tests/bench/xdp_bench.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "net/headers.h"
#include "net/prefix.h"
#include "pktgen-tests/bench/flows.h"
#include "pktgen-tests/bench/source.h"
#include "xdp/fd.h"
#include "xdp/kernel_tables.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::bench {

namespace {

constexpr unsigned kPacketsPerRun = 200'000;
constexpr unsigned kTurn = 1'000;  // packets by each program in turn

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "xdp: %s failed: %s; it needs root\n", what, std::strerror(errno));
  std::exit(1);
}

struct Spent {
  uint64_t ns = 0;
  uint64_t packets = 0;
};

Spent spent(int program) {
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &length) != 0) give_up("asking a program's statistics");
  return {info.run_time_ns, info.run_cnt};
}

double cost(const Spent& before, const Spent& after) {
  return static_cast<double>(after.ns - before.ns) / static_cast<double>(after.packets - before.packets);
}

// Drops whatever comes.
xdp::Fd load_empty() {
  const std::array<bpf_insn, 2> code{
      {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_DROP}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
  return xdp::Fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "gw_empty", "GPL", code.data(), code.size(), nullptr));
}

int run(int program, const Header& header, uint32_t size, std::array<uint8_t, 256>& out) {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = header.data();
  options.data_size_in = size;
  options.data_out = out.data();
  options.data_size_out = out.size();
  options.repeat = 1;
  if (bpf_prog_test_run_opts(program, &options) != 0) give_up("running a program");
  return static_cast<int>(options.retval);
}

// The program over the tables, and an empty one beside it.
class Programs {
 public:
  Programs() : empty_(load_empty()), statistics_(bpf_enable_stats(BPF_STATS_RUN_TIME)) {
    auto tables = xdp::KernelTables::create();
    if (!tables.ok()) give_up(tables.status().ToString().c_str());
    tables_ = *std::move(tables);
    if (!empty_ || !statistics_) give_up("asking for statistics");
  }
  xdp::KernelTables& tables() { return *tables_; }
  // Each packet is to be met by `expected`.
  XdpCost measure(const std::vector<Header>& headers, uint32_t size, int expected, unsigned runs);

 private:
  xdp::Object load() const;

  xdp::Fd empty_;
  xdp::Fd statistics_;
  std::unique_ptr<xdp::KernelTables> tables_;
};

xdp::Object Programs::load() const {
  xdp::Object object(steer_bpf__open());
  if (object == nullptr || !tables_->lend(object.get()).ok() || steer_bpf__load(object.get()) != 0)
    give_up("loading the program");
  return object;
}

// Each run loads the program anew, for where its code happens to lie in memory makes a tenth of what it costs.
XdpCost Programs::measure(const std::vector<Header>& headers, uint32_t size, int expected, unsigned runs) {
  XdpCost c;
  std::vector<xdp::Object> loaded;  // all of them, or the next would lie where the last has lain
  std::vector<double> ns;
  std::vector<double> empty_ns;
  std::array<uint8_t, 256> out;
  size_t at = 0;
  const auto turn = [&](int which, bool counts) {
    for (unsigned i = 0; i < kTurn; ++i) {
      const int action = run(which, headers[(at + i) % headers.size()], size, out);
      if (counts && action != expected) ++c.lost;
    }
  };
  for (unsigned r = 0; r < runs; ++r) {
    const int program = bpf_program__fd(loaded.emplace_back(load())->progs.gw_steer);
    const Spent before = spent(program);
    const Spent empty_before = spent(empty_.get());
    for (unsigned n = 0; n < kPacketsPerRun; n += kTurn) {
      turn(empty_.get(), false);
      turn(program, true);
      at = (at + kTurn) % headers.size();
    }
    ns.push_back(cost(before, spent(program)));
    empty_ns.push_back(cost(empty_before, spent(empty_.get())));
    c.packets += kPacketsPerRun;
  }
  c.ns_per_packet = median(ns);
  c.ns_min = *std::ranges::min_element(ns);
  c.ns_max = *std::ranges::max_element(ns);
  c.empty_ns = median(empty_ns);
  return c;
}

// Of hosts and upwards; in IPv6 of links, by four bits.
std::vector<net::Prefix> random_prefixes(const Denied& denied) {
  std::mt19937_64 random(1);
  std::vector<net::Prefix> all;
  while (all.size() < denied.prefixes) {
    const uint64_t bits = random();
    const auto n = static_cast<unsigned>(all.size() % denied.lengths);
    // Neither the benchmark's own clients (11/8) nor what no host may have.
    net::IpAddress a = net::IpAddress::v4(net::Be32{0x40000000 | (static_cast<uint32_t>(bits) & 0x1fffffff)});
    if (!denied.v4) a = net::IpAddress::of({bits << 8 | 0x20, 0});
    all.push_back(net::prefix_of(a, denied.v4 ? 32 - n : 64 - 4 * n));
  }
  return all;
}

uint64_t hash_of(const net::Prefix& p) {
  const auto words = p.address.words();
  const __u64 masked[2] = {words[0], words[1]};
  return gw_denied_hash(gw_mix(p.length), masked, p.address.is_v4() ? 0 : 1);
}

void deny(xdp::KernelTables& tables, const Denied& denied) {
  gw_filter filter{};
  const int v6 = denied.v4 ? 0 : 1;
  const std::vector<net::Prefix> prefixes = random_prefixes(denied);
  for (const net::Prefix& p : std::span(prefixes).first(denied.lengths)) {
    gw_denied_length& l = filter.lengths[v6][filter.counts[v6]++];
    std::ranges::copy(net::mask_of(denied.v4, p.length), l.mask);
    l.seed = gw_mix(p.length);
  }
  for (const net::Prefix& p : prefixes)
    if (!tables.deny(hash_of(p)).ok()) give_up("denying");
  if (!tables.set(filter).ok()) give_up("denying");
}

}  // namespace

XdpCost run_xdp(uint32_t flows, const Denied& denied, unsigned runs) {
  const Scenario scenario{.flows = flows};
  Programs programs;
  rig::Rig rig({.kernel = &programs.tables()});
  configure(rig, scenario);
  if (denied.lengths > 0) deny(programs.tables(), denied);
  const auto size = static_cast<uint32_t>(std::min<size_t>(scenario.size, sizeof(Header)));
  return programs.measure(client_headers(scenario), size, XDP_REDIRECT, runs);
}

XdpCost run_xdp_denied(const Denied& denied, unsigned runs) {
  const Scenario scenario{.v4 = denied.v4, .size = denied.v4 ? uint16_t{64} : uint16_t{74}, .flows = 1};
  Programs programs;
  rig::Rig rig({.kernel = &programs.tables()});
  configure(rig, scenario);
  deny(programs.tables(), denied);
  std::vector<net::Prefix> prefixes = random_prefixes(denied);
  std::ranges::shuffle(prefixes, std::mt19937(2));
  const Header from_permitted = client_headers(scenario)[0];
  std::vector<Header> headers;
  for (const net::Prefix& p : prefixes) {
    Header& h = headers.emplace_back(from_permitted);
    const size_t length = denied.v4 ? 4 : 16;
    std::memcpy(h.data() + sizeof(net::EthernetHeader) + (denied.v4 ? 12 : 8),
                p.address.bytes.data() + p.address.bytes.size() - length, length);
  }
  return programs.measure(headers, scenario.size, XDP_DROP, runs);
}

}  // namespace guideway::bench
