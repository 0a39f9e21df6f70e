#include "dataplane/control/begun.h"

#include <netinet/in.h>

#include <bit>
#include <set>
#include <utility>

#include "dataplane/path/clock.h"

namespace guideway::control {

namespace {

constexpr size_t kMost = GW_MAX_BEGUN;  // a flood of SYNs, while no worker is there, gets no more memory than that

path::VipKey vip_of(const net::FlowKey6& connection) {
  return {connection.destination, connection.destination_port, static_cast<uint8_t>(connection.protocol)};
}

}  // namespace

void Begun::take_in() {
  // Before there is a state they would belong nowhere.
  if (publisher_.services().empty()) return;
  const std::chrono::seconds now{path::seconds_since_boot()};
  while (!ends_.empty() && ends_.begin()->first.first <= now) forget(flows_.find(ends_.begin()->second));
  const path::IdleTimeouts& idle = publisher_.idle_timeouts();
  source_([&](const gw_flow_key& key, const gw_begun& begun) {
    const auto connection = std::bit_cast<net::FlowKey6>(key);
    const auto real = std::bit_cast<net::IpAddress>(begun.real);
    const auto found = publisher_.find_real(vip_of(connection), real);
    if (!found) return;
    const bool udp = connection.protocol == IPPROTO_UDP;
    // The kernel doesn't tell whether the client has answered.
    const auto state = udp ? path::ConnectionState::kUdp : path::ConnectionState::kEstablished;
    if (const auto known = flows_.find(connection); known != flows_.end())
      forget(known);
    else if (flows_.size() >= kMost)
      forget(flows_.find(ends_.begin()->second));
    const auto until = now + std::chrono::seconds(idle[static_cast<size_t>(state)]);
    flows_[connection] = {found->first, found->second, until, udp, ++begun_};
    ends_.insert({{until, begun_}, connection});
    if (!udp) untold_.insert(connection);
    publisher_.exceptions().amend(connection, found->second);
  });
}

void Begun::forget(Flows::iterator flow) {
  ends_.erase({flow->second.until, flow->second.number});
  untold_.erase(flow->first);
  flows_.erase(flow);
}

void Begun::hold(const Batch& batch) {
  take_in();
  if (flows_.empty()) return;
  const bool all = batch.full || batch.gateway;
  std::set<path::VipKey> vips;
  for (const ServiceSpec& s : batch.services) vips.insert(s.vip);
  for (const auto& [connection, flow] : flows_) {
    path::VipKey vip = vip_of(connection);
    bool held = all || vips.contains(vip);
    vip.port = path::kAnyPort;
    held = held || vips.contains(vip);
    if (held) publisher_.exceptions().put(connection, flow.real);
  }
}

bool Begun::learnt(const net::FlowKey6& connection, path::RealIndex real) {
  if (flows_.empty()) return true;
  const auto flow = flows_.find(connection);
  if (flow == flows_.end()) return true;
  if (!flow->second.told) return flow->second.real == real;
  forget(flow);
  return true;
}

std::vector<path::KernelsFlow> Begun::take_untold() {
  std::vector<path::KernelsFlow> flows;
  for (const net::FlowKey6& connection : std::exchange(untold_, {}))
    flows.push_back({connection, flows_.at(connection).real});
  return flows;
}

// What has begun anew meanwhile may have another real.
void Begun::told(const std::vector<path::KernelsFlow>& flows) {
  for (const path::KernelsFlow& f : flows)
    if (const auto flow = flows_.find(f.connection); flow != flows_.end() && flow->second.real == f.real)
      flow->second.told = true;
}

void Begun::for_each(const std::function<void(const net::FlowKey6&, const Flow&)>& visit) const {
  for (const auto& [connection, flow] : flows_) visit(connection, flow);
}

}  // namespace guideway::control
