#include "xdp/rehearsal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "log/trouble.h"
#include "xdp/complaints.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::xdp {

absl::StatusOr<Object> load_program(const steer_bpf& maps, bool rehearses) {
  constexpr const char* kWhat = "loading the XDP program";
  Object program(steer_bpf__open());
  if (program == nullptr) return load_error(errno, kWhat);
  program->rodata->rehearses = rehearses ? 1 : 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, program->obj) {
    if (bpf_map__is_internal(map)) continue;  // its constants
    const bpf_map* same = bpf_object__find_map_by_name(maps.obj, bpf_map__name(map));
    if (const int error = bpf_map__reuse_fd(map, bpf_map__fd(same)); error != 0) return load_error(-error, kWhat);
  }
  if (const int error = steer_bpf__load(program.get()); error != 0) return program_error(-error, kWhat);
  return program;
}

absl::StatusOr<Rehearsal> Rehearsal::load(const steer_bpf& maps) {
  auto twin = load_program(maps, true);
  if (!twin.ok()) return twin.status();
  return Rehearsal(*std::move(twin));
}

absl::StatusOr<Verdict> Rehearsal::ask(std::span<const uint8_t> packet, ReceiveQueue from) const {
  constexpr size_t kMost = 3'072;  // the kernel takes no more than a page with its own room
  LIBBPF_OPTS(bpf_test_run_opts, run);
  xdp_md in{};
  in.data_end = static_cast<uint32_t>(std::min(packet.size(), kMost));
  in.ingress_ifindex = from.ifindex;
  in.rx_queue_index = from.number;
  run.ctx_in = &in;
  run.ctx_size_in = sizeof in;
  run.data_in = packet.data();
  run.data_size_in = in.data_end;
  run.repeat = 1;
  if (bpf_prog_test_run_opts(bpf_program__fd(twin_->progs.gw_steer), &run) != 0)
    return log::system_failure(errno, "can't ask the XDP program");
  if (run.retval == XDP_PASS) return Verdict{Verdict::kHost};
  const uint32_t reason = run.retval >> GW_REHEARSED_REASON;
  const bool cut_here = reason == GW_DROP_TRUNCATED && packet.size() > kMost;
  if (reason == GW_DROP_NONE || cut_here) return Verdict{Verdict::kEngine};
  return Verdict{Verdict::kDropped, static_cast<net::DropReason>(reason)};
}

}  // namespace guideway::xdp
