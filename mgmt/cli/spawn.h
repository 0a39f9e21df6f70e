// Runs another program, with our streams.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace guideway::mgmt {

// Its exit code. Nothing: it can't be run, or a signal ended it.
std::optional<int> run(std::vector<std::string> words);

}  // namespace guideway::mgmt
