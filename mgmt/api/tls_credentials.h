// gRPC's credentials for a server of mutual TLS: the one place where callers over TCP are let in or refused.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "mgmt/api/access.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {

// Asks every client for a certificate, and judges every call, before any method sees it, by whether `files.ca` vouches
// for that and by `roles`. For one listening address. The files are read again for each connection that comes, and for
// calls once a second: what changed is used from then on, and what is broken changes nothing and is said in the log.
// Fails if they are broken now.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> tls_credentials(const TlsFiles& files, const Roles& roles);

}  // namespace guideway::mgmt
