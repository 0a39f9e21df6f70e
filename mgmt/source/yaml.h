// YAML text to a Tree and back, by libyaml's events. Anchors, aliases and tags are refused: kubectl prints none, and an
// alias makes a small file a large tree. Nesting is limited; who reads the text limits its size.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "mgmt/source/tree.h"

namespace guideway::mgmt {

struct YamlError {
  uint32_t document = 0;  // from 1
  uint32_t line = 0;      // from 1
  std::string text;
};

inline constexpr size_t kMaxYamlDepth = 64;

// `first_line` and `first_document` count what stands before the text in its file.
std::variant<Tree, YamlError> parse_yaml(std::string_view text, uint32_t first_line = 0, uint32_t first_document = 0);

// A node and what is below it as one document in block style, its maps sorted by key, so that equal objects give equal
// text. Reads back as the same tree.
std::string to_yaml(const Tree& tree, uint32_t node);

}  // namespace guideway::mgmt
