// Words of --port, good and bad.
#include "dataplane/control/port_spec.h"

#include <catch2/catch.hpp>

using guideway::control::parse_ports;
using guideway::control::PortSpec;

namespace {

std::string why_refused(const std::vector<std::string>& texts) {
  const auto ports = parse_ports(texts);
  return ports.ok() ? "" : std::string(ports.status().message());
}

}  // namespace

TEST_CASE("ports are read as they are written") {
  const auto ports = parse_ports(
      std::vector<std::string>{"af_xdp:eth0", "af_xdp:eth1.7:12", "dpdk:net_null0,size=60@02:00:00:00:00:01"});
  REQUIRE(ports.ok());
  REQUIRE(ports->size() == 3);
  CHECK((*ports)[0].name == "eth0");
  CHECK(!(*ports)[0].queues);
  CHECK((*ports)[1].name == "eth1.7");
  CHECK((*ports)[1].queues == 12);
  CHECK((*ports)[2].kind == PortSpec::Kind::kDpdk);
  CHECK((*ports)[2].name == "net_null0,size=60");
  CHECK((*ports)[2].next_hop.bytes[5] == 1);
}

TEST_CASE("a word that can't be read is refused by name") {
  for (const char* text :
       {"nonsense", "", "eth0", "af_xdp:", "af_xdp::1", "af_xdp:eth0:", "af_xdp:eth0:0", "af_xdp:eth0:-1",
        "af_xdp:eth0:1x", "af_xdp:eth0:99999999999", "af_xdp:an-interface-too-long", "dpdk:net_null0",
        "dpdk:net_null0@", "dpdk:net_null0@02:00:00:00:00", "dpdk:@02:00:00:00:00:01"}) {
    CAPTURE(text);
    const std::string why = why_refused({text});
    CHECK(why.find(std::string("--port ") + text + ": ") == 0);
    CHECK(why.find("give af_xdp:IFNAME[:QUEUES] or dpdk:DEVARGS@NEXT_HOP_MAC") != why.npos);
  }
}

TEST_CASE("a device can be a port only once, and there are at most 16") {
  CHECK(why_refused({"af_xdp:eth0", "af_xdp:eth0:2"}) == "--port af_xdp:eth0:2 names eth0 again; name it once");
  CHECK(why_refused({"dpdk:net_ring0@02:00:00:00:00:01", "dpdk:net_ring0,x=1@02:00:00:00:00:02"}) != "");
  std::vector<std::string> many;
  for (int i = 0; i < 16; ++i) many.push_back("af_xdp:eth" + std::to_string(i));
  CHECK(why_refused(many).empty());
  many.push_back("af_xdp:eth16");
  CHECK(why_refused(many) != "");
  CHECK(why_refused({}) != "");
}
