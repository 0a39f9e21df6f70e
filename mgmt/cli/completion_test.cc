// The completions for bash, asked as readline asks them, of the programs as they were built.
#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// `words`: what stands on the line, the last of them to be completed, quoted for the shell. The answers in one line.
std::string complete(const std::string& words) {
  const std::string command = "bash -c '. \"$GUIDEWAY_SOURCE/configs/completions/guideway.bash\"; COMP_WORDS=(" +
                              words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _guideway; echo \"${COMPREPLY[*]}\"' 2>&1";
  std::FILE* out = popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  std::string answer;
  std::array<char, 256> part;
  while (std::fgets(part.data(), part.size(), out) != nullptr) answer += part.data();
  pclose(out);
  if (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

TEST_CASE("completions are what the programs' help says", "[completion]") {
  REQUIRE(std::getenv("GUIDEWAY") != nullptr);
  CHECK(complete("$GUIDEWAY serv") == "services");
  CHECK(complete("$GUIDEWAY status -o \"\"") == "table json");
  CHECK(complete("$GUIDEWAY --server unix:/run/x backends --out") == "--output");
  CHECK(complete("$GUIDEWAYD --log-level i") == "info");
  CHECK(complete("$GUIDEWAYD --manif") == "--manifests");
  CHECK(complete("$GUIDEWAY nonsense-that-is-no-word").empty());
}

}  // namespace
