// Follows the kernel's routes and neighbours over rtnetlink, and has it keep resolved the neighbours that the engine
// uses. Belongs to one control thread, which polls fd().
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <libmnl/libmnl.h>

#include <map>
#include <memory>
#include <vector>

#include "dataplane/control/routing/decode.h"
#include "dataplane/control/routing/rib.h"

namespace guideway::control {

class KernelRoutes {
 public:
  struct Options {
    int receive_buffer = 8 << 20;  // bytes of notifications that the kernel may hold for us; more cost a new dump
    bool managed = true;           // NTF_EXT_MANAGED; false asks as kernels before 5.16 must be asked
  };

  // Subscribes, then reads everything: the links, addresses, routes and neighbours of this thread's network namespace.
  static absl::StatusOr<std::unique_ptr<KernelRoutes>> open(const Options& options);

  int fd() const { return mnl_socket_get_fd(notifications_.get()); }
  // Takes in what has been told since, without waiting, at most a few thousand messages at a time: poll(2) finds
  // the rest. Once all is read, dumps everything anew (which waits for the kernel: some 100 ms for
  // 100,000 routes) after an overrun, and where the kernel drops routes in silence.
  absl::Status read();
  // To be called about once a second: dumps if that is still to be done, and asks again for what the kernel doesn't
  // keep resolved by itself. As after read(), there may be changes.
  absl::Status tick();

  const Rib& rib() const { return rib_; }
  Changes take_changes() { return rib_.take_changes(); }

  // Has the kernel resolve the address on the link and keep it so until release() was called as many times. The wish
  // stands whatever the answer: tick() repeats it. Nothing is asked for on links without neighbours (point-to-point,
  // NOARP), while the link is down, or for permanent entries (which asking would make mortal).
  absl::Status keep_resolved(int ifindex, const net::IpAddress& address);
  void release(int ifindex, const net::IpAddress& address);

  uint64_t dumps() const { return dumps_; }  // since open(), the first one included

 private:
  struct Closer {
    void operator()(mnl_socket* s) const { mnl_socket_close(s); }
  };
  using Socket = std::unique_ptr<mnl_socket, Closer>;

  KernelRoutes(const Options& options, Socket notifications, Socket requests);
  static absl::StatusOr<Socket> open_socket(int flags);

  bool needs_dump() const { return lost_ || rib_.stale(); }
  absl::Status resync();
  absl::Status dump(uint16_t type, uint8_t family, Rib& into, bool& interrupted);
  absl::Status receive_answer(Decoded& out);
  bool apply(const Decoded& decoded);
  absl::Status ask(const NeighborKey& key, bool keep);
  bool worth_asking(const NeighborKey& key) const;
  absl::Status ask_for_missing();

  Options options_;
  Socket notifications_;
  Socket requests_;
  std::vector<std::byte> buffer_;
  uint32_t sequence_ = 0;
  Rib rib_;
  bool lost_ = false;  // notifications were lost: only a dump helps
  uint64_t dumps_ = 0;
  std::map<NeighborKey, uint32_t> kept_;  // → how many want it
};

}  // namespace guideway::control
