// guideway: the command-line client of guidewayd's API.

#include "mgmt/cli/commands.h"

int main(int argc, char** argv) {
  using namespace guideway::mgmt;
  Client client;
  CLI::App app{"Shows what Guideway does, and changes it. Talks to guidewayd.", "guideway"};
  app.set_version_flag("--version", "guideway " GUIDEWAY_VERSION);
  app.add_option("--server", client.server, "Where guidewayd serves its API")
      ->capture_default_str()
      ->type_name("unix:PATH");
  app.require_subcommand(1);
  add_lists(app, client);
  add_services(app, client);
  add_connections(app, client);
  add_objects(app, client);
  add_weights(app, client);
  add_top(app, client);
  add_doctor(app, client);
  add_log_level(app, client);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;
  }
  return client.exit_code;
}
