#include "xdp/complaints.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <cerrno>
#include <iostream>

namespace guideway::xdp {
namespace {

TEST_CASE("what the verifier refuses isn't blamed on capabilities that are there") {
  if (geteuid() != 0) {
    std::cout << "skipped: without root there are no capabilities\n";
    return;
  }
  const auto has = [](const absl::Status& s, const char* text) { return s.message().find(text) != s.message().npos; };
  CHECK(has(program_error(EACCES, "loading it"), "takes the program for unsafe"));
  CHECK(has(program_error(EPERM, "loading it"), "it needs CAP_NET_ADMIN"));
  CHECK(has(load_error(EACCES, "opening it"), "it needs CAP_NET_ADMIN"));
}

}  // namespace
}  // namespace guideway::xdp
