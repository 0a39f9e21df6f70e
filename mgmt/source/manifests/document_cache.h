// Reads manifests document by document, and only those that changed since the file was last read: a controller or a
// script that rewrites a file of a hundred objects to change one endpoint costs one document's parsing, also where that
// moves the documents below it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mgmt/source/decode.h"
#include "mgmt/source/yaml.h"

namespace guideway::mgmt {

class DocumentCache {
 public:
  std::variant<Decoded, YamlError> read(const std::string& path, const std::string& text, const HostPorts& host);
  void forget(const std::string& path) { files_.erase(path); }

 private:
  struct Part {
    std::string text;
    uint32_t first_line = 0;      // of the file, from 0
    uint32_t first_document = 0;  // likewise
    uint32_t documents = 0;
    Decoded decoded;
  };
  static const Part* find(const std::vector<Part>& known, const std::vector<std::string_view>& texts, size_t i);
  static Part moved(const Part& part, uint32_t first_line, uint32_t first_document);

  std::map<std::string, std::vector<Part>> files_;
};

// A text cut before each line that begins a document; in one piece if it holds directives or document ends, which bind
// documents together.
std::vector<std::string_view> split_documents(std::string_view text);

}  // namespace guideway::mgmt
