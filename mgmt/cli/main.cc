// guideway: the command-line client of guidewayd's API.

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "mgmt/cli/commands.h"

namespace {

// As the rest of --help is laid out: the man page is made of it.
constexpr const char* kFooter = R"(Exit status:
  0                           Done
  1                           It failed, and standard error says why; doctor: something doesn't work; diff: there is a difference
  2                           The command line is wrong, whether guideway finds it or guidewayd, or a file that it names can't be read; diff: it failed
  3                           trace: the packet wouldn't go on, but be dropped, wait, or be left to the host

Environment:
  NO_COLOR                    If it is set, nothing is coloured, on a terminal either

Files:
  /run/guideway/guideway.sock
                              Where guidewayd serves its API, to root and the group guideway

Examples:
  guideway status             Whether all is well
  guideway services -o wide   Every VIP, with all that is known of it
  guideway services describe demo/web
                              Why this one doesn't work
  guideway top --sort bits    Who takes the line
  guideway connections --client 203.0.113.0/24
                              What a client is connected to
  guideway log-level engine debug
                              Look closer, without a restart

See also:
  guidewayd(8), guideway-engine(8)
)";

// That CLI11 calls an unexpected argument, or doesn't mention; "" if that isn't it. A word after a command isn't one.
std::string unknown_command(const CLI::App& app, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (!app.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; }).empty()) return "";
    if (!word.starts_with('-') && std::ranges::count(app.remaining(), word) != 0) return word;
  }
  return "";
}

// "help services describe" asks what "services describe --help" does.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace guideway::mgmt;
  // What libraries log of a failure is said by us.
  google::protobuf::SetLogHandler(nullptr);
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  Client client;
  CLI::App app{"Shows what Guideway does, and changes it. Talks to guidewayd.", "guideway"};
  app.set_version_flag("--version", "guideway " GUIDEWAY_VERSION);
  client.options(app);
  app.require_subcommand(1);
  add_lists(app, client);
  add_services(app, client);
  add_backends(app, client);
  add_connections(app, client);
  add_filters(app, client);
  add_objects(app, client);
  add_weights(app, client);
  add_top(app, client);
  add_doctor(app, client);
  add_trace(app, client);
  add_log_level(app, client);
  add_upgrade_engine(app, client);
  app.footer(kFooter);  // after the commands, which would have it too
  const auto words = words_of(argc, argv);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& e) {
    if (const std::string word = unknown_command(app, words); e.get_exit_code() != 0 && !word.empty())
      return wrong_usage("there is no command '" + word + "': guideway --help lists them");
    std::ostringstream help;
    return app.exit(e, help) == 0 ? Client::print_text(help.str()) : kUsage;
  }
  return client.exit_code;
}
