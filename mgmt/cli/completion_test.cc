// The completions, asked by the shells themselves, of the programs as they were built.
#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "mgmt/testing/programs.h"
#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

std::string completions() {
  const char* source = std::getenv("GUIDEWAY_SOURCE");
  REQUIRE(source != nullptr);
  return std::string(source) + "/configs/completions/";
}

// What a script for a shell prints, the last newline cut off.
std::string run(const std::string& shell, const std::string& script) {
  const TemporaryDirectory dir;
  write_file(dir / "script", script);
  const std::string command = "timeout 60 " + shell + " " + (dir / "script") + " 2>&1";
  std::FILE* out = popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  std::string answer;
  std::array<char, 256> part;
  while (std::fgets(part.data(), part.size(), out) != nullptr) answer += part.data();
  pclose(out);
  if (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

// A line that is being typed, and what becomes of its last word.
struct Typed {
  std::string line;
  std::string completed;
};

std::vector<Typed> typed(const TemporaryDirectory& dir) {
  std::filesystem::create_directory(dir / "manifests");
  return {
      {"guideway serv", "services"},
      {"guideway services desc", "describe"},
      {"guideway status -o y", "yaml"},
      {"guideway --server unix:/run/x backends --out", "--output"},
      {"guideway connections --service status --sta", "--state"},
      {"guideway log-level eng", "engine"},
      {"guideway log-level engine deb", "debug"},
      {"guideway --server unix:/run/x delete --server tcp:x Ga", "GatewayConfig"},
      {"guideway trace tcp tc", ""},
      {"guideway trace --flags sy", "syn"},
      {"guidewayd --log-level i", "info"},
      {"guidewayd --manif", "--manifests"},
      {"guidewayd --manifests " + (dir / "mani"), dir / "manifests"},
      {"guideway-engine --yi", "--yield"},
      {"guideway nonsense-that-is-no-word", ""},
  };
}

}  // namespace

// As readline calls it.
TEST_CASE("completions of bash are what the programs' help says", "[completion]") {
  const auto complete = [](const std::string& words) {
    return run("bash", ". " + completions() + "guideway.bash\nCOMP_WORDS=(" + words +
                           ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_guideway\necho \"${COMPREPLY[*]}\"\n");
  };
  const TemporaryDirectory dir;
  for (const auto& [line, completed] : typed(dir)) {
    INFO(line);
    CHECK(complete(line) == completed);
  }
  CHECK(complete("guideway status -o ''") == "table wide json yaml");
  // Each positional in its place, options once a dash is typed.
  CHECK(complete("guideway trace ''") == "icmp sctp tcp udp");
  CHECK(complete("guideway trace tcp ''").empty());
  CHECK(complete("guideway trace tcp 192.0.2.1:9 --si").starts_with("--size"));
  CHECK(complete("guideway delete --dry-run Service ''").empty());
  CHECK(complete("guideway log-level daemon ''") == "trace debug info warn error off");
  CHECK(complete("guideway log-level -o json --server x daemon ''") == "trace debug info warn error off");
  CHECK(complete("guideway ''").starts_with("status gateway "));
  CHECK_FALSE(contains(complete("guideway ''"), " -"));
  CHECK(complete("guideway -").starts_with("-h --help --version "));
  CHECK(complete("guidewayd ''").starts_with("-h --help "));  // it has nothing else
  // A colon is a word of its own there.
  const std::string all = complete("guideway-engine --port ''");
  const std::string first = all.substr(0, all.find(' '));
  if (first.empty()) return;  // no interface
  CHECK(first.starts_with("af_xdp:"));
  CHECK(complete("guideway-engine --port af_xdp : " + first.substr(7)) == first.substr(7));
}

TEST_CASE("completions of fish are what the programs' help says", "[completion]") {
  const TemporaryDirectory dir;
  for (const auto& [line, completed] : typed(dir)) {
    INFO(line);
    const std::string answer =
        run("fish --no-config", "source " + completions() + "guideway.fish\ncomplete -C '" + line + "'\n");
    INFO(answer);
    CHECK(answer.substr(0, answer.find_first_of("\t/", completed.size())) == completed);
  }
}

// Typed into a zsh on a terminal of its own, with its whole completion system; F is a key that tells the line.
TEST_CASE("completions of zsh are what the programs' help says", "[completion]") {
  const TemporaryDirectory dir;
  std::filesystem::create_directory(dir / "zsh");
  std::filesystem::create_symlink(completions() + "guideway.zsh", dir / "zsh/_guideway");
  const std::string script = R"(
zmodload zsh/zpty
zpty shell env PS1=WAIT zsh -f -i
# Once it prompts it reads key by key; before that the terminal itself would take ^U.
zpty -r shell out '*WAIT*'
zpty -w shell 'fpath=()" + (dir / "zsh") +
                             R"( $fpath); autoload -Uz compinit; compinit -u -D
tell() { print -r -- "LINE<$BUFFER>" }; zle -N tell; bindkey "^I" complete-word; bindkey "^F" tell; print -r READ\Y'
zpty -r shell out '*READY*WAIT*'
for line in "$@"; do
  zpty -w -n shell "$line"$'\t\C-f\C-u'
  zpty -r shell out '*LINE<*>*'
  print -r -- "${${out##*LINE<}%%>*}"
done
zpty -d shell
)";
  std::string lines;
  std::string expected;
  for (const auto& [line, completed] : typed(dir)) {
    lines += " '" + line + "'";
    const std::string begun = line.substr(0, line.rfind(' ') + 1);
    const bool directory = completed.starts_with("/");
    expected += completed.empty() ? line + "\n" : begun + completed + (directory ? "/\n" : " \n");
  }
  write_file(dir / "type", script);
  CHECK(run("bash", "zsh -f " + (dir / "type") + lines + "\n") + "\n" == expected);
}

}  // namespace guideway::mgmt
