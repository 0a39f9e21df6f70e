// gRPC's credentials for a server of mutual TLS: the one place where callers over TCP are let in or refused.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <functional>
#include <memory>
#include <string_view>

#include "mgmt/api/access.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {

// May who makes this call make it, as the certificates are now? Callers without one (of Unix sockets) may.
using Judge = std::function<absl::Status(const grpc::ServerContextBase& call, std::string_view method)>;

struct TlsCredentials {
  std::shared_ptr<grpc::ServerCredentials> credentials;
  Judge judge;
};

// Asks every client for a certificate, and judges every call, before any method sees it, by whether `files.ca` vouches
// for that and by `roles`. For one listening address. The files are read again for each connection that comes, and for
// calls once a second: what changed is used from then on, and what is broken changes nothing and is said in the log.
// Fails if they are broken now.
absl::StatusOr<TlsCredentials> tls_credentials(const TlsFiles& files, const Roles& roles);

}  // namespace guideway::mgmt
