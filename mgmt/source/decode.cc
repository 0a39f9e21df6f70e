#include "mgmt/source/decode.h"

#include <set>

#include "mgmt/model/names.h"
#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

struct Api {
  std::string_view version;
  std::string_view kind;
};

class Decoder {
 public:
  Decoder(const Tree& tree, std::string_view file, const HostPorts& host) : tree_(tree), file_(file), host_(host) {}

  Decoded run(uint32_t number) {
    for (const uint32_t root : tree_.documents()) {
      ++number;
      if (root != Tree::kNone) item(Field(tree_, root), number, {});
    }
    return std::move(out_);
  }

 private:
  void item(Field root, uint32_t document, Api fallback);
  void list(Field root, uint32_t document, Api api);
  void object(Field root, uint32_t document, Kind kind);
  std::optional<ObjectKey> identity(ObjectReader& r, Kind kind);

  const Tree& tree_;
  std::string_view file_;
  const HostPorts& host_;
  Decoded out_;
  std::set<ObjectKey> seen_;
};

// An item of a list as the API server sends it carries neither apiVersion nor kind: the list's are its own.
void Decoder::item(Field root, uint32_t document, Api fallback) {
  ObjectReader r(root, file_, document, out_.problems);
  const auto refuse = [&](Field at, const char* text) {
    r.error(at, text);
    out_.unnamed = true;
  };
  if (!root.is_map()) return refuse(root, "must be a Kubernetes object: a map with apiVersion and kind");
  const std::string version = r.text(root["apiVersion"], fallback.version);
  const std::string kind = r.text(root["kind"], fallback.kind);
  if (r.bad()) {
    out_.unnamed = true;
    return;
  }
  if (version.empty()) return refuse(root["apiVersion"], "is missing: every Kubernetes object has one");
  if (kind.empty()) return refuse(root["kind"], "is missing: every Kubernetes object has one");
  if (kind.size() >= 4 && kind.ends_with("List")) return list(root, document, {version, kind});
  for (const Kind k : kKinds)
    if (version == api_version(k) && kind == to_string(k)) return object(root, document, k);
  if (version.starts_with("guideway.io/"))
    return refuse(root["kind"],
                  "is unknown: this version of Guideway has GatewayConfig and SourceFilter of "
                  "guideway.io/v1alpha1");
  ++out_.skipped[kind + " (" + version + ")"];
}

void Decoder::list(Field root, uint32_t document, Api api) {
  const Field items = root["items"];
  if (items.empty()) return;
  if (!items.is_list()) {
    ObjectReader r(root, file_, document, out_.problems);
    r.error(items, "must be a list");
    out_.unnamed = true;
    return;
  }
  Api fallback;
  if (api.kind != "List") fallback = {api.version, api.kind.substr(0, api.kind.size() - 4)};
  items.each([&](Field f) {
    // A list in a list isn't Kubernetes; refusing it bounds the recursion.
    if (f["kind"].value().ends_with("List")) {
      ObjectReader r(f, file_, document, out_.problems);
      r.error(f["kind"], "must not be a list inside a list");
      out_.unnamed = true;
      return;
    }
    item(f, document, fallback);
  });
}

std::optional<ObjectKey> Decoder::identity(ObjectReader& r, Kind kind) {
  const Field meta = r.root()["metadata"];
  r.expect_map(meta);
  ObjectKey key{kind, {}, r.text(meta["name"])};
  if (is_namespaced(kind)) key.ns = r.text(meta["namespace"], "default");
  if (key.name.empty() && !r.bad()) r.error(meta["name"], "is missing: every object has one");
  if (r.bad() || !r.valid_name(meta["name"], key.name, kMaxName) ||
      !r.valid_name(meta["namespace"], key.ns, kMaxNamespace))
    return std::nullopt;
  return key;
}

void Decoder::object(Field root, uint32_t document, Kind kind) {
  ObjectReader r(root, file_, document, out_.problems);
  const auto key = identity(r, kind);
  if (!key) {
    out_.unnamed = true;
    return;
  }
  r.name(*key);
  if (!seen_.insert(*key).second) {
    r.error(root["metadata"]["name"], "the same object stands twice in this file: remove one");
    out_.refused.push_back(*key);
    return;
  }
  auto object = std::make_shared<Object>();
  object->key = *key;
  object->place = {document, root.line()};
  object->created = r.time(root["metadata"]["creationTimestamp"]);
  switch (kind) {
    case Kind::kService:
      object->body = decode_service(r);
      break;
    case Kind::kEndpointSlice:
      object->body = decode_endpoint_slice(r);
      break;
    case Kind::kGatewayConfig:
      object->body = decode_gateway_config(r, host_);
      break;
    case Kind::kSourceFilter:
      object->body = decode_source_filter(r);
      break;
  }
  object->limited = r.take_limited();
  if (r.bad()) return out_.refused.push_back(*key);
  out_.objects.push_back(std::move(object));
  out_.roots.push_back(root.index());
}

}  // namespace

std::string_view api_version(Kind kind) {
  switch (kind) {
    case Kind::kService:
      return "v1";
    case Kind::kEndpointSlice:
      return "discovery.k8s.io/v1";
    case Kind::kGatewayConfig:
    case Kind::kSourceFilter:
      return kGatewayApiVersion;
  }
  return {};
}

Decoded decode(const Tree& tree, std::string_view file, const HostPorts& host, uint32_t first_document) {
  return Decoder(tree, file, host).run(first_document);
}

}  // namespace guideway::mgmt
