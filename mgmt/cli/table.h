// Aligned columns for a terminal. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mgmt/cli/style.h"

namespace guideway::mgmt {

struct Column {
  Column(std::string n, bool w = false) : name(std::move(n)), wide(w) {}
  Column(const char* n) : name(n) {}
  std::string name;
  bool wide = false;  // shown only where the style is
};

inline Column wide(std::string name) { return {std::move(name), true}; }

struct Cell {
  Cell(std::string t, Colour c = Colour::kNone) : text(std::move(t)), colour(c) {}
  Cell(const char* t, Colour c = Colour::kNone) : text(t), colour(c) {}
  std::string text;
  Colour colour;
};

class Table {
 public:
  Table(Style style, std::vector<Column> columns) : style_(style), columns_(std::move(columns)) {}
  // A cell for each column.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  // Columns are three spaces apart, as kubectl has them; an empty cell shows "-".
  std::string str() const;

 private:
  Style style_;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace guideway::mgmt
