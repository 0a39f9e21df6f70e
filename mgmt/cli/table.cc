#include "mgmt/cli/table.h"

#include <algorithm>

namespace guideway::mgmt {

std::string Table::str() const {
  std::vector<size_t> widths;
  const auto shown = [](const std::string& cell) { return cell.empty() ? std::string("-") : cell; };
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown(row[i]).size());
  }
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string cell = shown(row[i]);
      out += cell;
      if (i + 1 < row.size()) out.append(widths[i] - cell.size() + 3, ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace guideway::mgmt
