#include "log/log.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "log/limiter.h"
#include "log/printable.h"

namespace guideway::log {
namespace {

std::atomic<bool> limiting{false};
// Of the message that this thread writes.
thread_local const Fields* fields_now = nullptr;
thread_local std::string_view kind_now;
struct Now {
  Now(const Fields& fields, std::string_view kind) {
    fields_now = &fields;
    kind_now = kind;
  }
  ~Now() {
    fields_now = nullptr;
    kind_now = {};
  }
};

constexpr const char* kTime = "%Y-%m-%dT%H:%M:%S.%eZ";

// As sd-daemon(3) numbers them: "<3>".
class Priority final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& m, const std::tm&, spdlog::memory_buf_t& out) override {
    const char digit = m.level >= spdlog::level::err ? '3' : m.level == spdlog::level::warn ? '4' : '6';
    out.push_back('<');
    out.push_back(m.level <= spdlog::level::debug ? '7' : digit);
    out.push_back('>');
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Priority>(); }
};

// A name in a manifest may be of any bytes: none of them begins a line or commands a terminal.
class Message final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& m, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string text = printable({m.payload.data(), m.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Message>(); }
};

class LevelName final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& m, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string_view name = name_of(m.level);
    out.append(name.data(), name.data() + name.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelName>(); }
};

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& m, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t time;
    time_.format(m, time);
    const auto text = [](const auto& s) { return std::string(s.data(), s.size()); };
    nlohmann::ordered_json line = {{"time", text(time)},
                                   {"level", name_of(m.level)},
                                   {"program", text(m.logger_name)},
                                   {"message", text(m.payload)}};
    if (fields_now != nullptr)
      for (const auto& [key, value] : *fields_now)
        if (!value.empty()) line[std::string(key)] = value;
    // A file's name may be of any bytes.
    const std::string dumped = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    out.append(dumped.data(), dumped.data() + dumped.size());
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }

 private:
  spdlog::pattern_formatter time_{kTime, spdlog::pattern_time_type::utc, ""};
};

class LimitedSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LimitedSink(std::shared_ptr<spdlog::sinks::sink> to) : to_(std::move(to)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& m) override {
    tell_ended(m.logger_name);
    // Who asks for more than usual wants all of it.
    const bool free = !limiting || m.level < spdlog::level::info;
    const std::string_view message(m.payload.data(), m.payload.size());
    if (free || limiter_.admit(kind_now.empty() ? message : kind_now, message, Limiter::Clock::now())) to_->log(m);
  }
  void flush_() override {
    tell_ended(spdlog::default_logger_raw()->name());
    to_->flush();
  }
  void set_formatter_(std::unique_ptr<spdlog::formatter> f) override { to_->set_formatter(std::move(f)); }

  void tell_ended(spdlog::string_view_t program) {
    const Fields* const others = std::exchange(fields_now, nullptr);
    for (const Limiter::Suppressed& s : limiter_.take_ended(Limiter::Clock::now())) {
      const std::string text = "suppressed " + std::to_string(s.count) + (s.similar ? " similar" : " of many kinds") +
                               ", the last: " + s.last;
      to_->log(spdlog::details::log_msg(program, spdlog::level::warn, text));
    }
    fields_now = others;
  }

  std::shared_ptr<spdlog::sinks::sink> to_;
  Limiter limiter_;
};

// As systemd says it: standard error is the very stream that JOURNAL_STREAM names, and not a file instead.
bool goes_to_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st{};
  return stream != nullptr && ::fstat(STDERR_FILENO, &st) == 0 &&
         std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) == stream;
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  app.add_option("--log-level", options.level, "How much is logged; guideway log-level changes it at run time")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str()
      ->type_name("LEVEL");
  app.add_option("--log-format", options.format, "Lines of text, or a JSON object a line")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->type_name("FORMAT");
}

std::unique_ptr<spdlog::formatter> make_formatter(Format format) {
  if (format == Format::kJson) return std::make_unique<JsonFormatter>();
  auto text = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  text->add_flag<Priority>('*').add_flag<Message>('v').add_flag<LevelName>('l');
  text->set_pattern(format == Format::kJournal ? "%*%v" : std::string(kTime) + " %^%l%$ %n: %v");
  return text;
}

std::shared_ptr<spdlog::sinks::sink> make_limited(std::shared_ptr<spdlog::sinks::sink> to) {
  return std::make_shared<LimitedSink>(std::move(to));
}

void start(const char* program, const Options& options) {
  const char* no_colour = std::getenv("NO_COLOR");
  const auto mode =
      no_colour != nullptr && *no_colour != '\0' ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto logger = std::make_shared<spdlog::logger>(
      program, make_limited(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode)));
  Format format = goes_to_the_journal() ? Format::kJournal : Format::kText;
  if (options.format == "json") format = Format::kJson;
  logger->set_formatter(make_formatter(format));
  logger->set_level(spdlog::level::from_str(options.level));
  spdlog::set_default_logger(std::move(logger));
}

void write(spdlog::level::level_enum level, std::string_view message, Fields fields, std::string_view kind) {
  const Now now(fields, kind);
  spdlog::log(level, "{}", message);
}

// Around the logger: its level may be changed at any time.
void write_at_any_level(std::string_view message, Fields fields, std::string_view kind) {
  const Now now(fields, kind);
  const spdlog::logger& logger = *spdlog::default_logger_raw();
  const spdlog::string_view_t text(message.data(), message.size());
  for (const spdlog::sink_ptr& sink : logger.sinks())
    sink->log(spdlog::details::log_msg(logger.name(), spdlog::level::info, text));
}

void last_words(const Trouble& why) {
  spdlog::set_level(std::min(spdlog::get_level(), spdlog::level::err));
  limiting = false;
  error(why);
}

void limit() {
  limiting = true;
  spdlog::default_logger_raw()->flush();
}

}  // namespace guideway::log
