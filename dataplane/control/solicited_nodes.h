// The multicast groups to which neighbours send their solicitations for announced IPv6 addresses (RFC 4291, 2.7.1),
// joined on the ports' interfaces: so that a NIC that filters multicast takes them, and switches that snoop MLD send
// them here. XDP and the workers see to the rest; nothing is ever read from the sockets.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/address.h"
#include "xdp/fd.h"

namespace guideway::control {

class SolicitedNodes {
 public:
  explicit SolicitedNodes(std::vector<int> interfaces) : interfaces_(std::move(interfaces)) {}

  // Just the groups of these from now on; addresses may share one. What fails is tried again with the next call.
  void follow(const std::set<net::IpAddress>& announced);
  // Why some aren't joined; empty if all are.
  const std::string& trouble() const { return trouble_; }
  static constexpr const char* kRemedy = "see that IPv6 is on there, or raise LimitNOFILE";

 private:
  using Group = std::pair<int, net::IpAddress>;  // on an interface
  struct Socket {
    xdp::Fd fd;
    unsigned groups = 0;
  };
  int join(const Group& group);

  std::vector<int> interfaces_;
  std::vector<Socket> sockets_;
  std::map<Group, size_t> joined_;  // and by which socket
  std::string trouble_;
};

}  // namespace guideway::control
