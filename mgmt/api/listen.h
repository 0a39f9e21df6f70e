// Where the API is served: Unix sockets for root and a group, TCP only with mutual TLS.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/api/access.h"
#include "mgmt/api/local_listener.h"
#include "mgmt/api/tls_credentials.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {

// "ADDRESS:PORT", an IPv6 address in brackets: numbers, not names, for an address has one socket, a name may have
// several.
bool is_address_and_port(std::string_view text);

struct ListenOptions {
  // "unix:PATH", "tcp:ADDRESS:PORT" or "ADDRESS:PORT"; an IPv6 address in brackets, port 0 for a free one.
  std::vector<std::string> at = {"unix:/run/guideway/guideway.sock"};
  TlsFiles tls;  // for TCP
  Roles roles;   // of callers over TCP; those of a Unix socket are operators
};

class Listeners {
 public:
  // InvalidArgument: the options are wrong.
  static absl::StatusOr<Listeners> prepare(const ListenOptions& options);

  // Of calls over any of them, as tls_credentials() has it.
  Judge judge() const;

  // The server that listens at all of them. It must outlive these.
  absl::StatusOr<std::unique_ptr<grpc::Server>> start(grpc::ServerBuilder& builder);

 private:
  struct Tcp {
    std::string address;  // with its port
    TlsCredentials tls;
    int port = 0;  // bound; 0: it couldn't be
  };
  std::vector<std::unique_ptr<LocalListener>> local_;
  std::vector<Tcp> tcp_;
};

}  // namespace guideway::mgmt
