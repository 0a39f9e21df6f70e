// How a Service's packets are treated: what Kubernetes has a field for, and annotations for the rest.

#include <set>

#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

constexpr uint32_t kDefaultAffinitySeconds = 10800;  // Kubernetes'
constexpr uint32_t kKubernetesMaxAffinitySeconds = 86400;

bool is_prime(uint32_t n) {
  if (n < 2) return false;
  for (uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

ModeWish wish(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kDsrL2:
      return ModeWish::kDsrL2;
    case ForwardingMode::kDsrIpip:
      return ModeWish::kDsrIpip;
    case ForwardingMode::kDsrGue:
      return ModeWish::kDsrGue;
    case ForwardingMode::kNat:
      return ModeWish::kNat;
  }
  return ModeWish::kDefault;
}

ModeWish read_mode(ObjectReader& r, Field annotations) {
  const Field own = annotations[kModeAnnotation];
  if (!own.empty()) {
    if (const auto m = parse_forwarding_mode(r.text(own))) return wish(*m);
    r.error(own, "must be dsr-l2, dsr-ipip, dsr-gue or nat");
    return ModeWish::kDefault;
  }
  const Field cilium = annotations[kCiliumModeAnnotation];
  if (cilium.empty()) return ModeWish::kDefault;
  const std::string m = r.text(cilium);
  if (m == "dsr") return ModeWish::kDefaultDsr;
  if (m == "snat") return ModeWish::kCiliumSnat;
  r.error(cilium, "must be dsr or snat");
  return ModeWish::kDefault;
}

uint32_t read_table_size(ObjectReader& r, Field f) {
  const auto n = r.number(f, kMinTableSize, kMaxTableSize);
  if (!n) return 0;
  if (!is_prime(static_cast<uint32_t>(*n))) r.error(f, "must be a prime, such as 16381 or 65537");
  return static_cast<uint32_t>(*n);
}

void read_algorithm(ObjectReader& r, Field f) {
  const std::string name = r.text(f, "maglev");
  if (name == "random") return r.note(f, "isn't followed: this gateway balances by maglev; remove it, or write maglev");
  if (name != "maglev") r.error(f, "must be maglev or random");
}

// Kubernetes allows more than the engine remembers.
uint32_t read_affinity(ObjectReader& r, Field spec) {
  const std::string kind = r.text(spec["sessionAffinity"], "None");
  if (kind == "None") return 0;
  if (kind != "ClientIP") {
    r.error(spec["sessionAffinity"], "must be None or ClientIP");
    return 0;
  }
  const Field config = spec["sessionAffinityConfig"];
  r.expect_map(config);
  r.expect_map(config["clientIP"]);
  r.known(config, {"clientIP"});
  r.known(config["clientIP"], {"timeoutSeconds"});
  const Field f = config["clientIP"]["timeoutSeconds"];
  r.limited(f);
  const auto seconds = r.number(f, 1, kKubernetesMaxAffinitySeconds);
  if (seconds && *seconds > kMaxIdleSeconds)
    r.note(f, "is longer than the gateway remembers a client: " + std::to_string(kMaxIdleSeconds) + " is used");
  return static_cast<uint32_t>(std::min<uint64_t>(seconds.value_or(kDefaultAffinitySeconds), kMaxIdleSeconds));
}

// The field wins over the annotation, which is older than it.
void read_source_ranges(ObjectReader& r, Service& s, Field spec, Field annotations) {
  std::set<net::Prefix> known;
  const auto add = [&](Field f, std::string_view text) {
    const auto p = r.prefix(f, text);
    if (p && known.insert(*p).second) s.source_ranges.push_back(*p);
  };
  const Field ranges = spec["loadBalancerSourceRanges"];
  const Field older = annotations[kSourceRangesAnnotation];
  r.list(ranges, [&](Field f, uint32_t) { add(f, f.value()); });
  if (s.source_ranges.empty()) {
    r.comma_list(older, [&](std::string_view text) { add(older, text); });
    r.limited(older, "spec.loadBalancerSourceRanges");
  } else {
    r.limited(ranges);
  }
  const Field policy = annotations[kSourcePolicyAnnotation];
  const std::string p = r.text(policy, "allow");
  if (p != "allow" && p != "deny") r.error(policy, "must be allow or deny");
  s.source_ranges_deny = p == "deny" && !s.source_ranges.empty();
}

// An annotation is a string, so it is true or false in quotes.
bool read_any_port(ObjectReader& r, const Service& s, Field f) {
  const std::string text = r.text(f, "false");
  if (text != "true" && text != "false") r.error(f, "must be \"true\" or \"false\"");
  if (text != "true") return false;
  for (const ServicePort& p : s.ports)
    if (p.target != 0 && p.target != p.port)
      r.error(f, "keeps every port as it is, but spec.ports[" + std::to_string(p.index) +
                     "].targetPort is another one: leave that out");
  return true;
}

}  // namespace

void decode_service_options(ObjectReader& r, Service& s) {
  const Field spec = r.root()["spec"];
  const Field annotations = r.root()["metadata"]["annotations"];
  r.only_of_ours(annotations, {kModeAnnotation, kTableSizeAnnotation, kMtuAnnotation, kAnyPortAnnotation,
                               kRateLimitAnnotation, kAnnounceAnnotation});
  s.mode = read_mode(r, annotations);
  s.table_size = read_table_size(r, annotations[kTableSizeAnnotation]);
  read_algorithm(r, annotations[kAlgorithmAnnotation]);
  s.affinity_seconds = read_affinity(r, spec);
  read_source_ranges(r, s, spec, annotations);
  s.mtu = static_cast<uint32_t>(r.number(annotations[kMtuAnnotation], kMinMtu, kMaxMtu).value_or(0));
  s.rate_limit = static_cast<uint32_t>(r.number(annotations[kRateLimitAnnotation], 1, kMaxRateLimit).value_or(0));
  s.any_port = read_any_port(r, s, annotations[kAnyPortAnnotation]);
  s.announce = r.announce(annotations[kAnnounceAnnotation]);
  s.publish_not_ready = r.boolean(spec["publishNotReadyAddresses"], false);
}

}  // namespace guideway::mgmt
