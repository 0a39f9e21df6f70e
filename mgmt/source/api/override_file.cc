#include "mgmt/source/api/override_file.h"

#include "mgmt/source/object_reader.h"
#include "mgmt/source/yaml.h"

namespace guideway::mgmt {

std::string override_name(const OverrideKey& key) {
  return key.ns + "@" + key.service + "@" + net::to_string(key.backend) + ".yaml";
}

std::string override_text(const OverrideKey& key, const Override& value) {
  return "# A weight set over guidewayd's API. Don't edit: use guideway weight, drain and undrain.\nnamespace: \"" +
         key.ns + "\"\nservice: \"" + key.service + "\"\naddress: \"" + net::to_string(key.backend) +
         "\"\nweight: " + std::to_string(value.weight) + "\nsince: \"" + value.since + "\"\n";
}

absl::StatusOr<std::pair<OverrideKey, Override>> parse_override(std::string_view text) {
  const auto parsed = parse_yaml(text);
  if (const auto* e = std::get_if<YamlError>(&parsed)) return absl::DataLossError(e->text);
  const Tree& tree = std::get<Tree>(parsed);
  if (tree.documents().empty() || tree.documents()[0] == Tree::kNone) return absl::DataLossError("is empty");
  std::vector<Problem> problems;
  ObjectReader r(Field(tree, tree.documents()[0]), "", 1, problems);
  OverrideKey key{r.text(r.root()["namespace"]), r.text(r.root()["service"]), {}};
  if (const auto address = net::parse_ip(r.text(r.root()["address"])))
    key.backend = *address;
  else
    r.error(r.root()["address"], "must be an address");
  const auto weight = r.number(r.root()["weight"], 0, kMaxWeight);
  if (!weight && !r.bad()) r.error(r.root()["weight"], "is missing");
  Override value{static_cast<uint32_t>(weight.value_or(0)), r.text(r.root()["since"])};
  if (r.bad())
    return absl::DataLossError(problems[0].field + " " + problems[0].text + ": set or reset the weight anew");
  return std::pair{key, value};
}

}  // namespace guideway::mgmt
