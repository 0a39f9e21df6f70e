#include "lb/selection.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace guideway::lb {
namespace {

Real real(const char* address, uint32_t weight = 1, bool terminating = false) {
  return {*net::parse_ip(address), 80, weight, terminating};
}

TEST_CASE("the ready ones take new flows, ordered", "[selection]") {
  const std::vector<Real> r{real("10.0.0.9"), real("10.0.0.2", 0), real("10.0.0.1"), real("10.0.0.3", 1, true)};
  CHECK(select(r) == std::vector<uint32_t>{2, 0});
  CHECK(state_of(r[0]) == RealState::kReady);
  CHECK(state_of(r[1]) == RealState::kDraining);
  CHECK(state_of(r[3]) == RealState::kDraining);
}

TEST_CASE("without a ready one, those that terminate and still serve", "[selection]") {
  const std::vector<Real> r{real("10.0.0.2", 0), real("10.0.0.3", 1, true)};
  CHECK(select(r) == std::vector<uint32_t>{1});
  CHECK(select(std::vector<Real>{real("10.0.0.2", 0)}).empty());
}

TEST_CASE("the order in which reals are named doesn't matter", "[selection]") {
  std::vector<Real> r{real("10.0.0.1"), real("10.0.0.2", 3), real("2001:db8::1"), real("10.0.0.4")};
  const TableInput first = table_input(r, select(r), 1021, 5);
  std::ranges::reverse(r);
  const TableInput second = table_input(r, select(r), 1021, 5);
  CHECK(first == second);
  CHECK(digest(first) == digest(second));
  CHECK_FALSE(first == table_input(r, select(r), 1021, 6));
  r[0].weight = 2;
  CHECK_FALSE(first == table_input(r, select(r), 1021, 5));
}

}  // namespace
}  // namespace guideway::lb
