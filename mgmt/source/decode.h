// Kubernetes objects out of a tree: the one decoder, whatever the tree was read from. Each object is judged on its own;
// contradictions between objects are compile's to find.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/model/objects.h"
#include "mgmt/model/problem.h"
#include "mgmt/source/tree.h"

namespace guideway::mgmt {

inline constexpr std::string_view kLoadBalancerClass = "guideway.io/gateway";
inline constexpr std::string_view kGatewayApiVersion = "guideway.io/v1alpha1";
inline constexpr std::string_view kAnnotationPrefix = "guideway.io/";
inline constexpr std::string_view kModeAnnotation = "guideway.io/forwarding-mode";
inline constexpr std::string_view kCiliumModeAnnotation = "service.cilium.io/forwarding-mode";
inline constexpr std::string_view kTableSizeAnnotation = "guideway.io/maglev-table-size";
inline constexpr std::string_view kMtuAnnotation = "guideway.io/mtu";
inline constexpr std::string_view kAnyPortAnnotation = "guideway.io/any-port";
inline constexpr std::string_view kRateLimitAnnotation = "guideway.io/rate-limit-pps";
inline constexpr std::string_view kAnnounceAnnotation = "guideway.io/announce";
inline constexpr std::string_view kAlgorithmAnnotation = "service.cilium.io/lb-algorithm";
inline constexpr std::string_view kSourcePolicyAnnotation = "service.cilium.io/src-ranges-policy";
inline constexpr std::string_view kSourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
inline constexpr std::string_view kWeightAnnotation = "service.cilium.io/weight";
inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr uint32_t kMinTableSize = 251;
inline constexpr uint32_t kMaxTableSize = 655373;
inline constexpr uint32_t kMinMtu = 1280;
inline constexpr uint32_t kMaxMtu = 65535;
inline constexpr uint32_t kMaxRateLimit = 10'000'000;  // packets a second
inline constexpr uint32_t kMaxWeight = 65535;
// Longest that every engine remembers an idle connection or a client.
inline constexpr uint32_t kMaxIdleSeconds = 65000;

// The ports that the host hands out to its own connections (ip_local_port_range), which SNAT must leave alone.
struct HostPorts {
  uint16_t min = 32768;
  uint16_t max = 60999;
};

struct Decoded {
  std::vector<ObjectPtr> objects;
  std::vector<uint32_t> roots;     // of each object: its node in the tree
  std::vector<ObjectKey> refused;  // named but bad: their last good form stays in force
  bool unnamed = false;            // an object that can't be told is bad: nothing of the file may be taken for removed
  std::vector<Problem> problems;
  std::map<std::string, uint32_t> skipped;  // by kind: objects that aren't for the gateway
};

// apiVersion of its objects.
std::string_view api_version(Kind kind);

// `file` is only for the problems; `first_document` counts the documents that stand before the tree in it.
Decoded decode(const Tree& tree, std::string_view file, const HostPorts& host, uint32_t first_document = 0);

}  // namespace guideway::mgmt
