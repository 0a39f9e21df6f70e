// The way of a manifest's bytes to objects: whatever they are, they are read or refused, and each object that is taken
// reads back as the same from what is kept of it.
#include <cstdlib>

#include "mgmt/source/decode.h"
#include "mgmt/source/encode.h"
#include "mgmt/source/yaml.h"
#include "mgmt/testing/places.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway::mgmt;
  const auto parsed = parse_yaml({reinterpret_cast<const char*>(bytes), size});
  if (std::holds_alternative<YamlError>(parsed)) return 0;
  const Tree& tree = std::get<Tree>(parsed);
  const Decoded decoded = decode(tree, "fuzz", HostPorts());
  for (size_t i = 0; i < decoded.objects.size(); ++i) {
    const ObjectPtr& object = decoded.objects[i];
    const auto rewritten = parse_yaml(to_yaml(tree, decoded.roots[i]));
    require(std::holds_alternative<Tree>(rewritten));
    const auto again = parse_yaml(encode(*object, named_mode(*object)));
    require(std::holds_alternative<Tree>(again));
    const Decoded kept = decode(std::get<Tree>(again), "kept", HostPorts());
    require(kept.objects.size() == 1 && kept.problems.empty());
    Object expected = without_places(*object);
    // What Cilium's "dsr" means is told by GatewayConfig, and kept once it is; its "snat" is kept as our own nat.
    if (auto* s = std::get_if<Service>(&expected.body); s != nullptr) {
      if (s->mode == ModeWish::kDefaultDsr) s->mode = ModeWish::kDefault;
      if (s->mode == ModeWish::kCiliumSnat) s->mode = ModeWish::kNat;
    }
    require(without_places(*kept.objects[0]) == expected);
    // An item of a typed list says its kind only there.
    if (Field(tree, decoded.roots[i])["kind"].empty() || Field(tree, decoded.roots[i])["apiVersion"].empty()) continue;
    const Decoded same = decode(std::get<Tree>(rewritten), "rewritten", HostPorts());
    require(same.objects.size() == 1 && without_places(*same.objects[0]) == without_places(*object));
  }
  return 0;
}
