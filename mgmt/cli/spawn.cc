#include "mgmt/cli/spawn.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace guideway::mgmt {

std::optional<int> run(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  int status = 0;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0 || ::waitpid(pid, &status, 0) != pid ||
      !WIFEXITED(status))
    return std::nullopt;
  return WEXITSTATUS(status);
}

}  // namespace guideway::mgmt
