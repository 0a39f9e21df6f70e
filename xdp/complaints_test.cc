#include "xdp/complaints.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>

namespace guideway::xdp {
namespace {

std::string said(int error) { return std::string(load_error(error, "loading it").message()); }

TEST_CASE("what the verifier refuses isn't blamed on capabilities that are there") {
  if (geteuid() != 0) {
    std::cout << "skipped: without root there are no capabilities\n";
    return;
  }
  CHECK(said(EACCES).find("takes the program for unsafe") != std::string::npos);
  CHECK(said(EPERM).find("it needs CAP_NET_ADMIN") != std::string::npos);
}

}  // namespace
}  // namespace guideway::xdp
