// The gRPC server of guideway.v1 on a Unix socket. Owns no state: each call reads a snapshot that the daemon takes.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "mgmt/snapshot.h"

namespace guideway::mgmt {

class ApiServer {
 public:
  // `listen`: "unix:/path". The socket is 0660, of group guideway if there is one. A socket that nobody serves any more
  // is replaced, another is refused.
  static absl::StatusOr<std::unique_ptr<ApiServer>> start(const std::string& listen, TakeSnapshot take,
                                                          TakeConnections list);
  ~ApiServer();

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::mgmt
