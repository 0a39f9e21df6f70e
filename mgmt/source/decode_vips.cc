// The addresses that a Service answers at: what an allocator wrote into its status, else what the Service asks for in
// the ways that Kubernetes, Cilium and MetalLB have; and its external addresses.

#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

constexpr std::string_view kWishAnnotations[] = {"lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips",
                                                 "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"};

void add(ObjectReader& r, std::vector<Vip>& vips, Field f, std::string_view text) {
  const auto a = r.address(f, text);
  if (!a) return;
  for (const Vip& v : vips)
    if (v.address == *a) return;
  vips.push_back({*a, f.line(), f.path(r.root().index())});
}

void read_wishes(ObjectReader& r, std::vector<Vip>& vips) {
  const Field annotations = r.root()["metadata"]["annotations"];
  for (const std::string_view name : kWishAnnotations) {
    const Field f = annotations[name];
    r.comma_list(f, [&](std::string_view text) { add(r, vips, f, text); });
  }
  const Field f = r.root()["spec"]["loadBalancerIP"];
  if (!r.text(f).empty()) add(r, vips, f, f.value());
}

}  // namespace

std::vector<Vip> decode_vips(ObjectReader& r) {
  std::vector<Vip> vips;
  r.list(r.root()["status"]["loadBalancer"]["ingress"], [&](Field f, uint32_t) {
    if (!f["ip"].empty()) add(r, vips, f["ip"], f["ip"].value());
  });
  if (vips.empty() && r.text(r.root()["spec"]["type"]) == "LoadBalancer") read_wishes(r, vips);
  r.list(r.root()["spec"]["externalIPs"], [&](Field f, uint32_t) { add(r, vips, f, f.value()); });
  return vips;
}

}  // namespace guideway::mgmt
