#include "dataplane/control/begun.h"

#include <netinet/in.h>

#include "dataplane/path/clock.h"
#include "xdp/shared.h"

namespace guideway::control {

namespace {

constexpr size_t kMost = GW_MAX_BEGUN;  // a flood of SYNs, while no worker is there, gets no more memory than that

}  // namespace

void Begun::take_in() {
  // Before there is a state they would belong nowhere.
  if (publisher_.services().empty()) return;
  const std::chrono::seconds now{path::seconds_since_boot()};
  std::erase_if(flows_, [&](const auto& flow) { return flow.second.until <= now; });
  const path::IdleTimeouts& idle = publisher_.idle_timeouts();
  source_([&](const net::FlowKey6& connection, const net::IpAddress& real) {
    if (flows_.size() >= kMost && !flows_.contains(connection)) return;
    const path::VipKey vip{connection.destination, connection.destination_port,
                           static_cast<uint8_t>(connection.protocol)};
    const auto found = publisher_.find_real(vip, real);
    if (!found) return;
    // The kernel doesn't tell whether the client has answered.
    const auto state =
        connection.protocol == IPPROTO_UDP ? path::ConnectionState::kUdp : path::ConnectionState::kEstablished;
    flows_[connection] = {found->first, found->second, now + std::chrono::seconds(idle[static_cast<size_t>(state)])};
  });
}

void Begun::hold() {
  take_in();
  for (const auto& [connection, flow] : flows_) publisher_.exceptions().put(connection, flow.real);
}

void Begun::learnt(const net::FlowKey6& connection) {
  if (!flows_.empty()) flows_.erase(connection);
}

void Begun::for_each(const std::function<void(const net::FlowKey6&, const Flow&)>& visit) const {
  for (const auto& [connection, flow] : flows_) visit(connection, flow);
}

}  // namespace guideway::control
