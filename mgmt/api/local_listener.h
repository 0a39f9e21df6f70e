// A Unix socket of the API. gRPC could listen there itself, but doesn't tell who connects: so we accept, and the kernel
// tells.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "mgmt/event_loop.h"

namespace guideway::mgmt {

class LocalListener {
 public:
  // Mode 0660, of group guideway if there is one. A socket that nobody serves any more is replaced, another is refused.
  static absl::StatusOr<std::unique_ptr<LocalListener>> listen(const std::string& path);
  // Stops accepting, and removes the socket if it is this one still.
  ~LocalListener();

  // Gives the server whatever connects from here on. It must outlive this.
  void serve(grpc::Server& server);

 private:
  LocalListener(std::string path, Fd socket, Fd end);
  void accept_all(grpc::Server& server);

  std::string path_;
  Fd socket_;
  Fd end_;  // an eventfd: readable, and the thread ends
  std::pair<dev_t, ino_t> place_;
  std::thread thread_;
};

// The process that made such a connection.
struct LocalCaller {
  uid_t uid = 0;
  pid_t pid = 0;
};
// `peer`: as gRPC names it. Nothing if it isn't such a connection, or is gone.
std::optional<LocalCaller> local_caller(const std::string& peer);
// "alice (uid 1000, pid 4242)".
std::string to_string(const LocalCaller& caller);

}  // namespace guideway::mgmt
