// How text for people looks: how much of it, and in which colours. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace guideway::mgmt {

struct Style {
  bool wide = false;     // every column
  bool colours = false;  // a terminal shows it
};

// Sparing: what is as it should be has none.
enum class Colour : uint8_t { kNone, kYellow, kRed };

inline std::string painted(const Style& style, Colour colour, const std::string& text) {
  if (!style.colours || colour == Colour::kNone) return text;
  return (colour == Colour::kRed ? "\x1b[31m" : "\x1b[33m") + text + "\x1b[0m";
}

}  // namespace guideway::mgmt
