#include "mgmt/testing/programs.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {

pid_t spawn(const char* program, std::vector<std::string> arguments, const std::string& output) {
  const char* path = std::getenv(program);
  REQUIRE(path != nullptr);
  arguments.insert(arguments.begin(), path);
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ::dup2(fd, 1) < 0 || ::dup2(fd, 2) < 0) ::_exit(127);
    ::execv(path, argv.data());
    ::_exit(127);
  }
  return pid;
}

int exit_code(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int Running::stop() {
  ::kill(pid, SIGTERM);
  return exit_code(std::exchange(pid, -1));
}

Site::Site() { std::filesystem::create_directory(dir / "m"); }

engine::Hello Site::hello_with_limits() {
  engine::Hello h = FakeEngine::good_hello();
  h.mutable_limits()->set_services(16384);
  h.mutable_limits()->set_reals_per_service(32766);
  h.mutable_limits()->set_fragments(1024);
  return h;
}

std::vector<std::string> Site::daemon_arguments() const {
  return {"--manifests", dir / "m", "--state-dir", dir / "s", "--engine", dir / "engine.sock", "--listen", listen};
}

int Site::cli(std::vector<std::string> arguments, std::string& out) const {
  arguments.insert(arguments.begin(), {"--server", listen});
  const int code = exit_code(spawn("GUIDEWAY", arguments, dir / "cli.out"));
  out = *read_whole_file(dir / "cli.out");
  return code;
}

std::string Site::cli_until(const std::vector<std::string>& arguments, const std::string& text) const {
  std::string out;
  for (int i = 0; i < 200; ++i) {
    if (cli(arguments, out) == 0 && out.find(text) != std::string::npos) break;
    ::usleep(50000);
  }
  return out;
}

std::string wait_for(const std::string& path, const std::string& text) {
  std::string out;
  for (int i = 0; i < 200 && !contains(out, text); ++i) {
    ::usleep(50'000);
    if (const auto bytes = read_whole_file(path); bytes.ok()) out = *bytes;
  }
  return out;
}

}  // namespace guideway::mgmt
