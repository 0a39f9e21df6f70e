#include "log/log.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <regex>
#include <sstream>
#include <thread>

namespace guideway::log {
namespace {

// A logger as start() makes it, into a string.
struct Log {
  explicit Log(Format format) {
    auto logger =
        std::make_shared<spdlog::logger>("test", make_limited(std::make_shared<spdlog::sinks::ostream_sink_mt>(out)));
    logger->set_formatter(make_formatter(format));
    spdlog::set_default_logger(std::move(logger));
    spdlog::set_level(spdlog::level::info);
  }
  std::ostringstream out;
};

TEST_CASE("log: text has time, level and program", "[log]") {
  Log log(Format::kText);
  spdlog::error("it \"fails\"");
  INFO(log.out.str());
  CHECK(std::regex_match(log.out.str(),
                         std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error test: it "fails"\n)")));
}

TEST_CASE("log: the journal gets a priority, and no time of ours", "[log]") {
  Log log(Format::kJournal);
  spdlog::set_level(spdlog::level::debug);
  spdlog::error("a");
  spdlog::warn("b");
  spdlog::info("c");
  spdlog::debug("d");
  CHECK(log.out.str() == "<3>a\n<4>b\n<6>c\n<7>d\n");
}

TEST_CASE("log: a message is one line, and commands nothing", "[log]") {
  const std::string message = "kind a\n<0>panic\r\x1b[2J\x7f\t\xc2\x9b, \u00e9 and \xff \\";
  const std::string shown = R"(kind a\n<0>panic\x0d\x1b[2J\x7f\t\x9b, )"
                            "\u00e9 and \xff \\\n";
  Log journal(Format::kJournal);
  spdlog::warn("{}", message);
  CHECK(journal.out.str() == "<4>" + shown);
  Log text(Format::kText);
  spdlog::warn("{}", message);
  INFO(text.out.str());
  CHECK(text.out.str().ends_with("Z warn test: " + shown));
}

TEST_CASE("log: JSON is a whole object a line, whatever the message is", "[log]") {
  Log log(Format::kJson);
  const std::string message = "a \"quote\", a \\, a\nline, \x01, \u00e9 and \xff";
  spdlog::warn("{}", message);
  spdlog::info("next");
  std::istringstream lines(log.out.str());
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto object = nlohmann::json::parse(line);
  CHECK(object["level"] == "warn");
  CHECK(object["program"] == "test");
  CHECK(object["message"] == "a \"quote\", a \\, a\nline, \x01, \u00e9 and \ufffd");
  CHECK(std::regex_match(object["time"].get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line)["message"] == "next");
  CHECK_FALSE(std::getline(lines, line));
}

TEST_CASE("log: JSON has what a message says in fields of their own, and the next message hasn't", "[log]") {
  Log log(Format::kJson);
  error({"port eth0", "its link is gone", "ip link set eth0 up"});
  spdlog::warn("next");
  warn({"", "no subject", "none"});
  std::istringstream lines(log.out.str());
  std::string line;
  REQUIRE(std::getline(lines, line));
  auto object = nlohmann::json::parse(line);
  CHECK(object["level"] == "error");
  CHECK(object["message"] == "port eth0: its link is gone; ip link set eth0 up");
  CHECK(object["subject"] == "port eth0");
  CHECK(object["remedy"] == "ip link set eth0 up");
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line).size() == 4);
  REQUIRE(std::getline(lines, line));
  object = nlohmann::json::parse(line);
  CHECK(object["level"] == "warn");
  CHECK_FALSE(object.contains("subject"));
  CHECK(object["remedy"] == "none");
}

// In this order: limit() holds for the process.
TEST_CASE("log: nothing is cut off before the program has started, and storms after", "[log]") {
  const auto lines = [](const Log& log) {
    const std::string text = log.out.str();
    return std::count(text.begin(), text.end(), '\n');
  };
  Log start(Format::kText);
  for (int i = 0; i < 100; ++i) spdlog::error("manifest {} is malformed", i);
  CHECK(lines(start) == 100);
  limit();
  Log storm(Format::kText);
  for (int i = 0; i < 100; ++i) spdlog::error("manifest {} is malformed", i);
  CHECK(lines(storm) == 10);
  spdlog::error("another");
  CHECK(lines(storm) == 11);
  for (char c = 'a'; c <= 'z'; ++c) write(spdlog::level::warn, std::string("refused ") + c, {}, "refused a stranger");
  CHECK(lines(storm) == 21);
  spdlog::set_level(spdlog::level::off);
  last_words({"", "manifest 7 is malformed", "mend it"});
  CHECK(lines(storm) == 22);
  limit();
  spdlog::set_level(spdlog::level::debug);
  for (int i = 0; i < 100; ++i) spdlog::debug("commit {}", i);
  CHECK(lines(storm) == 122);
}

TEST_CASE("log: a level is set, told and said", "[log]") {
  Log log(Format::kJournal);
  CHECK(level() == Level::kInfo);
  for (const Level l : {Level::kTrace, Level::kDebug, Level::kWarn, Level::kError, Level::kOff, Level::kInfo}) {
    set_level(l);
    CHECK(level() == l);
  }
  CHECK(log.out.str() ==
        "<6>log level trace, it was info\n<6>log level debug, it was trace\n<6>log level warn, it was debug\n"
        "<6>log level info, it was off\n");
}

TEST_CASE("log: a line at any level is said whatever the level is, and takes back no change of it", "[log]") {
  Log log(Format::kJournal);
  spdlog::set_level(spdlog::level::off);
  write_at_any_level("said", {});
  CHECK(log.out.str() == "<6>said\n");
  Log busy(Format::kJournal);
  std::atomic<bool> end = false;
  std::thread others([&] {
    while (!end) write_at_any_level("said", {});
  });
  int lost = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto wanted = i % 2 == 0 ? spdlog::level::trace : spdlog::level::debug;
    spdlog::set_level(wanted);
    std::this_thread::yield();
    lost += spdlog::get_level() == wanted ? 0 : 1;
  }
  end = true;
  others.join();
  CHECK(lost == 0);
}

}  // namespace
}  // namespace guideway::log
