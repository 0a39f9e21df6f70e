// Which names objects may have.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace guideway::mgmt {

inline constexpr size_t kMaxName = 253;
inline constexpr size_t kMaxNamespace = 63;
inline constexpr size_t kMaxPortName = 63;

// Names stand in tables, logs, file names and the engine's names. These characters Kubernetes allows in labels' values,
// and of them no capitals and no '_' in an object's own name.
inline bool is_name(std::string_view text, size_t longest) {
  return text.size() <= longest && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                  c == '_';
         });
}

// What is_name() asks for.
inline std::string name_rule(size_t longest) {
  return "at most " + std::to_string(longest) + " letters, digits, '-', '.' and '_'";
}

}  // namespace guideway::mgmt
