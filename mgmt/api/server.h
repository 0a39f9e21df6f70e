// The gRPC server of guideway.v1. Owns no state: each call asks the daemon.
#pragma once

#include <absl/status/statusor.h>

#include <memory>

#include "mgmt/api/listen.h"
#include "mgmt/daemon.h"

namespace guideway::mgmt {

class ApiServer {
 public:
  // Before the daemon starts; it must outlive its loop's run.
  static absl::StatusOr<std::unique_ptr<ApiServer>> start(const ListenOptions& listen, Daemon& daemon);
  ~ApiServer();

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::mgmt
