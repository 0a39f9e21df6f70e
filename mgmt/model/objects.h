// The objects that the operator writes, decoded and valid each on its own: Service, EndpointSlice, GatewayConfig,
// SourceFilter. Only the fields that the gateway reads, and the lines they stand on, so that a contradiction found
// later can be shown. Knows neither YAML nor the engine.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "net/address.h"
#include "net/headers.h"
#include "net/prefix.h"

namespace guideway::mgmt {

enum class Kind : uint8_t { kGatewayConfig, kService, kEndpointSlice, kSourceFilter };
inline constexpr std::array kKinds{Kind::kService, Kind::kEndpointSlice, Kind::kGatewayConfig, Kind::kSourceFilter};
// Else it is of the gateway as a whole.
constexpr bool is_namespaced(Kind kind) { return kind == Kind::kService || kind == Kind::kEndpointSlice; }

struct ObjectKey {
  Kind kind = Kind::kService;
  std::string ns;  // empty for what belongs to no namespace
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};
const char* to_string(Kind kind);
// "Service demo/web", "GatewayConfig main".
std::string to_string(const ObjectKey& key);

// Where an object begins: document and line of its file, both from 1.
struct Place {
  uint32_t document = 0;
  uint32_t line = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct FieldPlace {
  std::string field;
  uint32_t line = 0;
  friend bool operator==(const FieldPlace&, const FieldPlace&) = default;
};

enum class ForwardingMode : uint8_t { kDsrL2, kDsrIpip, kDsrGue, kNat };
// "dsr-l2", "dsr-ipip", "dsr-gue", "nat".
const char* to_string(ForwardingMode mode);
std::optional<ForwardingMode> parse_forwarding_mode(std::string_view text);
inline bool is_dsr(ForwardingMode mode) { return mode != ForwardingMode::kNat; }
// Encapsulated, so that a backend may be of another family than its VIP.
inline bool is_tunnel(ForwardingMode mode) { return is_dsr(mode) && mode != ForwardingMode::kDsrL2; }
// "TCP", "UDP", "SCTP".
const char* to_string(net::Protocol protocol);

// What a Service asks for: a mode, GatewayConfig's default, or by Cilium's annotation nat ("snat") or GatewayConfig's
// default among the DSR modes ("dsr").
enum class ModeWish : uint8_t { kDefault, kDefaultDsr, kDsrL2, kDsrIpip, kDsrGue, kNat, kCiliumSnat };

struct Vip {
  net::IpAddress address;
  uint32_t line = 0;
  std::string field;  // that it stands in
  friend bool operator==(const Vip&, const Vip&) = default;
};

struct ServicePort {
  std::string name;
  net::Protocol protocol = net::Protocol::kTcp;
  uint16_t port = 0;
  uint16_t target = 0;      // 0: by name, and the EndpointSlice tells the number
  std::string target_name;  // only if target is 0
  uint32_t line = 0;        // of targetPort, else of the port's entry
  uint32_t index = 0;       // in spec.ports
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

struct Service {
  bool ours = false;  // else nothing below is filled: it has no VIP, or another load balancer serves it
  std::vector<Vip> vips;
  std::vector<ServicePort> ports;
  ModeWish mode = ModeWish::kDefault;
  uint32_t table_size = 0;  // of the Maglev table; 0: the engine's default
  bool publish_not_ready = false;
  bool any_port = false;          // every port of the protocols that `ports` names, and it stays as it is
  uint32_t mtu = 0;               // of the way to the backends, with the outer header; 0: the link's
  uint32_t affinity_seconds = 0;  // 0: no session affinity
  std::vector<net::Prefix> source_ranges;
  bool source_ranges_deny = false;  // clients in the ranges are the ones kept out
  std::optional<bool> announce;     // on the link; else as GatewayConfig says
  uint32_t rate_limit = 0;          // packets a second to each VIP; 0: none
  friend bool operator==(const Service&, const Service&) = default;
};

enum class AddressType : uint8_t { kIpv4, kIpv6, kOther };

struct Endpoint {
  net::IpAddress address;
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  std::string target;  // the pod's name, or empty
  std::string node;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct SlicePort {
  std::string name;
  net::Protocol protocol = net::Protocol::kTcp;
  uint16_t port = 0;  // 0: "any port", which no VIP can be forwarded to
  uint32_t line = 0;
  uint32_t index = 0;
  friend bool operator==(const SlicePort&, const SlicePort&) = default;
};

struct EndpointSlice {
  std::string service;  // of the same namespace; empty: of none
  AddressType type = AddressType::kOther;
  uint32_t weight = 1;  // of each endpoint; 0 drains
  std::vector<SlicePort> ports;
  std::vector<Endpoint> endpoints;
  friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

struct Snat {
  net::IpAddress address;
  uint16_t port_min = 0;  // inclusive
  uint16_t port_max = 0;
  bool dedicated = false;
  bool announce = false;  // on the link; only if dedicated
  friend bool operator==(const Snat&, const Snat&) = default;
};

// Seconds; 0: the default.
struct IdleTimeouts {
  uint32_t established = 0;
  uint32_t setup = 0;
  uint32_t closing = 0;
  uint32_t udp = 0;
  friend bool operator==(const IdleTimeouts&, const IdleTimeouts&) = default;
};

struct GatewayConfig {
  std::string group = "default";
  std::optional<uint64_t> seed;  // else derived from the group's name
  ForwardingMode mode = ForwardingMode::kNat;
  ForwardingMode dsr_mode = ForwardingMode::kDsrIpip;
  std::vector<Snat> snat;
  std::optional<net::Prefix> encap_ipv4;  // a whole address, or one whose lower bits are the flow hash's
  std::optional<net::Prefix> encap_ipv6;
  bool announce = false;  // VIPs and dedicated SNAT addresses that don't say otherwise
  IdleTimeouts idle;
  uint32_t new_flow_rate = 0;  // a second and worker; 0: the default
  uint32_t icmp_rate = 0;      // likewise
  friend bool operator==(const GatewayConfig&, const GatewayConfig&) = default;
};

struct SourceRate {
  uint32_t packets_per_second = 0;
  uint32_t burst = 0;  // 0: the engine's default
  uint32_t ipv4_length = 24;
  uint32_t ipv6_length = 48;
  uint32_t line = 0;
  friend bool operator==(const SourceRate&, const SourceRate&) = default;
};

// Whose packets are dropped before they cost anything. Several add up.
struct SourceFilter {
  std::vector<net::Prefix> denied;
  std::optional<SourceRate> rate;  // of each prefix of these lengths
  friend bool operator==(const SourceFilter&, const SourceFilter&) = default;
};

struct Object {
  ObjectKey key;
  Place place;
  std::string created;  // metadata.creationTimestamp (RFC 3339, UTC: sorts as text), or empty
  std::variant<Service, EndpointSlice, GatewayConfig, SourceFilter> body;
  std::map<std::string, FieldPlace> limited;  // where it says what the engine's limits may be too low for: Lack::field
  friend bool operator==(const Object&, const Object&) = default;
};
using ObjectPtr = std::shared_ptr<const Object>;
// The same further down in its file, or up, by unsigned wrap-around: every line that it tells follows.
ObjectPtr moved(const Object& object, uint32_t documents, uint32_t lines);

// Who was there first, alike at every gateway whatever the order of arrival: the older object, then the lesser name.
// One without a creation time counts as the youngest.
struct Precedence {
  bool undated = true;
  std::string created;
  ObjectKey key;
  friend auto operator<=>(const Precedence&, const Precedence&) = default;
};
Precedence precedence(const Object& object);

}  // namespace guideway::mgmt
