#include "mgmt/source/api/submission.h"

#include <cctype>

#include "mgmt/bad_request.h"
#include "mgmt/source/api/state_files.h"
#include "mgmt/source/yaml.h"

namespace guideway::mgmt {
namespace {

std::string line_of(uint32_t document, uint32_t line) {
  return "document " + std::to_string(document) + ", line " + std::to_string(line) + ": ";
}

// Items of a typed list may leave these out, or null; on its own an object must say them.
std::string text_of(Tree& tree, uint32_t root, Kind kind) {
  std::string text;
  const auto say = [&](const std::string& name, std::string_view value) {
    const Field f = Field(tree, root)[name];
    if (f.absent())
      text += name + ": " + std::string(value) + "\n";
    else if (f.empty())
      tree.fill(f.index(), value);
  };
  say("apiVersion", api_version(kind));
  say("kind", to_string(kind));
  return text + to_yaml(tree, root);
}

}  // namespace

absl::StatusOr<Submission> parse_submission(std::string_view manifests, const HostPorts& host) {
  auto parsed = parse_yaml(manifests);
  if (const auto* e = std::get_if<YamlError>(&parsed))
    return bad_request("manifests", line_of(e->document, e->line) + e->text);
  Tree& tree = std::get<Tree>(parsed);
  Decoded d = decode(tree, "", host);
  std::vector<FieldViolation> violations;
  if (!d.refused.empty() || d.unnamed)
    for (const Problem& p : d.problems)
      violations.push_back({(p.object.empty() ? "manifests" : p.object) + (p.field.empty() ? "" : ": " + p.field),
                            line_of(p.document, p.line) + p.text});
  Submission s;
  for (size_t i = 0; i < d.objects.size(); ++i) {
    const ObjectKey& key = d.objects[i]->key;
    if (kept_name(key).size() > StateFiles::kMaxName)
      violations.push_back({to_string(key) + ": metadata.name", "is too long to be kept: shorten it"});
    s.objects.push_back({key, text_of(tree, d.roots[i], key.kind)});
  }
  s.skipped = std::move(d.skipped);
  if (violations.empty() && s.objects.empty() && s.skipped.empty()) violations.push_back({"manifests", "no object"});
  if (!violations.empty()) return bad_request(violations);
  return s;
}

absl::StatusOr<Decoded> read_kept(const std::string& path, const std::string& text, const HostPorts& host) {
  const auto parsed = parse_yaml(text);
  if (const auto* e = std::get_if<YamlError>(&parsed))
    return absl::DataLossError(line_of(e->document, e->line) + e->text);
  return decode(std::get<Tree>(parsed), path, host);
}

std::string kept_name(const ObjectKey& key) {
  std::string name = to_string(key.kind);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name + "@" + key.ns + "@" + key.name + ".yaml";  // no name has an @
}

}  // namespace guideway::mgmt
