// What XDP is told to steer: nobody but it sees a mistake here, as packets that never come or that the host misses.
#include "dataplane/control/kernel_mirror.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "dataplane/control/exceptions.h"
#include "dataplane/control/publisher_for_test.h"

namespace guideway::control {
namespace {

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr unsigned kSnat = GW_ADDRESS_SNAT | GW_ADDRESS_OURS;  // what comes from there is a loop
constexpr unsigned kAnswered = GW_ADDRESS_ANNOUNCED | GW_ADDRESS_ANSWERED;

ServiceSpec serve(const std::string& name, std::string_view vip, uint16_t port, uint8_t protocol = kTcp) {
  return {.name = name,
          .vip = {net::parse_ip(vip).value(), net::Be16{port}, protocol, 0},
          .table_size = 251,
          .reals = {{net::parse_ip("10.0.0.1").value(), port, 1, false}}};
}

std::string text(const gw_address& a) {
  net::IpAddress ip;
  std::memcpy(ip.bytes.data(), a.bytes, sizeof a.bytes);
  return net::to_string(ip);
}

using Lines = std::set<std::string>;

std::string steered(std::string_view address, unsigned flags, unsigned port_min = 0, unsigned port_max = 0) {
  return absl::StrCat(std::string(address), ": flags ", flags, ", ports ", port_min, " to ", port_max);
}

Lines addresses(const LonePublisher& p) {
  Lines all;
  for (const auto& [address, value] : steered_addresses(*p.publisher))
    all.insert(steered(text(address), value.flags, value.port_min, value.port_max));
  return all;
}

TEST_CASE("addresses of VIPs are steered", "[steering]") {
  LonePublisher p;
  CHECK(addresses(p).empty());
  REQUIRE(p.apply({serve("a", "192.0.2.1", 80), serve("b", "192.0.2.1", 443), serve("c", "2001:db8::1", 53, kUdp)}) ==
          "");
  CHECK(addresses(p) == Lines{steered("192.0.2.1", GW_ADDRESS_VIP), steered("2001:db8::1", GW_ADDRESS_VIP)});
}

TEST_CASE("where a VIP has all ports, its address says so", "[steering]") {
  LonePublisher p;
  REQUIRE(p.apply({serve("a", "192.0.2.1", 0), serve("b", "192.0.2.1", 80), serve("c", "192.0.2.2", 80)}) == "");
  CHECK(addresses(p) ==
        Lines{steered("192.0.2.1", GW_ADDRESS_VIP | GW_ADDRESS_ANY_PORT), steered("192.0.2.2", GW_ADDRESS_VIP)});
}

TEST_CASE("SNAT addresses have their ports, and are shared with the host or dedicated", "[steering]") {
  LonePublisher p;
  REQUIRE(p.apply({.snat = {{net::parse_ip("198.51.100.1").value(), 20'000, 29'999},
                            {net::parse_ip("198.51.100.2").value(), 1'024, 65'535},
                            {net::parse_ip("2001:db8:100::1").value(), 30'000, 30'063}},
                   .dedicated = {false, true, false},
                   .announced = {false, true, false}}) == "");
  CHECK(addresses(p) == Lines{steered("198.51.100.1", kSnat, 20'000, 29'999),
                              steered("198.51.100.2", kSnat | GW_ADDRESS_DEDICATED | kAnswered, 1'024, 65'535),
                              steered("2001:db8:100::1", kSnat, 30'000, 30'063)});
}

TEST_CASE("an address that is announced by one of its services is, with a backend or without", "[steering]") {
  LonePublisher p;
  ServiceSpec quiet = serve("a", "192.0.2.1", 80), announced = serve("b", "192.0.2.1", 443);
  announced.announce = true;
  announced.reals.clear();
  REQUIRE(p.apply({quiet, announced, serve("c", "192.0.2.2", 80)}) == "");
  CHECK(addresses(p) ==
        Lines{steered("192.0.2.1", GW_ADDRESS_VIP | GW_ADDRESS_ANNOUNCED), steered("192.0.2.2", GW_ADDRESS_VIP)});
  // The kernel answers for one that has.
  announced.reals = serve("b", "192.0.2.1", 443).reals;
  REQUIRE(p.apply({announced}) == "");
  CHECK(addresses(p) == Lines{steered("192.0.2.1", GW_ADDRESS_VIP | kAnswered), steered("192.0.2.2", GW_ADDRESS_VIP)});
}

TEST_CASE("an address that is a VIP and SNAT's is steered as both", "[steering]") {
  LonePublisher p;
  REQUIRE(p.apply({.snat = {{net::parse_ip("192.0.2.1").value(), 20'000, 29'999}}, .dedicated = {false}}) == "");
  REQUIRE(p.apply({serve("a", "192.0.2.1", 80)}) == "");
  CHECK(addresses(p) == Lines{steered("192.0.2.1", GW_ADDRESS_VIP | kSnat, 20'000, 29'999)});
}

TEST_CASE("what is withdrawn is the host's again", "[steering]") {
  LonePublisher p;
  ServiceSpec all = serve("all", "192.0.2.1", 0);
  all.announce = true;
  REQUIRE(p.apply({all, serve("one", "192.0.2.1", 80)}) == "");
  REQUIRE(p.apply({.snat = {{net::parse_ip("198.51.100.1").value(), 20'000, 29'999}}, .dedicated = {true}}) == "");
  REQUIRE(p.apply({}, false, {"all"}) == "");
  CHECK(addresses(p) == Lines{steered("192.0.2.1", GW_ADDRESS_VIP),
                              steered("198.51.100.1", kSnat | GW_ADDRESS_DEDICATED, 20'000, 29'999)});
  REQUIRE(p.apply(GatewaySpec{}) == "");
  REQUIRE(p.apply({}, false, {"one"}) == "");
  CHECK(addresses(p).empty());
}

TEST_CASE("what the kernel's tables can't take stands with its remedy until it is written again", "[steering]") {
  Lacks lacks;
  lacks.note("addresses", 0, absl::OkStatus());
  CHECK(lacks.all().empty());
  for (int i = 0; i < 100; ++i)
    lacks.note("addresses", 0,
               log::failure(absl::StatusCode::kResourceExhausted, absl::StrCat(i, " too many"), "fewer"));
  lacks.note("settings", 0, log::failure(absl::StatusCode::kInternal, "no", "wait"));
  REQUIRE(lacks.all().size() == 2);
  CHECK(to_string(lacks.all()[0]) ==
        "kernel tables: 99 too many: while no engine runs the kernel doesn't balance that as the workers do; fewer");
  lacks.note("addresses", 0, absl::OkStatus());
  REQUIRE(lacks.all().size() == 1);
  CHECK(lacks.all()[0].remedy == "wait");
}

TEST_CASE("exceptions that the kernel doesn't take are put again, and said until it has them all", "[steering]") {
  if (geteuid() != 0) return;
  start_eal();
  const auto tables = xdp::KernelTables::create();
  REQUIRE(tables.ok());
  KernelMirror mirror(**tables, {});
  Reclaimer reclaimer(1);
  auto exceptions = ExceptionTable::create(reclaimer, &mirror);
  REQUIRE(exceptions.ok());
  const auto other = [](uint32_t n) {
    gw_flow_key key{};
    key.protocol = n;
    return key;
  };
  for (uint32_t n = 0; n < GW_MAX_EXCEPTIONS; ++n) REQUIRE((*tables)->put_exception(other(n), 1).ok());
  const auto connection = [](uint16_t port) {
    net::FlowKey6 key{};
    key.source_port = net::Be16{port};
    return key;
  };
  const auto sweep = [&] {
    for (const uint16_t port : {1, 2, 3}) REQUIRE(exceptions->put(connection(port), path::RealIndex{7}));
    return mirror.lacks().size();
  };
  CHECK(sweep() == 1);
  (*tables)->remove_exception(other(0));
  CHECK(sweep() == 1);
  CHECK_FALSE((*tables)->put_exception(other(0), 1).ok());  // one has its place
  (*tables)->remove_exception(other(1));
  CHECK(sweep() == 1);
  exceptions->remove(connection(3));
  CHECK(mirror.lacks().empty());
  CHECK(sweep() == 1);
  (*tables)->remove_exception(other(2));
  CHECK(sweep() == 0);
}

}  // namespace
}  // namespace guideway::control
