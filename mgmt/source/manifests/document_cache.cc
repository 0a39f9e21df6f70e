#include "mgmt/source/manifests/document_cache.h"

#include <algorithm>
#include <set>

namespace guideway::mgmt {
namespace {

// "---" at the start of a line ends whatever stands before it, quoted and block texts included (YAML 1.2, 9.1.2).
bool begins_document(std::string_view line) {
  return line.starts_with("---") && (line.size() == 3 || line[3] == '\n' || line[3] == '\r' || line[3] == ' ');
}

void append(Decoded& to, const Decoded& from) {
  to.objects.insert(to.objects.end(), from.objects.begin(), from.objects.end());
  to.refused.insert(to.refused.end(), from.refused.begin(), from.refused.end());
  to.unnamed = to.unnamed || from.unnamed;
  to.problems.insert(to.problems.end(), from.problems.begin(), from.problems.end());
  for (const auto& [kind, n] : from.skipped) to.skipped[kind] += n;
}

// Within one document the decoder sees to it; here, across them.
void refuse_repeated(Decoded& d, const std::string& path) {
  std::set<ObjectKey> seen;
  std::erase_if(d.objects, [&](const ObjectPtr& o) {
    if (seen.insert(o->key).second) return false;
    d.problems.push_back({path, o->place.document, o->place.line, to_string(o->key), "metadata.name",
                          "the same object stands twice in this file: remove one"});
    return true;
  });
}

}  // namespace

std::vector<std::string_view> split_documents(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t line = 0; line < text.size();) {
    const std::string_view rest = text.substr(line);
    if (rest[0] == '%' || rest.starts_with("...")) return {text};
    if (line != 0 && rest[0] == '-' && begins_document(rest)) {
      parts.push_back(text.substr(begin, line - begin));
      begin = line;
    }
    const size_t end = rest.find('\n');
    line = end == std::string_view::npos ? text.size() : line + end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// Counted from the file's begin or, in case documents came or went before it, from its end.
const DocumentCache::Part* DocumentCache::find(const std::vector<Part>& known,
                                               const std::vector<std::string_view>& texts, size_t i) {
  for (const size_t at : {i, i + known.size() - texts.size()})
    if (at < known.size() && known[at].text == texts[i]) return &known[at];
  return nullptr;
}

DocumentCache::Part DocumentCache::moved(const Part& part, uint32_t first_line, uint32_t first_document) {
  Part p = part;
  const uint32_t lines = first_line - part.first_line;
  const uint32_t documents = first_document - part.first_document;
  p.first_line = first_line;
  p.first_document = first_document;
  if (lines == 0 && documents == 0) return p;
  for (ObjectPtr& o : p.decoded.objects) o = mgmt::moved(*o, documents, lines);
  for (Problem& problem : p.decoded.problems) {
    problem.document += documents;
    problem.line += lines;
  }
  return p;
}

std::variant<Decoded, YamlError> DocumentCache::read(const std::string& path, const std::string& text,
                                                     const HostPorts& host) {
  const std::vector<std::string_view> texts = split_documents(text);
  std::vector<Part>& known = files_[path];
  std::vector<Part> parts;
  parts.reserve(texts.size());
  uint32_t line = 0;
  uint32_t document = 0;
  Decoded all;
  for (size_t i = 0; i < texts.size(); ++i) {
    Part part;
    if (const Part* before = find(known, texts, i)) {
      part = moved(*before, line, document);
    } else {
      auto parsed = parse_yaml(texts[i], line, document);
      if (auto* error = std::get_if<YamlError>(&parsed)) return std::move(*error);
      const Tree& tree = std::get<Tree>(parsed);
      part = {std::string(texts[i]), line, document, static_cast<uint32_t>(tree.documents().size()),
              decode(tree, path, host, document)};
    }
    line += static_cast<uint32_t>(std::count(texts[i].begin(), texts[i].end(), '\n'));
    document += part.documents;
    append(all, part.decoded);
    parts.push_back(std::move(part));
  }
  known = std::move(parts);
  refuse_repeated(all, path);
  return all;
}

}  // namespace guideway::mgmt
