#include "mgmt/source/tree.h"

#include <algorithm>

namespace guideway::mgmt {
namespace {

// ".ports", or "[guideway.io/forwarding-mode]" for what would read as a path of its own.
std::string step(std::string_view key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain ? "." + std::string(key) : "[" + std::string(key) + "]";
}

}  // namespace

uint32_t Field::line() const {
  if (!absent()) return tree_->node(index_).line;
  return parent_ == Tree::kNone ? 0 : tree_->node(parent_).line;
}

Field Field::operator[](std::string_view name) const {
  if (is_map())
    for (uint32_t i = index_ + 1; i < tree_->node(index_).end; i = tree_->node(i).end)
      if (tree_->key(i) == name) return {*tree_, i};
  Field f(*tree_, Tree::kNone);
  f.parent_ = absent() ? parent_ : index_;
  f.name_ = name;
  return f;
}

std::string Field::path(uint32_t root) const {
  std::string path;
  if (absent()) path = step(name_);
  for (uint32_t i = absent() ? parent_ : index_; i != Tree::kNone && i != root; i = tree_->node(i).parent) {
    const uint32_t parent = tree_->node(i).parent;
    if (parent == Tree::kNone) break;
    if (tree_->node(parent).type == Tree::Type::kMap) {
      path.insert(0, step(tree_->key(i)));
      continue;
    }
    size_t n = 0;
    for (uint32_t j = parent + 1; j != i; j = tree_->node(j).end) ++n;
    path.insert(0, "[" + std::to_string(n) + "]");
  }
  return path.starts_with('.') ? path.substr(1) : path;
}

}  // namespace guideway::mgmt
