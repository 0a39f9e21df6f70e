#include "mgmt/model/problem.h"

namespace guideway::mgmt {

std::string to_string(const Problem& p) {
  std::string s = p.file;
  if (p.line != 0) s += ":" + std::to_string(p.line);
  if (p.document != 0) s += " (document " + std::to_string(p.document) + ")";
  for (const std::string* part : {&p.object, &p.field, &p.text}) {
    if (part->empty()) continue;
    if (!s.empty()) s += ": ";
    s += *part;
  }
  return s;
}

}  // namespace guideway::mgmt
