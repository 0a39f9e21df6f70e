#include "mgmt/source/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <optional>

namespace guideway::mgmt {
namespace {

struct Parser {
  Parser() { ok = yaml_parser_initialize(&parser) == 1; }
  ~Parser() {
    if (ok) yaml_parser_delete(&parser);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  yaml_parser_t parser{};
  bool ok = false;
};

struct Event {
  Event() = default;
  ~Event() { yaml_event_delete(&event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  yaml_event_t event{};
};

std::string_view view(const yaml_char_t* s, size_t n) { return {reinterpret_cast<const char*>(s), n}; }

bool is_null(std::string_view s) { return s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL"; }

class Builder {
 public:
  Builder(uint32_t first_line, uint32_t first_document) : document(first_document), first_line_(first_line) {}
  // False at the end of the stream or after an error.
  bool take(const yaml_event_t& e);
  std::optional<std::string> error;
  uint32_t document;
  Tree tree;

 private:
  struct Open {
    uint32_t node;
    bool map;
    bool has_key = false;
    uint32_t key = 0;
    uint32_t key_length = 0;
  };
  bool fail(std::string text) {
    error = std::move(text);
    return false;
  }
  uint32_t attach(Tree::Node node);
  bool scalar(const yaml_event_t& e);
  bool open(const yaml_event_t& e, bool map);
  bool close();

  uint32_t first_line_;
  std::vector<Open> stack_;
  bool rooted_ = false;
};

uint32_t Builder::attach(Tree::Node node) {
  if (stack_.empty()) {
    const uint32_t i = tree.add(node);
    const bool null = node.type == Tree::Type::kNull;
    tree.add_document(null ? Tree::kNone : i);
    rooted_ = true;
    return i;
  }
  Open& top = stack_.back();
  node.parent = top.node;
  if (top.map) {
    node.key = top.key;
    node.key_length = top.key_length;
    top.has_key = false;
  }
  return tree.add(node);
}

bool Builder::scalar(const yaml_event_t& e) {
  const auto& s = e.data.scalar;
  if (s.anchor != nullptr) return fail("YAML anchors aren't supported: write the value out");
  if (s.tag != nullptr) return fail("YAML tags aren't supported: quote the value to make it a string");
  const std::string_view text = view(s.value, s.length);
  if (!stack_.empty() && stack_.back().map && !stack_.back().has_key) {
    Open& top = stack_.back();
    top.key = tree.add_text(text);
    top.key_length = static_cast<uint32_t>(text.size());
    top.has_key = true;
    return true;
  }
  Tree::Node n;
  n.line = static_cast<uint32_t>(e.start_mark.line + 1) + first_line_;
  n.quoted = s.style != YAML_PLAIN_SCALAR_STYLE;
  n.type = !n.quoted && is_null(text) ? Tree::Type::kNull : Tree::Type::kScalar;
  if (n.type == Tree::Type::kScalar) {
    n.value = tree.add_text(text);
    n.value_length = static_cast<uint32_t>(text.size());
  }
  attach(n);
  return true;
}

bool Builder::open(const yaml_event_t& e, bool map) {
  const auto* anchor = map ? e.data.mapping_start.anchor : e.data.sequence_start.anchor;
  const auto* tag = map ? e.data.mapping_start.tag : e.data.sequence_start.tag;
  if (anchor != nullptr) return fail("YAML anchors aren't supported: write the value out");
  if (tag != nullptr) return fail("YAML tags aren't supported: leave the tag out");
  if (!stack_.empty() && stack_.back().map && !stack_.back().has_key) return fail("a key must be a plain text");
  if (stack_.size() >= kMaxYamlDepth)
    return fail("nested deeper than " + std::to_string(kMaxYamlDepth) + " levels, which no manifest needs");
  Tree::Node n;
  n.line = static_cast<uint32_t>(e.start_mark.line + 1) + first_line_;
  n.type = map ? Tree::Type::kMap : Tree::Type::kList;
  stack_.push_back({attach(n), map});
  return true;
}

bool Builder::close() {
  const Open top = stack_.back();
  stack_.pop_back();
  tree.close(top.node);
  if (!top.map) return true;
  // The first of two equal keys would win in silence. Kubernetes prints keys sorted, which tells them apart in one
  // pass.
  bool sorted = true;
  std::string_view last;
  for (uint32_t i = top.node + 1; i < tree.node(top.node).end; i = tree.node(i).end) {
    sorted = sorted && (i == top.node + 1 || last < tree.key(i));
    last = tree.key(i);
  }
  if (sorted) return true;
  std::vector<std::string_view> keys;
  for (uint32_t i = top.node + 1; i < tree.node(top.node).end; i = tree.node(i).end) keys.push_back(tree.key(i));
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) return fail("the key \"" + std::string(*twice) + "\" stands twice in one map");
  return true;
}

bool Builder::take(const yaml_event_t& e) {
  switch (e.type) {
    case YAML_STREAM_END_EVENT:
      return false;
    case YAML_DOCUMENT_START_EVENT:
      ++document;
      rooted_ = false;
      return true;
    case YAML_DOCUMENT_END_EVENT:
      if (!rooted_) tree.add_document(Tree::kNone);
      return true;
    case YAML_SCALAR_EVENT:
      return scalar(e);
    case YAML_SEQUENCE_START_EVENT:
      return open(e, false);
    case YAML_MAPPING_START_EVENT:
      return open(e, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      return close();
    case YAML_ALIAS_EVENT:
      return fail("YAML aliases aren't supported: write the value out");
    default:
      return true;
  }
}

YamlError syntax_error(const yaml_parser_t& p, uint32_t first_line, uint32_t document) {
  std::string text = "not valid YAML: ";
  text += p.problem != nullptr ? p.problem : "unknown error";
  if (p.context != nullptr) text += std::string(" (") + p.context + ")";
  // A reader error (bad UTF-8) carries no mark, only the parser's place.
  const yaml_mark_t& mark = p.error == YAML_READER_ERROR ? p.mark : p.problem_mark;
  return {std::max(document, 1U), static_cast<uint32_t>(mark.line + 1) + first_line, text};
}

// Fails only for want of memory, or if the events aren't a document.
class Writer {
 public:
  explicit Writer(const Tree& tree) : tree_(tree) {
    ok_ = yaml_emitter_initialize(&emitter_) == 1;
    if (!ok_) return;
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_emitter_set_width(&emitter_, -1);
    yaml_emitter_set_output(
        &emitter_,
        [](void* text, unsigned char* part, size_t n) {
          static_cast<std::string*>(text)->append(reinterpret_cast<char*>(part), n);
          return 1;
        },
        &text_);
  }
  ~Writer() { yaml_emitter_delete(&emitter_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string write(uint32_t root) {
    yaml_event_t e;
    emit(yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING), e);
    emit(yaml_document_start_event_initialize(&e, nullptr, nullptr, nullptr, 1), e);
    node(root);
    emit(yaml_document_end_event_initialize(&e, 1), e);
    emit(yaml_stream_end_event_initialize(&e), e);
    return std::move(text_);
  }

 private:
  void emit(int made, yaml_event_t& e) { ok_ = ok_ && made == 1 && yaml_emitter_emit(&emitter_, &e) == 1; }
  void scalar(std::string_view value, yaml_scalar_style_t style) {
    yaml_event_t e;
    emit(yaml_scalar_event_initialize(&e, nullptr, nullptr, reinterpret_cast<const yaml_char_t*>(value.data()),
                                      static_cast<int>(value.size()), 1, 1, style),
         e);
  }
  // Children in the order of their keys; those of a list have none.
  std::vector<uint32_t> children(uint32_t i) const {
    std::vector<uint32_t> all;
    for (uint32_t c = i + 1; c < tree_.node(i).end; c = tree_.node(c).end) all.push_back(c);
    if (tree_.node(i).type == Tree::Type::kMap)
      std::sort(all.begin(), all.end(), [&](uint32_t a, uint32_t b) { return tree_.key(a) < tree_.key(b); });
    return all;
  }
  void node(uint32_t i) {
    yaml_event_t e;
    switch (tree_.node(i).type) {
      case Tree::Type::kNull:
        return scalar("null", YAML_PLAIN_SCALAR_STYLE);
      case Tree::Type::kScalar:
        return scalar(tree_.value(i), tree_.node(i).quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
      case Tree::Type::kMap:
        emit(yaml_mapping_start_event_initialize(&e, nullptr, nullptr, 1, YAML_BLOCK_MAPPING_STYLE), e);
        for (const uint32_t c : children(i)) {
          scalar(tree_.key(c), YAML_PLAIN_SCALAR_STYLE);
          node(c);
        }
        return emit(yaml_mapping_end_event_initialize(&e), e);
      case Tree::Type::kList:
        emit(yaml_sequence_start_event_initialize(&e, nullptr, nullptr, 1, YAML_BLOCK_SEQUENCE_STYLE), e);
        for (const uint32_t c : children(i)) node(c);
        return emit(yaml_sequence_end_event_initialize(&e), e);
    }
  }

  const Tree& tree_;
  yaml_emitter_t emitter_{};
  std::string text_;
  bool ok_ = false;
};

}  // namespace

std::string to_yaml(const Tree& tree, uint32_t node) { return Writer(tree).write(node); }

std::variant<Tree, YamlError> parse_yaml(std::string_view text, uint32_t first_line, uint32_t first_document) {
  Parser p;
  if (!p.ok) return YamlError{0, 0, "out of memory"};
  yaml_parser_set_input_string(&p.parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  Builder builder(first_line, first_document);
  while (true) {
    Event e;
    if (yaml_parser_parse(&p.parser, &e.event) != 1) return syntax_error(p.parser, first_line, builder.document);
    if (builder.take(e.event)) continue;
    if (!builder.error) return std::move(builder.tree);
    return YamlError{std::max(builder.document, 1U), static_cast<uint32_t>(e.event.start_mark.line + 1) + first_line,
                     *builder.error};
  }
}

}  // namespace guideway::mgmt
