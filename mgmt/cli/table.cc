#include "mgmt/cli/table.h"

#include <algorithm>

namespace guideway::mgmt {
namespace {

const std::string& shown(const Cell& cell) {
  static const std::string none = "-";
  return cell.text.empty() ? none : cell.text;
}

}  // namespace

std::string Table::str() const {
  std::vector<size_t> widths;  // of the columns shown; colours have none
  std::vector<size_t> picked;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].wide && !style_.wide) continue;
    size_t width = columns_[i].name.size();
    for (const auto& row : rows_) width = std::max(width, shown(row[i]).size());
    picked.push_back(i);
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const auto& cell_of) {
    for (size_t n = 0; n < picked.size(); ++n) {
      const Cell& cell = cell_of(picked[n]);
      out += painted(style_, cell.colour, shown(cell));
      if (n + 1 < picked.size()) out.append(widths[n] - shown(cell).size() + 3, ' ');
    }
    out += '\n';
  };
  line([&](size_t i) { return Cell(columns_[i].name); });
  for (const auto& row : rows_) line([&](size_t i) -> const Cell& { return row[i]; });
  return out;
}

}  // namespace guideway::mgmt
