// Brings up an interface as a port of the engine: the steering program on it, and an AF_XDP socket for each of its
// receive queues. Refuses, in one sentence and leaving nothing behind, what wouldn't carry traffic. In steps: the first
// takes longest, and several interfaces may take it at the same time; the last doesn't need the privileges that the
// engine gives up before it makes threads.
#pragma once

#include <absl/status/statusor.h>
#include <xdp/xsk.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/control/interface.h"
#include "dataplane/path/af_xdp_queue.h"
#include "xdp/loader.h"

namespace guideway::control {

struct AfXdpPortOptions {
  std::string ifname;
  std::optional<unsigned> queues;  // the interface is set to as many; without, it keeps what it has
  std::filesystem::path bpffs;     // where program and maps are pinned
  uint16_t mbuf_port = 0;          // rte_mbuf::port of what it receives
};

// Packets must fit into a frame with their Ethernet header and a VLAN tag.
inline constexpr unsigned kMaxMtu = path::kMaxPacket - 14 - 4;
// What a queue can hold of the pool at once (receiving and sending), beside what the workers hold.
inline constexpr size_t kFramesPerQueue = 2 * size_t{path::kAfXdpRingSize};

class AfXdpPort {
 public:
  struct Warning {
    std::string text;
    std::string remedy;
  };
  // The interface as it is to be, and its program: needs CAP_PERFMON besides CAP_NET_ADMIN and CAP_BPF.
  static absl::StatusOr<std::unique_ptr<AfXdpPort>> load(const AfXdpPortOptions& options,
                                                         const xdp::KernelTables& tables);
  // The program is on it from now on.
  absl::Status attach();
  // The memory must outlive the port, and the pool hold kFramesPerQueue for each queue. Once.
  absl::Status open_queues(const path::FrameMemory& memory);
  // Without a worker that polls. Handles stay good: reopened, they are of the new sockets.
  void close_queues();
  // By the name that the interface has now. One that is gone stays closed, which is no error: its handles carry
  // nothing.
  absl::Status reopen_queues();

  const Interface& interface() const { return interface_; }
  // Handles for the workers, by receive queue. The port must outlive them; no worker may poll them while it closes.
  std::vector<path::AfXdpQueue> queues();
  xdp::Program& program() { return program_; }
  bool zero_copy() const { return zero_copy_; }  // by every socket
  // What works, but not as well as it should: for the log.
  const std::vector<Warning>& warnings() const { return warnings_; }
  // The kernel's own counters of a queue's socket.
  absl::StatusOr<xdp_statistics> statistics(unsigned queue) const;
  // Packets steered here that found no room in their socket's rings, of all queues.
  uint64_t rx_full() const;

  // For a stop that is meant: takes the program away too. Otherwise it stays, and balances until the next engine takes
  // over.
  absl::Status detach() { return program_.detach(); }

 private:
  struct Reclaim {
    void operator()(path::AfXdpRings* rings) const;
  };
  struct CloseMemory {
    void operator()(xsk_umem* umem) const { xsk_umem__delete(umem); }
  };
  struct CloseSocket {
    void operator()(xsk_socket* socket) const { xsk_socket__delete(socket); }
  };
  // Closed from the last member on: only then may the frames go back.
  struct Queue {
    std::unique_ptr<path::AfXdpRings, Reclaim> rings;
    std::unique_ptr<xsk_umem, CloseMemory> umem;
    std::unique_ptr<xsk_socket, CloseSocket> socket;
  };

  AfXdpPort(Interface interface, xdp::Program program, uint16_t mbuf_port)
      : interface_(std::move(interface)), program_(std::move(program)), mbuf_port_(mbuf_port) {}
  absl::Status open_all(const path::FrameMemory& memory);
  std::optional<std::string> name_now() const;
  absl::Status open_queue(Queue& queue, unsigned index) const;
  static int bind(Queue& queue, const std::string& ifname, unsigned index);
  absl::Status steer();
  void warn();

  Interface interface_;
  xdp::Program program_;
  uint16_t mbuf_port_;
  std::vector<Queue> queues_;
  bool zero_copy_ = true;
  std::vector<Warning> warnings_;
};

}  // namespace guideway::control
