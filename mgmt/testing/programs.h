// The programs as they are installed, run by tests: guidewayd and guideway, in a temporary directory with a fake
// engine.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "mgmt/testing/rig.h"

namespace guideway::mgmt {

// `program`: the environment variable that holds its path. Its output goes to a file.
pid_t spawn(const char* program, std::vector<std::string> arguments, const std::string& output);
// Waits for it; -1 if a signal ended it.
int exit_code(pid_t pid);

// A running guidewayd; stopped with the test.
struct Running {
  explicit Running(pid_t p) : pid(p) {}
  Running(Running&& o) noexcept : pid(std::exchange(o.pid, -1)) {}
  ~Running() {
    if (pid > 0) stop();
  }
  int stop();
  pid_t pid;
};

struct Site {
  TemporaryDirectory dir;
  FakeEngine engine{dir / "engine.sock", hello_with_limits()};
  std::string listen = "unix:" + (dir / "api.sock");

  Site();
  static engine::Hello hello_with_limits();
  std::vector<std::string> daemon_arguments() const;
  pid_t start(const std::string& log = "daemon.log") const { return spawn("GUIDEWAYD", daemon_arguments(), dir / log); }
  int cli(std::vector<std::string> arguments, std::string& out) const;
  // Until the text shows up, at most ten seconds.
  std::string cli_until(const std::vector<std::string>& arguments, const std::string& text) const;
};

// What stands in the file, once the text does; at most ten seconds.
std::string wait_for(const std::string& path, const std::string& text);

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace guideway::mgmt
