// Text that others wrote, made fit for a line of a log or a terminal: what would end the line, or command the terminal,
// is shown as it is written in C. Pure.
#pragma once

#include <string>
#include <string_view>

namespace guideway::log {

// Control characters of ASCII and of Latin-1's upper half (in UTF-8) as "\n", "\x1b"; the rest stays as it is.
inline std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool upper = byte == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009F
    if (upper) byte = static_cast<unsigned char>(text[++i]);
    if (!upper && byte >= 0x20 && byte != 0x7f) {
      out += text[i];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

}  // namespace guideway::log
