#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/spawn.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(15);  // until the daemon is connected again
constexpr auto kPause = std::chrono::milliseconds(200);

int fail(const std::string& text) {
  std::cerr << "guideway: " << text << "\n";
  return kFailed;
}

// The engine, if the daemon is connected to one that answers.
std::optional<v1::Engine> engine_of(Client& client) {
  v1::GetStatusResponse status;
  if (!client.ask(&v1::Appliance::Stub::GetStatus, {}, &status).ok() || !status.engine().has_status())
    return std::nullopt;
  return status.engine();
}

// `systemctl reload` waits until the new engine forwards or has failed; what it says of that is its journal.
int upgrade(Client& client, const std::string& unit) {
  const auto before = engine_of(client);
  const auto active = run({"systemctl", "is-active", "--quiet", unit});
  if (!active)
    return fail(
        "systemctl can't be run; without systemd, start the new engine with --upgrade: "
        "guideway-engine --upgrade and the options of the one that runs");
  if (*active != 0)
    return fail(unit + " isn't active, so there is nothing to upgrade: systemctl start " + unit +
                "; an engine that runs without systemd: guideway-engine --upgrade and its options");
  const auto began = Clock::now();
  if (run({"systemctl", "reload", unit}) != 0)
    return fail("the upgrade failed: journalctl -u " + unit + " says why; guideway status, which engine runs now");
  const auto deadline = Clock::now() + kPatience;
  do {
    const auto now = engine_of(client);
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count() + 1;
    if (now && now->status().uptime_seconds() <= static_cast<uint64_t>(age)) {
      if (!client.for_people()) return client.print_message(*now);
      return client.print_text((before ? "guideway-engine " + before->version() + " → " : "guideway-engine ") +
                               now->version() + ", up for " + duration(now->status().uptime_seconds()) + "\n");
    }
    std::this_thread::sleep_for(kPause);
  } while (Clock::now() < deadline);
  return fail("the new engine has taken over, but the daemon isn't connected to it yet: guideway status");
}

}  // namespace

void add_upgrade_engine(CLI::App& app, Client& client) {
  const auto unit = std::make_shared<std::string>("guideway-engine.service");
  CLI::App* sub = client.command(app, "upgrade-engine",
                                 "Put the installed engine in the place of the one that runs, without breaking a "
                                 "connection; as root, on its host");
  sub->add_option("--unit", *unit, "The engine's unit of systemd")->capture_default_str()->type_name("NAME");
  sub->callback([&client, unit] { client.exit_code = upgrade(client, *unit); });
}

}  // namespace guideway::mgmt
