// Which names objects may have.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace guideway::mgmt {

inline constexpr size_t kMaxName = 253;
inline constexpr size_t kMaxNamespace = 63;

// Letters, digits, '-', '.' and '_': names stand in tables, logs, file names and the engine's names.
inline bool is_name(std::string_view text, size_t longest) {
  return text.size() <= longest && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                  c == '_';
         });
}

}  // namespace guideway::mgmt
