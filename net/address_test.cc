#include "net/address.h"

#include <catch2/catch.hpp>

namespace guideway::net {
namespace {

TEST_CASE("addresses come back as they were written", "[address]") {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "fe80::1"}) {
    const auto a = parse_ip(text);
    REQUIRE(a);
    CHECK(to_string(*a) == text);
  }
  CHECK(parse_ip("192.0.2.1")->is_v4());
  CHECK(parse_ip("192.0.2.1")->as_v4().host() == 0xc0000201);
  CHECK_FALSE(parse_ip("2001:db8::1")->is_v4());
  CHECK(to_string(*parse_ip("2001:db8::1"), 80) == "[2001:db8::1]:80");
}

TEST_CASE("what is no address is nothing", "[address]") {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4x", "256.1.1.1", "2001:db8:::1", "fe80::1%eth0", "[::1]",
                           "::ffff:1.2.3.4", " 1.2.3.4", "localhost"})
    CHECK_FALSE(parse_ip(text));
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-01", "02:00:00:00:00:011"})
    CHECK_FALSE(parse_mac(text));
  CHECK(to_string(*parse_mac("02:00:00:00:00:Af")) == "02:00:00:00:00:af");
}

TEST_CASE("wire integers compare by value", "[address]") {
  CHECK(Be16{1} < Be16{256});
  CHECK(Be32{0x01020304}.wire() == 0x04030201);
  CHECK(Be32::from_wire(0x04030201).host() == 0x01020304);
}

}  // namespace
}  // namespace guideway::net
