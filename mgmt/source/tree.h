// A file's documents as one flat tree of nodes with their lines, and a small walk over it. libyaml's events fill it;
// whatever else brings objects fills the same tree, so that there is one decoder. Knows nothing of Kubernetes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace guideway::mgmt {

class Tree {
 public:
  enum class Type : uint8_t { kNull, kScalar, kMap, kList };
  static constexpr uint32_t kNone = UINT32_MAX;

  // Nodes stand in preorder: the children of i begin at i + 1, the next sibling of i stands at its end.
  struct Node {
    uint32_t parent = kNone;
    uint32_t end = 0;
    uint32_t key = 0;  // in the text; only below a map
    uint32_t key_length = 0;
    uint32_t value = 0;  // in the text; only of a scalar
    uint32_t value_length = 0;
    uint32_t line = 0;  // from 1
    Type type = Type::kNull;
    bool quoted = false;  // a quoted scalar is a string, whatever it looks like
  };

  // The caller adds in preorder and closes each map and list.
  uint32_t add(Node node) {
    const auto i = static_cast<uint32_t>(nodes_.size());
    node.end = i + 1;
    nodes_.push_back(node);
    return i;
  }
  void close(uint32_t i) { nodes_[i].end = static_cast<uint32_t>(nodes_.size()); }
  uint32_t add_text(std::string_view s) {
    const auto at = static_cast<uint32_t>(text_.size());
    text_.append(s);
    return at;
  }
  // A null becomes this.
  void fill(uint32_t i, std::string_view value) {
    nodes_[i].type = Type::kScalar;
    nodes_[i].value = add_text(value);
    nodes_[i].value_length = static_cast<uint32_t>(value.size());
  }
  void add_document(uint32_t root) { documents_.push_back(root); }

  const Node& node(uint32_t i) const { return nodes_[i]; }
  size_t size() const { return nodes_.size(); }
  std::string_view key(uint32_t i) const { return std::string_view(text_).substr(nodes_[i].key, nodes_[i].key_length); }
  std::string_view value(uint32_t i) const {
    return std::string_view(text_).substr(nodes_[i].value, nodes_[i].value_length);
  }
  // The roots, one per document that isn't empty; kNone for an empty one, so that documents keep their number.
  const std::vector<uint32_t>& documents() const { return documents_; }

 private:
  std::vector<Node> nodes_;
  std::string text_;
  std::vector<uint32_t> documents_;
};

// A place in the tree, possibly one that isn't there: that one still knows the path by which it was asked for.
class Field {
 public:
  Field(const Tree& tree, uint32_t index) : tree_(&tree), index_(index) {
    if (index != Tree::kNone) parent_ = tree.node(index).parent;
  }

  bool absent() const { return index_ == Tree::kNone; }
  Tree::Type type() const { return absent() ? Tree::Type::kNull : tree_->node(index_).type; }
  // Absent and null are one to Kubernetes.
  bool empty() const { return type() == Tree::Type::kNull; }
  bool is_map() const { return type() == Tree::Type::kMap; }
  bool is_list() const { return type() == Tree::Type::kList; }
  bool is_scalar() const { return type() == Tree::Type::kScalar; }
  bool quoted() const { return !absent() && tree_->node(index_).quoted; }
  std::string_view key() const { return absent() ? name_ : tree_->key(index_); }
  std::string_view value() const { return absent() ? std::string_view{} : tree_->value(index_); }
  // Of an absent field: the line of what should hold it.
  uint32_t line() const;
  // The field of that name below this one.
  Field operator[](std::string_view name) const;
  // "spec.ports[1].port", counted from the node `root`.
  std::string path(uint32_t root) const;
  uint32_t index() const { return index_; }

  // Children of a map or list, in order; none of anything else.
  template <typename F>
  void each(F&& f) const {
    if (!is_map() && !is_list()) return;
    for (uint32_t i = index_ + 1; i < tree_->node(index_).end; i = tree_->node(i).end) f(Field(*tree_, i));
  }

 private:
  const Tree* tree_;
  uint32_t index_;
  uint32_t parent_ = Tree::kNone;
  std::string_view name_;  // as it was asked for, if absent
};

}  // namespace guideway::mgmt
