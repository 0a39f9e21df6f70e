#include "pktgen-tests/bench/xdp_bench.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

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

}  // namespace

XdpCost run_xdp(uint32_t flows, unsigned runs) {
  const Scenario scenario{.flows = flows};
  auto tables = xdp::KernelTables::create();
  if (!tables.ok()) give_up(tables.status().ToString().c_str());
  xdp::Object object(steer_bpf__open());
  if (object == nullptr || !(*tables)->lend(object.get()).ok() || steer_bpf__load(object.get()) != 0)
    give_up("loading the program");
  const xdp::Fd empty = load_empty();
  const xdp::Fd statistics(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!empty || !statistics) give_up("asking for statistics");
  rig::Rig rig({.kernel = tables->get()});
  configure(rig, scenario);
  const std::vector<Header> headers = client_headers(scenario);
  const int program = bpf_program__fd(object->progs.gw_steer);
  const auto size = static_cast<uint32_t>(std::min<size_t>(scenario.size, sizeof(Header)));

  XdpCost c;
  std::vector<double> ns;
  std::vector<double> empty_ns;
  std::array<uint8_t, 256> out;
  size_t at = 0;
  const auto turn = [&](int which, bool counts) {
    for (unsigned i = 0; i < kTurn; ++i) {
      const int action = run(which, headers[(at + i) % headers.size()], size, out);
      if (counts && action != XDP_REDIRECT) ++c.lost;
    }
  };
  for (unsigned r = 0; r < runs; ++r) {
    const Spent before = spent(program);
    const Spent empty_before = spent(empty.get());
    for (unsigned n = 0; n < kPacketsPerRun; n += kTurn) {
      turn(empty.get(), false);
      turn(program, true);
      at = (at + kTurn) % headers.size();
    }
    ns.push_back(cost(before, spent(program)));
    empty_ns.push_back(cost(empty_before, spent(empty.get())));
    c.packets += kPacketsPerRun;
  }
  c.ns_per_packet = median(ns);
  c.ns_min = *std::ranges::min_element(ns);
  c.ns_max = *std::ranges::max_element(ns);
  c.empty_ns = median(empty_ns);
  return c;
}

}  // namespace guideway::bench
