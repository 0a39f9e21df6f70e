#include "xdp/kernel_features.h"

#include <absl/strings/str_cat.h>
#include <bpf/libbpf.h>

#include <array>

#include "xdp/fd.h"

namespace guideway::xdp {

namespace {

constexpr std::array<Helper, 7> kHelpers{{{BPF_FUNC_map_update_elem, "bpf_map_update_elem", "3.19"},
                                          {BPF_FUNC_redirect, "bpf_redirect", "4.8"},
                                          {BPF_FUNC_redirect_map, "bpf_redirect_map", "4.14"},
                                          {BPF_FUNC_xdp_adjust_head, "bpf_xdp_adjust_head", "4.10"},
                                          {BPF_FUNC_xdp_adjust_tail, "bpf_xdp_adjust_tail", "4.18"},
                                          {BPF_FUNC_ktime_get_ns, "bpf_ktime_get_ns", "4.1"},
                                          {BPF_FUNC_ktime_get_coarse_ns, "bpf_ktime_get_coarse_ns", "5.11"}}};

struct MapType {
  bpf_map_type type;
  const char* text;
};
constexpr std::array<MapType, 3> kMapTypes{{{BPF_MAP_TYPE_XSKMAP, "AF_XDP sockets (CONFIG_XDP_SOCKETS, Linux 4.18)"},
                                            {BPF_MAP_TYPE_ARRAY_OF_MAPS, "BPF arrays of maps (Linux 4.12)"},
                                            {BPF_MAP_TYPE_LRU_HASH, "BPF LRU hashes (Linux 4.10)"}}};

// r0 is compared with, and r1 put into, eight bytes of the stack.
bool has_compare_and_exchange() {
  constexpr std::array<bpf_insn, 6> kProgram{
      {{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = 0, .off = -8, .imm = 0},
       {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
       {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .src_reg = 0, .off = 0, .imm = 1},
       {.code = BPF_STX | BPF_ATOMIC | BPF_DW,
        .dst_reg = BPF_REG_10,
        .src_reg = BPF_REG_1,
        .off = -8,
        .imm = BPF_CMPXCHG},
       {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
       {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}}};
  return bool{Fd{bpf_prog_load(BPF_PROG_TYPE_XDP, "atomic", "GPL", kProgram.data(), kProgram.size(), nullptr)}};
}

}  // namespace

std::string missing_helper(std::span<const Helper> helpers) {
  for (const Helper& h : helpers)
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, h.id, nullptr) == 0)
      return absl::StrCat("the BPF helper ", h.name, " (Linux ", h.since, ")");
  return {};
}

std::string missing_feature() {
  for (const MapType& m : kMapTypes)
    if (libbpf_probe_bpf_map_type(m.type, nullptr) == 0) return m.text;
  if (std::string helper = missing_helper(kHelpers); !helper.empty()) return helper;
  if (!has_compare_and_exchange()) return "BPF's compare-and-exchange (Linux 5.12)";
  return {};
}

}  // namespace guideway::xdp
