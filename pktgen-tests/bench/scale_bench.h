// How long a large state takes from the daemon's start to the packets, and how much memory it needs in each process.
#pragma once

#include <string>

namespace guideway::bench {

// `build`: where the programs are; `json`: where the records go, or empty. Prints; 0, or 1 if a program doesn't start,
// the state doesn't arrive or the file can't be written.
int run_scale(const std::string& build, unsigned services, const std::string& json);

}  // namespace guideway::bench
