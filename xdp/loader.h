// The steering program on one interface: attached by a link that is pinned, with its maps, on a BPF file system of
// ours, so that it outlives the engine; a new engine takes it over in place. Never replaces a program that isn't ours.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/drop_reason.h"
#include "xdp/fd.h"
#include "xdp/shared.h"
#include "xdp/steering_map.h"

struct steer_bpf;

namespace guideway::xdp {

enum class Mode { kDriver, kGeneric };
std::string_view to_string(Mode mode);

// The interface and program of a link. Interface 0: it is gone.
struct LinkTarget {
  uint32_t ifindex = 0;
  uint32_t program = 0;
};

// Whose a packet is.
enum class Verdict { kEngine, kHost };

using AddressEntry = MapEntry<gw_address, gw_address_value>;
using DropCounters = std::array<uint64_t, GW_DROP_COUNT>;

// Not for several threads at once. Destroying it leaves the program attached and everything pinned: a stop that is
// meant calls detach().
class Program {
 public:
  // Loads the program and attaches it: in driver mode if the driver takes it, else in generic mode. One that an earlier
  // engine left in `directory` is updated in place, with what its maps hold. The errors name the remedy.
  static absl::StatusOr<Program> attach(const std::string& ifname, const std::filesystem::path& directory);

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  Mode mode() const { return mode_; }
  // Why driver mode was refused; empty if it wasn't, or if the program was adopted.
  const std::string& driver_refusal() const { return driver_refusal_; }
  // An earlier engine had left it.
  bool adopted() const { return adopted_; }
  int program_fd() const;

  // Packets of the receive queue go to this AF_XDP socket. A socket that closes leaves the map by itself.
  absl::Status set_socket(uint32_t queue, int socket);

  // What is steered from now on, whole. Writes only what differs; after an error everything is as it was.
  absl::Status publish_steering(std::span<const gw_vip_key> vips, std::span<const AddressEntry> addresses);

  // What becomes of a packet that comes in by the first queue: the kernel runs the program over a copy of it. Not for
  // fragments, of which the program would remember something.
  absl::StatusOr<Verdict> ask(std::span<const uint8_t> packet) const;

  // Summed over the CPUs, by gw_drop_reason. Counted on through adoptions.
  absl::StatusOr<DropCounters> drops() const;

  // Takes program, link and pins away.
  absl::Status detach();

 private:
  struct Unload {
    void operator()(steer_bpf* object) const;
  };
  using Object = std::unique_ptr<steer_bpf, Unload>;

  Program(std::string ifname, std::filesystem::path bpffs) : ifname_(std::move(ifname)), bpffs_(std::move(bpffs)) {}
  absl::Status load(bool reuse_maps);
  absl::Status attach_new(int ifindex);
  absl::Status attach_or_adopt(int ifindex);
  absl::Status adopt(int ifindex, const LinkTarget& target);
  absl::Status pin_maps() const;
  void know_maps();

  std::string ifname_;
  std::filesystem::path bpffs_;
  Object object_;
  Fd link_;
  Mode mode_ = Mode::kDriver;
  bool adopted_ = false;
  std::string driver_refusal_;
  SteeringMap<gw_vip_key, uint32_t> vips_;
  SteeringMap<gw_address, gw_address_value> addresses_;
};

}  // namespace guideway::xdp
