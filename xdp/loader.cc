// Loads, attaches and adopts the steering program.
#include "xdp/loader.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <numeric>
#include <utility>
#include <vector>

#include "log/trouble.h"
#include "xdp/complaints.h"
#include "xdp/pins.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::xdp {
namespace {

// The program that the interface runs: id 0 for none.
struct Attached {
  uint32_t id = 0;
  Mode mode = Mode::kDriver;
};

absl::StatusOr<Attached> query(const std::string& ifname, int ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, found);
  if (const int error = bpf_xdp_query(ifindex, 0, &found); error != 0)
    return log::system_failure(-error, absl::StrCat("can't ask which XDP program ", ifname, " runs"));
  for (const uint32_t id : {found.drv_prog_id, found.hw_prog_id, found.prog_id})
    if (id != 0 && id != found.skb_prog_id) return Attached{id, Mode::kDriver};
  return Attached{found.skb_prog_id, Mode::kGeneric};
}

std::string program_name(uint32_t id) {
  const Fd program{bpf_prog_get_fd_by_id(id)};
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return "unknown";
  return info.name;
}

absl::Status foreign(const std::string& ifname, const Attached& a) {
  const std::string name = program_name(a.id);
  // Of a link, as an engine's is, `ip` doesn't take it away; and of a generic one only if told that it is one.
  const std::string remedy =
      name == "gw_steer"
          ? "stop the engine that did, then `guideway-engine detach --bpffs DIR` with the one that it had"
          : absl::StrCat("stop its owner, or detach it with `ip link set dev ", ifname,
                         a.mode == Mode::kGeneric ? " xdpgeneric" : " xdp", " off`");
  return log::failure(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat(ifname, " already runs XDP program ", a.id, " (", name, "), which this engine didn't attach"),
      remedy);
}

constexpr const char* kClear = "remove it or choose another --bpffs";
constexpr const char* kRestart = "free some memory, then restart guideway-engine";

absl::StatusOr<LinkTarget> target_of(int link, const std::filesystem::path& path) {
  bpf_link_info info{};
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &length) != 0 || info.type != BPF_LINK_TYPE_XDP)
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat(path.string(), " isn't the link of an XDP program"), kClear);
  return LinkTarget{info.xdp.ifindex, info.prog_id};
}

constexpr size_t kHeartbeats = GW_MAX_QUEUES * sizeof(gw_heartbeat);

// The kernel says more only over netlink; these two are veth's.
std::string refusal(int error) {
  const std::string said = std::strerror(error);
  if (error == ENOSPC) return said + ": fewer receive queues than the peer of a veth has for sending";
  if (error == ERANGE) return said + ": the MTU, or that of the peer of a veth, is too large for it";
  return said;
}

}  // namespace

std::string_view to_string(Mode mode) { return mode == Mode::kDriver ? "driver" : "generic"; }

bool is_of_gone_interface(const std::filesystem::path& pins) {
  const Fd link{bpf_obj_get((pins / "link").c_str())};
  if (!link) return false;
  const auto target = target_of(link.get(), pins);
  return target.ok() && target->ifindex == 0;
}

Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

int Program::program_fd() const { return bpf_program__fd(program_->progs.gw_steer); }

absl::StatusOr<Program> Program::load(const std::string& ifname, const std::filesystem::path& directory,
                                      const KernelTables& tables) {
  const std::filesystem::path bpffs = directory.has_filename() ? directory : directory.parent_path();
  keep_complaints();
  const int ifindex = static_cast<int>(if_nametoindex(ifname.c_str()));
  if (ifindex == 0)
    return log::failure(absl::StatusCode::kNotFound, absl::StrCat("there is no interface ", ifname), "see `ip link`");
  if (absl::Status s = can_pin_in(bpffs); !s.ok()) return s;
  Program program{ifname, bpffs, ifindex};
  if (absl::Status s = program.find_earlier(); !s.ok()) return s;
  if (absl::Status s = program.load(tables); !s.ok()) return s;
  return program;
}

// Had it another name when its program was pinned, the pins get its name of today.
void Program::rename_pins(uint32_t program) const {
  std::error_code error;
  const std::filesystem::path pins = pins_of(bpffs_, ifname_);
  if (program == 0 || std::filesystem::exists(pins, error)) return;
  for (const auto& entry : std::filesystem::directory_iterator(bpffs_, error)) {
    const Fd link{bpf_obj_get((entry.path() / "link").c_str())};
    if (!link) continue;
    const auto target = target_of(link.get(), entry.path());
    if (!target.ok() || target->ifindex != static_cast<uint32_t>(ifindex_) || target->program != program) continue;
    return std::filesystem::rename(entry.path(), pins, error);
  }
}

// Whose program the interface runs: none, an earlier engine's, which is adopted, or one that isn't ours.
absl::Status Program::find_earlier() {
  const absl::StatusOr<Attached> attached = query(ifname_, ifindex_);
  if (!attached.ok()) return attached.status();
  rename_pins(attached->id);
  const std::filesystem::path path = pins_of(bpffs_, ifname_) / "link";
  Fd pinned{bpf_obj_get(path.c_str())};
  if (!pinned && (errno == EPERM || errno == EACCES)) return load_error(errno, absl::StrCat("opening ", path.string()));
  LinkTarget target;
  if (pinned) {
    const auto found = target_of(pinned.get(), path);
    if (!found.ok()) return found.status();
    target = *found;
  }
  if (target.ifindex == 0) {  // nothing is pinned, or the interface that it was on is gone
    outlived_ = static_cast<bool>(pinned);
    return attached->id == 0 ? absl::OkStatus() : foreign(ifname_, *attached);
  }
  // Interface indices repeat between network namespaces, program ids don't.
  if (target.ifindex != static_cast<uint32_t>(ifindex_) || target.program != attached->id)
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat(path.string(), " is the link of an interface that isn't this ", ifname_,
                                     " (renamed, or of another network namespace)"),
                        kClear);
  link_ = std::move(pinned);
  mode_ = attached->mode;
  adopted_ = waits_ = true;
  return absl::OkStatus();
}

// With what an earlier engine has counted, if it left that.
absl::Status Program::load(const KernelTables& tables) {
  const std::string what = absl::StrCat("loading the XDP program for ", ifname_);
  object_.reset(steer_bpf__open());
  if (object_ == nullptr) return load_error(errno, what);
  if (absl::Status s = tables.lend(object_.get()); !s.ok()) return s;
  if (!outlived_)
    if (absl::Status s = reuse_own_maps(); !s.ok()) return s;
  bpf_program__set_autoload(object_->progs.gw_steer, false);
  if (const int error = steer_bpf__load(object_.get()); error != 0) return load_error(-error, what);
  void* const lines =
      mmap(nullptr, kHeartbeats, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(object_->maps.heartbeats), 0);
  if (lines == MAP_FAILED) return load_error(errno, what);
  heartbeats_.reset(static_cast<gw_heartbeat*>(lines));
  // The verifier takes its while for each.
  auto loading = std::async(std::launch::async, [this] { return Rehearsal::load(*object_); });
  auto program = load_program(*object_, false);
  auto rehearsal = loading.get();
  if (!program.ok()) return program.status();
  if (!rehearsal.ok()) return rehearsal.status();
  program_ = *std::move(program);
  rehearsal_ = *std::move(rehearsal);
  return absl::OkStatus();
}

absl::Status Program::reuse_own_maps() {
  for (bpf_map* map : {object_->maps.drops, object_->maps.counts, object_->maps.datagrams, object_->maps.begun})
    if (const auto pinned = reuse_pinned_map(map, pins_of(bpffs_, ifname_) / bpf_map__name(map)); !pinned.ok())
      return pinned.status();
    else if (*pinned == PinnedMap::kOther)
      left_out_.emplace_back(bpf_map__name(map));
  return absl::OkStatus();
}

void Program::Unmap::operator()(gw_heartbeat* lines) const { munmap(lines, kHeartbeats); }

uint64_t* Program::heartbeat(uint32_t queue) const {
  static_assert(sizeof(uint64_t) == sizeof heartbeats_->time);
  return reinterpret_cast<uint64_t*>(&heartbeats_.get()[queue].time);
}

absl::Status Program::attach() {
  if (adopted_) return absl::OkStatus();
  if (outlived_) remove_pins(bpffs_, ifname_);
  absl::Status s = link();
  if (s.ok()) s = pin_all();
  if (s.ok()) return s;
  link_.reset();
  remove_pins(bpffs_, ifname_);
  return s;
}

absl::Status Program::link() {
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
  link_ = Fd{bpf_link_create(program_fd(), ifindex_, BPF_XDP, &options)};
  if (!link_ && errno != EPERM) {
    driver_refusal_ = refusal(errno);
    mode_ = Mode::kGeneric;
    options.flags = XDP_FLAGS_SKB_MODE;
    link_ = Fd{bpf_link_create(program_fd(), ifindex_, BPF_XDP, &options)};
  }
  return link_ ? absl::OkStatus() : load_error(errno, absl::StrCat("attaching the XDP program to ", ifname_));
}

// The link comes last: pinned maps without it are only leftovers, and are replaced.
absl::Status Program::pin_all() const {
  for (const std::filesystem::path& directory : {bpffs_, pins_of(bpffs_, ifname_)})
    if (absl::Status s = make_bpf_directory(directory); !s.ok()) return s;
  if (absl::Status s = pin_maps(); !s.ok()) return s;
  return pin(link_.get(), pins_of(bpffs_, ifname_) / "link");
}

absl::Status Program::take_over() {
  if (!waits_) return absl::OkStatus();
  if (bpf_link_update(link_.get(), program_fd(), nullptr) != 0)
    return load_error(errno, absl::StrCat("replacing the XDP program of ", ifname_));
  if (absl::Status s = pin_maps(); !s.ok()) return s;
  waits_ = false;
  return absl::OkStatus();
}

absl::Status Program::pin_maps() const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_->obj) {
    if (bpf_map__is_internal(map)) continue;
    if (absl::Status s = pin(bpf_map__fd(map), pins_of(bpffs_, ifname_) / bpf_map__name(map)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Program::set_socket(uint32_t queue, int socket) {
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.sockets), &queue, &socket, BPF_ANY) == 0) return absl::OkStatus();
  return log::system_failure(errno, absl::StrCat("can't steer queue ", queue, " of ", ifname_, " to its socket"),
                             kRestart);
}

absl::Status Program::set_port(const gw_port& port) {
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.ports), &zero, &port, BPF_ANY) == 0) return absl::OkStatus();
  return log::system_failure(errno, absl::StrCat("can't tell the XDP program what ", ifname_, " is"), kRestart);
}

absl::StatusOr<Verdict> Program::ask(std::span<const uint8_t> packet, uint32_t queue) const {
  return rehearsal_->ask(packet, {static_cast<uint32_t>(ifindex_), queue});
}

namespace {

absl::StatusOr<uint64_t> summed(const bpf_map* map, uint32_t index) {
  std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(bpf_map__fd(map), &index, of_cpu.data()) != 0)
    return map_error(errno, "read", bpf_map__name(map));
  return std::accumulate(of_cpu.begin(), of_cpu.end(), uint64_t{0});
}

}  // namespace

absl::StatusOr<DropCounters> Program::drops() const {
  DropCounters sums{};
  for (uint32_t reason = 0; reason < sums.size(); ++reason) {
    const auto sum = summed(object_->maps.drops, reason);
    if (!sum.ok()) return sum.status();
    sums[reason] = *sum;
  }
  return sums;
}

absl::StatusOr<uint64_t> Program::balanced() const { return summed(object_->maps.counts, GW_COUNT_BALANCED); }

absl::Status take_begun(int map, const VisitBegun& visit) {
  constexpr uint32_t kAtOnce = 4096;
  std::vector<gw_flow_key> keys(kAtOnce);
  std::vector<gw_begun> values(kAtOnce);
  uint32_t at = 0;
  bool more = true;
  for (bool first = true; more; first = false) {
    uint32_t count = kAtOnce;
    const int error =
        bpf_map_lookup_and_delete_batch(map, first ? nullptr : &at, &at, keys.data(), values.data(), &count, nullptr);
    if (error != 0 && errno != ENOENT) return map_error(errno, "read", "begun");
    more = error == 0;
    for (uint32_t i = 0; i < count; ++i) visit(keys[i], values[i]);
  }
  return absl::OkStatus();
}

absl::Status Program::take_begun(const VisitBegun& visit) {
  const auto balanced = this->balanced();  // before the map: what comes meanwhile has the next call look again
  if (!balanced.ok()) return balanced.status();
  if (*balanced == balanced_taken_) return absl::OkStatus();
  if (absl::Status s = xdp::take_begun(bpf_map__fd(object_->maps.begun), visit); !s.ok()) return s;
  balanced_taken_ = *balanced;
  return absl::OkStatus();
}

absl::StatusOr<int> Program::detach_all(const std::filesystem::path& bpffs) {
  if (!is_bpf_file_system(bpffs))
    return log::failure(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat(bpffs.string(), " isn't on a BPF file system"), "name the engine's --bpffs");
  std::vector<std::filesystem::path> ours;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(bpffs, error))
    if (std::filesystem::exists(entry.path() / "link", error)) ours.push_back(entry.path());
  for (const std::filesystem::path& pins : ours) {
    const Fd link{bpf_obj_get((pins / "link").c_str())};
    if (!link) return load_error(errno, absl::StrCat("opening ", (pins / "link").string()));
    if (const auto target = target_of(link.get(), pins / "link"); !target.ok()) return target.status();
    if (bpf_link_detach(link.get()) != 0 && errno != ENOLINK)
      return log::system_failure(errno, absl::StrCat("can't detach the XDP program of ", pins.filename().string()),
                                 absl::StrCat("take it away: rm -r ", pins.string()));
    std::filesystem::remove_all(pins, error);
  }
  rmdir(bpffs.c_str());  // fails, as it should, where it is the mount itself
  return static_cast<int>(ours.size());
}

absl::Status Program::detach() {
  const int error = bpf_link_detach(link_.get()) == 0 ? 0 : errno;
  link_.reset();
  remove_pins(bpffs_, ifname_);
  if (error == 0 || error == ENOLINK) return absl::OkStatus();
  return log::system_failure(error, absl::StrCat("can't detach the XDP program of ", ifname_),
                             "its pins are gone, so it ends with the engine: see `ip link`");
}

}  // namespace guideway::xdp
