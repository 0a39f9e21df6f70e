// What is wrong with the desired state, told so that the operator finds the spot.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace guideway::mgmt {

struct Problem {
  std::string file;       // path of the manifest; empty: it concerns no file
  uint32_t document = 0;  // from 1; 0: the file as a whole
  uint32_t line = 0;      // from 1; 0: unknown
  std::string object;     // "Service demo/web", or empty
  std::string field;      // "spec.ports[0].port", or empty
  std::string text;       // a sentence with the remedy
  friend auto operator<=>(const Problem&, const Problem&) = default;
};

// "FILE:LINE (document 2): Service demo/web: spec.ports[0].port: TEXT", without what is unknown.
std::string to_string(const Problem& p);

}  // namespace guideway::mgmt
