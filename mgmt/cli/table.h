// Aligned columns for a terminal. Pure.
#pragma once

#include <string>
#include <vector>

namespace guideway::mgmt {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Columns are three spaces apart, as kubectl has them; an empty cell shows "-".
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace guideway::mgmt
