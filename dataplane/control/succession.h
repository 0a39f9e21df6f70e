// One engine takes the place of another: the newer comes up beside the older as far as it can, then the older stands
// down, and waits. While neither has sockets, the kernel balances.
//
//   newer                                                   older
//   connects                                           -->
//                                                      <--  Hello
//   comes up, but for sockets and tables
//   Attach{SUCCEED}                                    -->  stops its workers, closes its sockets, unlocks
//                                                      <--  StoodDown
//   locks, and binds its sockets
//   TakenOver                                          -->  ends
//   or it failed, and the connection closes            -->  locks, binds, and goes on
//   maps the tables: they have one writer at any time
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <optional>
#include <string>

#include "dataplane/engine.pb.h"
#include "xdp/fd.h"

namespace guideway::control {

// The older, as the newer sees it. Destroyed before taken_over(), the older goes on.
class Predecessor {
 public:
  // Nothing if no engine listens there. Each answer is waited for so long, here and below.
  static absl::StatusOr<std::optional<Predecessor>> find(const std::string& socket,
                                                         std::chrono::seconds patience = std::chrono::seconds(10));
  // Until it has stood down. FailedPrecondition: it can't, and why.
  absl::Status relieve();
  // It ends by this. If it has died meanwhile, nobody comes back either.
  void taken_over();

 private:
  explicit Predecessor(xdp::Fd fd) : fd_(std::move(fd)) {}
  absl::StatusOr<engine::Envelope> receive();
  xdp::Fd fd_;
  std::string in_;
};

// The newer, as the older sees it.
class Successor {
 public:
  explicit Successor(xdp::Fd fd) : fd_(std::move(fd)) {}
  void refuse(const std::string& why);
  // Once we have stood down: true when it has taken over, or if `signals` becomes readable; false if it is gone.
  bool takes_over(int signals);
  // Tells the service manager, if there is one, that this is the service's process from now on.
  void make_main_process() const;

 private:
  xdp::Fd fd_;
};

}  // namespace guideway::control
