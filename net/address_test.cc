#include "net/address.h"

#include <catch2/catch.hpp>

#include "net/prefix.h"

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

TEST_CASE("prefixes are read whole or not at all", "[address]") {
  CHECK(to_string(parse_prefix("192.0.2.77/24").value()) == "192.0.2.0/24");
  CHECK(to_string(parse_prefix("192.0.2.77").value()) == "192.0.2.77/32");
  CHECK(to_string(parse_prefix("2001:db8::1/0").value()) == "::/0");
  CHECK(to_string(parse_prefix("2001:db8::1").value()) == "2001:db8::1/128");
  for (const char* wrong : {"", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/8x", "192.0.2.0/ 8",
                            "192.0.2/24", "::/129", "/24", "::/99999999999"})
    CHECK_FALSE(parse_prefix(wrong));
}

TEST_CASE("addresses are four or sixteen bytes elsewhere", "[address]") {
  for (const char* text : {"192.0.2.1", "2001:db8::1", "0.0.0.0", "::"}) {
    const IpAddress a = parse_ip(text).value();
    CHECK(bytes_of(a).size() == (a.is_v4() ? 4 : 16));
    CHECK(ip_of_bytes(bytes_of(a)) == a);
  }
  for (const size_t size : {0, 3, 5, 15, 17}) CHECK_FALSE(ip_of_bytes(std::string(size, '1')));
}

}  // namespace
}  // namespace guideway::net
