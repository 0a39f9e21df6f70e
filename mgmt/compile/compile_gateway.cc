// The compiler's part for GatewayConfig: which one is in force, and its message.

#include "dataplane/engine.pb.h"
#include "mgmt/compile/compiler.h"
#include "mgmt/engine_link/frame.h"
#include "net/flow_hash.h"

namespace guideway::mgmt {
namespace {

std::string message(const GatewayConfig& written, const std::optional<SourceRate>& rate) {
  const GatewayConfig g = with_defaults(written);
  engine::Envelope envelope;
  engine::Gateway& m = *envelope.mutable_gateway();
  for (const Snat& s : g.snat) {
    engine::SnatAddress& a = *m.add_snat();
    a.set_address(net::bytes_of(s.address));
    a.set_port_min(s.port_min);
    a.set_port_max(s.port_max);
    a.set_dedicated(s.dedicated);
    a.set_announce(s.announce);
  }
  if (g.encap_ipv4) {
    m.set_encap_source_ipv4(net::bytes_of(g.encap_ipv4->address));
    m.set_encap_prefix_ipv4(g.encap_ipv4->length);
  }
  if (g.encap_ipv6) {
    m.set_encap_source_ipv6(net::bytes_of(g.encap_ipv6->address));
    m.set_encap_prefix_ipv6(g.encap_ipv6->length);
  }
  m.set_hash_seed(*g.seed);
  engine::IdleTimeouts& idle = *m.mutable_idle_timeouts();
  idle.set_established(g.idle.established);
  idle.set_setup(g.idle.setup);
  idle.set_closing(g.idle.closing);
  idle.set_udp(g.idle.udp);
  m.set_new_flow_rate(g.new_flow_rate);
  m.set_icmp_rate(g.icmp_rate);
  if (rate) {
    engine::SourceRate& r = *m.mutable_source_rate();
    r.set_packets_per_second(rate->packets_per_second);
    r.set_burst(rate->burst);
    r.set_ipv4_length(rate->ipv4_length);
    r.set_ipv6_length(rate->ipv6_length);
  }
  return frame_of(envelope);
}

}  // namespace

// FNV-1a, then the flow hash's own finaliser.
uint64_t seed_of_group(std::string_view group) {
  uint64_t h = 0xcbf29ce484222325U;
  for (const char c : group) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3U;
  return gw_mix(h);
}

// The numbers are the engine's for what a message leaves out, and configs/gateway.yaml's.
GatewayConfig with_defaults(GatewayConfig g) {
  const auto fill = [](uint32_t& value, uint32_t by_default) {
    if (value == 0) value = by_default;
  };
  if (!g.seed) g.seed = seed_of_group(g.group);
  fill(g.idle.established, 7'440);  // RFC 5382, REQ-5
  fill(g.idle.setup, 30);
  fill(g.idle.closing, 60);
  fill(g.idle.udp, 30);
  fill(g.new_flow_rate, 125'000);
  fill(g.icmp_rate, 1'000);
  return g;
}

Compiler::Compiler(Store& store) : store_(store), gateway_frame_(message(gateway_, source_rate_)) {}

bool Compiler::has_snat(bool v4) const {
  for (const Snat& s : gateway_.snat)
    if (s.address.is_v4() == v4) return true;
  return false;
}

// The oldest SourceFilter's that has one: true if that is another than before.
bool Compiler::update_source_rate() {
  filter_problems_.clear();
  std::set<Precedence> order;
  for (const ObjectKey& key : store_.keys(Kind::kSourceFilter)) order.insert(precedence(*store_.latest(key)));
  ObjectPtr chosen;
  for (const Precedence& p : order) {
    const ObjectPtr latest = store_.latest(p.key);
    const auto& rate = std::get<SourceFilter>(latest->body).rate;
    if (!rate) continue;
    if (chosen)
      filter_problems_.push_back(problem(*latest, rate->line, "spec.sourceRateLimit",
                                         "a gateway has one, and that of " + to_string(chosen->key) + " (" +
                                             store_.owner(chosen->key) + ") is in force: remove one of the two"));
    else
      chosen = latest;
  }
  source_rate_ = chosen ? std::get<SourceFilter>(chosen->body).rate : std::nullopt;
  const std::string before = std::exchange(gateway_frame_, message(gateway_, source_rate_));
  return before != gateway_frame_;
}

// The oldest is in force. True if it says something else than before.
bool Compiler::update_gateway() {
  gateway_problems_.clear();
  std::set<Precedence> order;
  for (const ObjectKey& key : store_.keys(Kind::kGatewayConfig)) order.insert(precedence(*store_.latest(key)));
  gateway_object_ = nullptr;
  for (const Precedence& p : order) {
    const ObjectPtr latest = store_.latest(p.key);
    if (gateway_object_) {
      gateway_problems_.push_back(problem(*latest, latest->place.line, "metadata.name",
                                          "a gateway has one GatewayConfig, and " + to_string(gateway_object_->key) +
                                              " (" + store_.owner(gateway_object_->key) +
                                              ") is in force: merge the two"));
      continue;
    }
    gateway_object_ = latest;
    accept(p.key, latest);
  }
  const GatewayConfig before =
      std::exchange(gateway_, gateway_object_ ? std::get<GatewayConfig>(gateway_object_->body) : GatewayConfig{});
  gateway_frame_ = message(gateway_, source_rate_);
  return !(before == gateway_);
}

}  // namespace guideway::mgmt
