// What a benchmark found, as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace guideway::bench {

// Each an object: its scenario, then figures whose names have their units.
using Records = std::vector<nlohmann::ordered_json>;

// A list, one record a line. Without a file's name nothing is written; false, and said, if it can't be.
inline bool write_records(const std::string& file, const Records& records) {
  if (file.empty()) return true;
  std::ofstream out(file);
  const char* before = "[\n  ";
  for (const auto& record : records) {
    out << before << record.dump();
    before = ",\n  ";
  }
  out << "\n]\n";
  out.close();
  if (!out) std::fprintf(stderr, "%s can't be written\n", file.c_str());
  return !out.fail();
}

}  // namespace guideway::bench
