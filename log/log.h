// How guidewayd and guideway-engine log: a line a message on standard error, as text or as JSON, and no storms. What
// goes well is said by spdlog, what doesn't by trouble.h.
#pragma once

#include <spdlog/sinks/sink.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "log/level.h"
#include "log/trouble.h"

// Whose header takes a compiler eight seconds.
namespace CLI {
class App;
}

namespace guideway::log {

enum class Format : uint8_t {
  kText,
  kJournal,  // text without a time, and with its priority as systemd's journal reads it: that has both already
  kJson,     // {"time": RFC 3339, "level", "program", "message"}, and what fields a message has
};

struct Options {
  std::string level = "info";
  std::string format = "text";
};

// --log-level and --log-format.
void add_options(CLI::App& app, Options& options);

// From here on all goes to standard error.
void start(const char* program, const Options& options);
// What a message says, once more in parts: keys of their own in JSON. Those that are empty are left out. Messages of
// one `kind` count as the same to who cuts off storms; without one, those that differ in nothing but numbers and
// addresses.
using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;
void write(spdlog::level::level_enum level, std::string_view message, Fields fields, std::string_view kind = "");
// The same, at every level: what else would be hidden by the change that it tells.
void write_at_any_level(std::string_view message, Fields fields, std::string_view kind = "");
// Why it ends: said at every level.
void last_words(const Trouble& why);
// The program has started, and nothing that it says from now on is the reason why it doesn't: storms are cut off. To be
// called again each second or so: says what was left out.
void limit();

// Of start(), for a sink of one's own; text if it is for the journal.
std::unique_ptr<spdlog::formatter> make_formatter(Format format);
// Passes on what isn't part of a storm.
std::shared_ptr<spdlog::sinks::sink> make_limited(std::shared_ptr<spdlog::sinks::sink> to);

}  // namespace guideway::log
