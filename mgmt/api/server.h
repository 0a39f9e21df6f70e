// The gRPC server of guideway.v1 on a Unix socket. Owns no state: each call asks the daemon.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "mgmt/daemon.h"

namespace guideway::mgmt {

class ApiServer {
 public:
  // `listen`: "unix:/path". The socket is 0660, of group guideway if there is one. A socket that nobody serves any more
  // is replaced, another is refused.
  static absl::StatusOr<std::unique_ptr<ApiServer>> start(const std::string& listen, Daemon& daemon);
  ~ApiServer();

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::mgmt
