// Who may call what over TCP: a client certificate's organizations (O) give its holder roles, and the API's own
// description says which role a method asks for. Pure. On the Unix socket the file's permissions decide alone.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {

// Organizations, as Kubernetes has groups in them.
struct Roles {
  std::vector<std::string> operators = {"guideway:operators"};  // call everything
  std::vector<std::string> viewers = {"guideway:viewers"};      // call what has no side effects
};

// Of a certificate, fit for the log, a status and a terminal: a stranger chooses what stands there.
std::string shown(std::string_view name);

// `method`: "/guideway.v1.Appliance/GetStatus". PermissionDenied or Unauthenticated with a sentence otherwise. A method
// asks for an operator unless appliance.proto says that it has no side effects; health and reflection for none.
bool only_reads(std::string_view method);
// One that is described here: guideway.v1's and reflection's.
bool is_ours(std::string_view method);
// Those of health and reflection.
bool for_anybody(std::string_view method);
// `objection`: why the caller's certificate doesn't count, if it doesn't.
absl::Status may_call(const Roles& roles, const Subject& caller, const std::string& objection, std::string_view method);

}  // namespace guideway::mgmt
