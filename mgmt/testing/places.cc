#include "mgmt/testing/places.h"

namespace guideway::mgmt {
namespace {

void forget(Service& s) {
  for (Vip& v : s.vips) v = {v.address};
  for (ServicePort& p : s.ports) p.line = p.index = 0;
}

void forget(EndpointSlice& s) {
  for (SlicePort& p : s.ports) p.line = p.index = 0;
}

void forget(GatewayConfig&) {}  // its limits alone have places, which Object::limited tells

void forget(SourceFilter& f) {
  if (f.rate) f.rate->line = 0;
}

}  // namespace

Object without_places(Object object) {
  object.place = {};
  object.limited.clear();
  std::visit([](auto& body) { forget(body); }, object.body);
  return object;
}

std::optional<ForwardingMode> named_mode(const Object& object) {
  const auto* s = std::get_if<Service>(&object.body);
  switch (s != nullptr ? s->mode : ModeWish::kDefault) {
    case ModeWish::kDefault:
    case ModeWish::kDefaultDsr:
      return std::nullopt;
    case ModeWish::kDsrL2:
      return ForwardingMode::kDsrL2;
    case ModeWish::kDsrIpip:
      return ForwardingMode::kDsrIpip;
    case ModeWish::kDsrGue:
      return ForwardingMode::kDsrGue;
    case ModeWish::kNat:
    case ModeWish::kCiliumSnat:
      return ForwardingMode::kNat;
  }
  return std::nullopt;
}

}  // namespace guideway::mgmt
