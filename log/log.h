// How guidewayd and guideway-engine log: a line a message on standard error, as text or as JSON, and no storms. What
// says something says it by spdlog.
#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>
#include <string>

#include "log/level.h"

// Whose header takes a compiler eight seconds.
namespace CLI {
class App;
}

namespace guideway::log {

enum class Format : uint8_t {
  kText,
  kJournal,  // text without a time, and with its priority as systemd's journal reads it: that has both already
  kJson,     // {"time": RFC 3339, "level", "program", "message"}
};

struct Options {
  std::string level = "info";
  std::string format = "text";
};

// --log-level and --log-format.
void add_options(CLI::App& app, Options& options);

// From here on all goes to standard error.
void start(const char* program, const Options& options);
// Why it ends: said at every level.
void last_words(const std::string& why);
// The program has started, and nothing that it says from now on is the reason why it doesn't: storms are cut off. To be
// called again each second or so: says what was left out.
void limit();

// Of start(), for a sink of one's own; text if it is for the journal.
std::unique_ptr<spdlog::formatter> make_formatter(Format format);
// Passes on what isn't part of a storm.
std::shared_ptr<spdlog::sinks::sink> make_limited(std::shared_ptr<spdlog::sinks::sink> to);

}  // namespace guideway::log
