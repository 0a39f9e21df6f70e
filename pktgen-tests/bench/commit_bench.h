// How long a changed manifest takes to the packets: from the close of the file to its generation being in force, with
// the real guidewayd and guideway-engine as processes of their own.
#pragma once

#include <string>

namespace guideway::bench {

// `build`: where the programs are; `json`: where the records go, or empty. Prints medians; 0, or 1 if a program doesn't
// start, a change doesn't arrive or the file can't be written.
int run_commit(const std::string& build, unsigned turns, const std::string& json);

}  // namespace guideway::bench
