// How long a large state takes from the daemon's start to the packets, and how much memory it needs in each process.
#pragma once

#include <string>

namespace guideway::bench {

// `build`: where the programs are. Prints; 0, or 1 if a program doesn't start or the state doesn't arrive.
int run_scale(const std::string& build, unsigned services);

}  // namespace guideway::bench
