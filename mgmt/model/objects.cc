#include "mgmt/model/objects.h"

namespace guideway::mgmt {

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::kGatewayConfig:
      return "GatewayConfig";
    case Kind::kService:
      return "Service";
    case Kind::kEndpointSlice:
      return "EndpointSlice";
    case Kind::kSourceFilter:
      return "SourceFilter";
  }
  return "?";
}

std::string to_string(const ObjectKey& key) {
  std::string s = to_string(key.kind);
  s += ' ';
  if (!key.ns.empty()) s += key.ns + "/";
  return s + key.name;
}

const char* to_string(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kDsrL2:
      return "dsr-l2";
    case ForwardingMode::kDsrIpip:
      return "dsr-ipip";
    case ForwardingMode::kDsrGue:
      return "dsr-gue";
    case ForwardingMode::kNat:
      return "nat";
  }
  return "?";
}

std::optional<ForwardingMode> parse_forwarding_mode(std::string_view text) {
  for (const ForwardingMode m :
       {ForwardingMode::kDsrL2, ForwardingMode::kDsrIpip, ForwardingMode::kDsrGue, ForwardingMode::kNat})
    if (text == to_string(m)) return m;
  return std::nullopt;
}

const char* to_string(net::Protocol protocol) {
  switch (protocol) {
    case net::Protocol::kTcp:
      return "TCP";
    case net::Protocol::kUdp:
      return "UDP";
    case net::Protocol::kSctp:
      return "SCTP";
    default:
      return "?";
  }
}

ObjectPtr moved(const Object& object, uint32_t documents, uint32_t lines) {
  auto o = std::make_shared<Object>(object);
  o->place.document += documents;
  o->place.line += lines;
  for (auto& [field, at] : o->limited) at.line += lines;
  const auto move = [lines](auto& parts) {
    for (auto& p : parts) p.line += lines;
  };
  if (auto* service = std::get_if<Service>(&o->body)) {
    move(service->vips);
    move(service->ports);
  } else if (auto* slice = std::get_if<EndpointSlice>(&o->body)) {
    move(slice->ports);
  } else if (auto* filter = std::get_if<SourceFilter>(&o->body); filter != nullptr && filter->rate) {
    filter->rate->line += lines;
  }
  return o;
}

Precedence precedence(const Object& object) { return {object.created.empty(), object.created, object.key}; }

}  // namespace guideway::mgmt
