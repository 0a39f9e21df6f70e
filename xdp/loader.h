// The XDP program on one interface: attached by a link that is pinned, with its maps, on a BPF file system of ours, so
// that it outlives the engine and balances without one; a new engine replaces it in place. Never one that isn't ours.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/drop_reason.h"
#include "xdp/fd.h"
#include "xdp/kernel_tables.h"
#include "xdp/rehearsal.h"

namespace guideway::xdp {

enum class Mode { kDriver, kGeneric };
std::string_view to_string(Mode mode);

// The interface and program of a link. Interface 0: it is gone.
struct LinkTarget {
  uint32_t ifindex = 0;
  uint32_t program = 0;
};

// A connection that the kernel has begun, and its real.
using VisitBegun = std::function<void(const gw_flow_key&, const gw_begun&)>;
// Empties such a map.
absl::Status take_begun(int map, const VisitBegun& visit);

// Of an earlier engine's, whose program ended with the interface.
bool is_of_gone_interface(const std::filesystem::path& pins);

using DropCounters = std::array<uint64_t, GW_DROP_COUNT>;

// Not for several threads at once. Destroying it leaves the program attached and everything pinned: a stop that is
// meant calls detach().
class Program {
 public:
  // Loads the program, which reads `tables`. Changes nothing yet, so that those of several interfaces may be loaded at
  // the same time: the verifier takes its while. The errors name the remedy.
  static absl::StatusOr<Program> load(const std::string& ifname, const std::filesystem::path& directory,
                                      const KernelTables& tables);
  // In driver mode if the driver takes it, else in generic mode. Where an earlier engine left one in `directory`, that
  // one goes on until take_over(). After an error nothing is left.
  absl::Status attach();
  // Once the tables are as they are to be: in the place of the earlier engine's program, if there is one. Its counters
  // go on. After an error the next call tries again.
  absl::Status take_over();

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  Mode mode() const { return mode_; }
  // Why driver mode was refused; empty if it wasn't, or if the program was adopted.
  const std::string& driver_refusal() const { return driver_refusal_; }
  // What of an earlier engine can't be taken over, being of another version: the names of maps.
  const std::vector<std::string>& left_out() const { return left_out_; }
  // An earlier engine had left it.
  bool adopted() const { return adopted_; }
  int program_fd() const;

  // Packets of the receive queue go to this AF_XDP socket. A socket that closes leaves the map by itself.
  absl::Status set_socket(uint32_t queue, int socket);

  // As whom it answers who asks on the link.
  absl::Status set_port(const gw_port& port);

  // Where the receive queue's worker says that it is there: gw_heartbeat::time. As long as this.
  uint64_t* heartbeat(uint32_t queue) const;

  // What becomes of a packet that comes in by the queue. Changes nothing.
  absl::StatusOr<Verdict> ask(std::span<const uint8_t> packet, uint32_t queue) const;

  // Summed over the CPUs, by gw_drop_reason. Counted on through adoptions.
  absl::StatusOr<DropCounters> drops() const;
  // Packets that the kernel has balanced, likewise.
  absl::StatusOr<uint64_t> balanced() const;
  // The connections that it has begun, each of which is told once. By an earlier engine's program too. Cheap where the
  // kernel has balanced nothing since the last call.
  absl::Status take_begun(const VisitBegun& visit);

  // Takes program, link and pins away.
  absl::Status detach();
  // Likewise what engines that have ended left on any interface; gives how many programs. Nobody may hold them.
  static absl::StatusOr<int> detach_all(const std::filesystem::path& bpffs);

 private:
  Program(std::string ifname, std::filesystem::path bpffs, int ifindex)
      : ifname_(std::move(ifname)), bpffs_(std::move(bpffs)), ifindex_(ifindex) {}
  void rename_pins(uint32_t program) const;
  absl::Status find_earlier();
  absl::Status load(const KernelTables& tables);
  absl::Status reuse_own_maps();
  absl::Status link();
  absl::Status pin_all() const;
  absl::Status pin_maps() const;

  struct Unmap {
    void operator()(gw_heartbeat* lines) const;
  };
  std::string ifname_;
  std::filesystem::path bpffs_;
  int ifindex_;
  Object object_;  // the maps
  Object program_;
  std::optional<Rehearsal> rehearsal_;
  std::unique_ptr<gw_heartbeat, Unmap> heartbeats_;  // of GW_MAX_QUEUES
  Fd link_;
  Mode mode_ = Mode::kDriver;
  bool adopted_ = false;
  bool outlived_ = false;        // what is pinned has outlived its interface
  bool waits_ = false;           // for take_over()
  uint64_t balanced_taken_ = 0;  // balanced(), when begun connections were last taken
  std::string driver_refusal_;
  std::vector<std::string> left_out_;
};

}  // namespace guideway::xdp
