// What stands in a gateway's way, out of what the host, the daemon and the engine say. Pure.
#pragma once

#include <string>
#include <vector>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/cli/host.h"
#include "mgmt/cli/style.h"

namespace guideway::mgmt {

struct Finding {
  enum class Severity : uint8_t {
    kFine,
    kHint,     // it works, and would work better
    kProblem,  // something doesn't work, or won't under load
  };
  Severity severity = Severity::kFine;
  std::string subject;  // "hugepages", "port eth0"
  std::string text;     // what is so, in a sentence
  std::string remedy;   // a command for the shell; a sentence where there is none; empty if it is fine
};

// The addresses of backends that packets are put into an outer header for: their way out is a fact to look for.
std::vector<net::IpAddress> encapsulated(const v1::ListServicesResponse& services,
                                         const v1::ListBackendsResponse& backends);

// `trouble`: what Client::explain() says where the daemon doesn't answer; then the messages are empty. `guideway`:
// this program as it was called, for a shell.
std::vector<Finding> examine(const HostFacts& host, const v1::GetStatusResponse& status,
                             const v1::ListServicesResponse& services, const v1::ListBackendsResponse& backends,
                             const std::string& trouble, const std::string& guideway);

// One line a finding and one its remedy, problems first; what is fine at the end.
std::string show(const std::vector<Finding>& findings, const Style& style);
std::string to_json(const std::vector<Finding>& findings);

}  // namespace guideway::mgmt
