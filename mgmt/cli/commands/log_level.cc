#include <memory>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

struct LogLevelOptions {
  std::string program;
  std::string level;
};

int log_level(Client& client, const LogLevelOptions& o) {
  v1::Program program = v1::PROGRAM_UNSPECIFIED;
  if (!o.program.empty()) v1::Program_Parse("PROGRAM_" + upper(o.program), &program);
  if (!o.level.empty()) {
    v1::SetLogLevelRequest request;
    v1::SetLogLevelResponse response;
    v1::LogLevel level = v1::LOG_LEVEL_UNSPECIFIED;
    v1::LogLevel_Parse("LOG_LEVEL_" + upper(o.level), &level);
    request.set_program(program);
    request.set_level(level);
    if (const grpc::Status s = client.ask(&v1::Appliance::Stub::SetLogLevel, request, &response); !s.ok())
      return client.fail(s);
  }
  v1::GetLogLevelsResponse levels;
  if (const grpc::Status s = client.ask(&v1::Appliance::Stub::GetLogLevels, {}, &levels); !s.ok())
    return client.fail(s);
  v1::GetLogLevelsResponse wanted;
  for (const auto& p : levels.programs())
    if (program == v1::PROGRAM_UNSPECIFIED || p.program() == program) *wanted.add_programs() = p;
  return client.print(wanted);
}

}  // namespace

void add_log_level(CLI::App& app, Client& client) {
  const auto o = std::make_shared<LogLevelOptions>();
  CLI::App* sub =
      client.command(app, "log-level", "How much the daemon and the engine log; with LEVEL changes it until they end");
  sub->add_option("program", o->program, "The one alone")
      ->check(CLI::IsMember({"daemon", "engine"}))
      ->type_name("PROGRAM");
  sub->add_option("level", o->level, "The level from now on")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL");
  sub->callback([&client, o] { client.exit_code = log_level(client, *o); });
}

}  // namespace guideway::mgmt
