// Batches: taken whole or not at all, and what they don't touch isn't built anew.
#include "dataplane/control/publisher.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "dataplane/control/publisher_for_test.h"

namespace guideway::control {
namespace {

ServiceSpec web(const std::string& name, std::string_view vip, const std::vector<std::string_view>& reals,
                uint32_t table_size = 251) {
  ServiceSpec s{.name = name,
                .vip = {net::parse_ip(vip).value(), net::Be16{80}, 6, 0},
                .mode = path::Mode::kDsrIpip,
                .table_size = table_size,
                .reals = {}};
  for (const std::string_view r : reals) s.reals.push_back({net::parse_ip(r).value(), 80, 1, false});
  return s;
}

class Fixture : public LonePublisher {
 public:
  using LonePublisher::LonePublisher;

  // The name of the service that workers find at the VIP, by the address of its first real; "" for none.
  std::string at(std::string_view vip) const {
    const path::Tables& t = *publisher->tables().load();
    const auto i = t.vips->lookup({net::parse_ip(vip).value(), net::Be16{80}, 6, 0});
    if (i == path::kNone<path::ServiceIndex>) return "";
    const path::Service& s = t.services[i];
    if (!s.present || s.table_size == 0) return "nobody";
    return net::to_string(t.reals[s.reals[t.slots[s.table_offset] & path::kSlotOrdinal]].address);
  }
  std::vector<std::string> slots(std::string_view vip) const {
    const path::Tables& t = *publisher->tables().load();
    const path::Service& s = t.services[t.vips->lookup({net::parse_ip(vip).value(), net::Be16{80}, 6, 0})];
    std::vector<std::string> reals;
    for (uint32_t i = 0; i < s.table_size; ++i)
      reals.push_back(net::to_string(t.reals[s.reals[t.slots[s.table_offset + i] & path::kSlotOrdinal]].address));
    return reals;
  }
  uint64_t builds() const { return publisher->maglev().builds(); }
  unsigned flags(std::string_view address) const {
    return publisher->tables().load()->addresses->flags(net::parse_ip(address).value());
  }
};

TEST_CASE("a VIP has one service", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("b", "192.0.2.2", {"10.0.0.2"})}) == "");
  CHECK(f.apply({web("c", "192.0.2.1", {"10.0.0.3"})}) == "c address");
  CHECK(f.apply({web("c", "192.0.2.3", {"10.0.0.3"}), web("d", "192.0.2.3", {"10.0.0.4"})}) == "d address");
  CHECK(f.apply({web("c", "192.0.2.3", {"10.0.0.3"}), web("c", "192.0.2.4", {"10.0.0.4"})}) == "c name");
  CHECK(f.apply({web("b", "192.0.2.1", {"10.0.0.2"})}) == "b address");
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.2"})}, false, {"b"}) == "b name");
  CHECK(f.apply({}, false, {"a", "a"}) == "a name");
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("c", "192.0.2.1", {"10.0.0.3"})}) == "c address");
  CHECK(f.at("192.0.2.1") == "10.0.0.1");
  CHECK(f.at("192.0.2.2") == "10.0.0.2");
  CHECK(f.at("192.0.2.3") == "");
}

TEST_CASE("VIPs may be swapped, handed on and taken over in one batch", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("b", "192.0.2.2", {"10.0.0.2"})}) == "");
  REQUIRE(f.apply({web("a", "192.0.2.2", {"10.0.0.1"}), web("b", "192.0.2.1", {"10.0.0.2"})}) == "");
  CHECK(f.at("192.0.2.1") == "10.0.0.2");
  CHECK(f.at("192.0.2.2") == "10.0.0.1");
  // Both are still taken.
  CHECK(f.apply({web("c", "192.0.2.1", {"10.0.0.3"})}) == "c address");
  CHECK(f.apply({web("c", "192.0.2.2", {"10.0.0.3"})}) == "c address");
  // a moves on, and c takes its place; then c goes and b takes it.
  REQUIRE(f.apply({web("c", "192.0.2.2", {"10.0.0.3"}), web("a", "192.0.2.9", {"10.0.0.1"})}) == "");
  CHECK(f.at("192.0.2.2") == "10.0.0.3");
  REQUIRE(f.apply({web("b", "192.0.2.2", {"10.0.0.2"})}, false, {"c"}) == "");
  CHECK(f.at("192.0.2.2") == "10.0.0.2");
  CHECK(f.at("192.0.2.1") == "");
  CHECK(f.apply({web("c", "192.0.2.1", {"10.0.0.3"})}) == "");
}

TEST_CASE("workers are told what an address is to us", "[publisher]") {
  Fixture f;
  ServiceSpec quiet = web("quiet", "192.0.2.1", {"10.0.0.1"});
  ServiceSpec a = web("a", "192.0.2.2", {"10.0.0.1"});
  ServiceSpec b = web("b", "192.0.2.2", {"10.0.0.1"});
  b.vip.port = net::Be16{443};
  a.announce = b.announce = true;
  REQUIRE(f.apply({quiet, a, b}) == "");
  CHECK(f.flags("192.0.2.1") == path::kAddressVip);
  CHECK(f.flags("192.0.2.2") == (path::kAddressVip | path::kAddressAnnounced));
  CHECK(f.flags("192.0.2.3") == 0);
  // Announced as long as one service of the address has a backend.
  a.reals[0].weight = 0;
  REQUIRE(f.apply({a}) == "");
  CHECK(f.flags("192.0.2.2") == (path::kAddressVip | path::kAddressAnnounced));
  b.reals.clear();
  REQUIRE(f.apply({b}) == "");
  CHECK(f.flags("192.0.2.2") == path::kAddressVip);
  const auto* table = f.publisher->tables().load()->addresses;
  quiet.reals.clear();
  REQUIRE(f.apply({quiet}) == "");
  CHECK(f.publisher->tables().load()->addresses == table);  // nothing that it holds has changed
  a.reals[0].weight = 1;
  REQUIRE(f.apply({a}) == "");
  CHECK(f.flags("192.0.2.2") == (path::kAddressVip | path::kAddressAnnounced));
  a.announce = false;
  REQUIRE(f.apply({a}) == "");
  CHECK(f.flags("192.0.2.2") == path::kAddressVip);
  REQUIRE(f.apply({}, false, {"a", "b"}) == "");
  CHECK(f.flags("192.0.2.2") == 0);

  GatewaySpec g;
  g.snat = {{net::parse_ip("198.51.100.1").value(), 1, 2}, {net::parse_ip("198.51.100.2").value(), 1, 2}};
  g.dedicated = {true, true};
  g.announced = {false, true};
  REQUIRE(f.apply(g) == "");
  CHECK(f.flags("198.51.100.1") == path::kAddressOurs);
  CHECK(f.flags("198.51.100.2") == (path::kAddressOurs | path::kAddressAnnounced));
}

// Of 2,400 slots 2,389 are used by and by; what is free of them serves tables of those sizes.
TEST_CASE("a table for which there is no room is refused before anything changes", "[publisher]") {
  Fixture f({.maglev_slots = 1'200});
  for (const uint32_t size : {307U, 401U, 503U, 601U, 577U})
    REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}, size)}) == "");
  const auto before = f.publisher->tables().load();
  CHECK(f.apply({web("b", "192.0.2.2", {}), web("a", "192.0.2.1", {"10.0.0.9"}, 251)}) == "a table_size");
  const GatewaySpec reseeded{.hash_seed = f.publisher->gateway().hash_seed + 1};
  CHECK(f.apply(reseeded) == "gateway hash_seed");
  CHECK(f.publisher->tables().load() == before);
  CHECK(f.at("192.0.2.1") == "10.0.0.1");
  CHECK(f.slots("192.0.2.1").size() == 577);
  CHECK(f.publisher->gateway().hash_seed != reseeded.hash_seed);
  CHECK(f.publisher->services().size() == 1);
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.9"}, 503)}) == "");
  CHECK(f.at("192.0.2.1") == "10.0.0.9");
}

TEST_CASE("a refused batch changes nothing", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("b", "192.0.2.2", {"10.0.0.2"})}) == "");
  const auto before = f.publisher->tables().load();
  const auto builds = f.builds();
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.9"}), web("c", "192.0.2.2", {})}, false, {}) == "c address");
  CHECK(f.publisher->tables().load() == before);
  CHECK(f.builds() == builds);
  CHECK(f.publisher->services().size() == 2);
  CHECK(f.publisher->services().at("a").reals[0].address == net::parse_ip("10.0.0.1"));
}

TEST_CASE("limits are refusals that name the entry", "[publisher]") {
  Limits limits;
  limits.services = 2;
  limits.reals = 4;
  limits.reals_per_service = 3;
  limits.maglev_slots = 800;
  Fixture f(limits);
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"})}) == "a reals");
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}, 1'009)}) == "a table_size");
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1", "10.0.0.2"}), web("b", "192.0.2.2", {"10.0.0.3"})}) == "");
  CHECK(f.apply({web("c", "192.0.2.3", {})}) == "c ");
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.3", "10.0.0.4", "10.0.0.5"})}) == "b reals");
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.3"}, 557)}) == "b table_size");
  // What a batch replaces or removes makes room in it.
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.3", "10.0.0.4"})}) == "");
  CHECK(f.apply({web("c", "192.0.2.3", {"10.0.0.5"})}, false, {"a"}) == "");
  CHECK(f.apply({web("x", "192.0.2.1", {"10.0.0.1"}), web("y", "192.0.2.2", {"10.0.0.2"})}, true) == "");
}

TEST_CASE("slots of replaced tables are free once workers have passed, whatever is published then", "[publisher]") {
  Fixture f({.maglev_slots = 1'000});
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}, 401), web("b", "192.0.2.2", {"10.0.0.2"}, 401)}) == "");
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.3"}, 401), web("b", "192.0.2.2", {"10.0.0.4"}, 401)}) == "");
  f.collect();
  CHECK(f.publisher->maglev().slots_used() == 802);
  CHECK(f.apply({web("a", "192.0.2.1", {"10.0.0.5"}, 401), web("c", "192.0.2.3", {"10.0.0.6"}, 151)}) == "");
}

TEST_CASE("removed reals count against the rows, not against the limit of reals", "[publisher]") {
  Limits limits;
  limits.reals = 2;
  limits.real_rows = 4;
  Fixture f(limits);
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1", "10.0.0.2"})}) == "");
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.3"})}) == "");
  CHECK(f.publisher->reals() == 1);
  CHECK(f.publisher->real_rows() == 3);
  REQUIRE(f.publisher->retired().reals.size() == 2);
  REQUIRE(f.apply({web("b", "192.0.2.2", {"10.0.0.4"})}) == "");
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.4", "10.0.0.5"})}) == "b reals");

  // A full table of rows is no lasting refusal; who has rows already needs none.
  const auto full =
      f.publisher->apply({.gateway = {}, .services = {web("b", "192.0.2.2", {"10.0.0.5"})}, .removals = {}});
  REQUIRE(full.has_value());
  CHECK(full->later);
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.2"}), web("b", "192.0.2.2", {"10.0.0.4"})}, true) == "");
  const Publisher::Retired unseen = f.publisher->retired();
  f.publisher->reuse(unseen);
  f.collect();
  CHECK(f.publisher->real_rows() == 2);
  CHECK(f.apply({web("b", "192.0.2.2", {"10.0.0.5"})}) == "");
  REQUIRE(f.apply({}, false, {"a", "b"}) == "");
  CHECK(f.publisher->reals() == 0);
}

TEST_CASE("a full batch builds what has changed, and removes what it doesn't name", "[publisher]") {
  Fixture f;
  std::vector<ServiceSpec> all;
  for (int i = 1; i <= 20; ++i)
    all.push_back(web(absl::StrCat("s", i), absl::StrCat("192.0.2.", i), {absl::StrCat("10.0.0.", i), "10.0.1.1"}));
  REQUIRE(f.apply(all, true) == "");
  CHECK(f.builds() == 20);
  REQUIRE(f.apply(all, true) == "");
  CHECK(f.builds() == 20);
  const auto untouched = f.slots("192.0.2.1");
  all[4].reals.push_back({net::parse_ip("10.0.2.2").value(), 80, 1, false});
  REQUIRE(f.apply(all, true) == "");
  CHECK(f.builds() == 21);
  CHECK(f.slots("192.0.2.1") == untouched);
  all.erase(all.begin());
  REQUIRE(f.apply(all, true) == "");
  CHECK(f.builds() == 21);
  CHECK(f.at("192.0.2.1") == "");
  CHECK(f.publisher->services().size() == 19);
}

TEST_CASE("another seed builds each table anew, and once", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1", "10.0.0.2"}), web("b", "192.0.2.2", {"10.0.0.3", "10.0.0.4"}),
                   web("c", "192.0.2.3", {"10.0.0.5", "10.0.0.6"})}) == "");
  const auto before = f.slots("192.0.2.1");
  REQUIRE(f.builds() == 3);
  CHECK(f.publisher->apply({.full = false,
                            .gateway = GatewaySpec{.hash_seed = 7},
                            .services = {web("b", "192.0.2.2", {"10.0.0.3", "10.0.0.9"})},
                            .removals = {"c"}}) == std::nullopt);
  CHECK(f.builds() == 5);
  CHECK(f.slots("192.0.2.1") != before);
  CHECK(std::ranges::count(f.slots("192.0.2.2"), "10.0.0.9") > 0);
  CHECK(f.at("192.0.2.3") == "");
}

TEST_CASE("a batch that reseeds and is refused is told by what it brought", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("z", "192.0.2.2", {"10.0.0.2"})}) == "");
  const auto refused = f.publisher->apply({.full = false,
                                           .gateway = GatewaySpec{.hash_seed = 7},
                                           .services = {web("b", "192.0.2.2", {"10.0.0.3"})},
                                           .removals = {}});
  REQUIRE(refused.has_value());
  CHECK(refused->entry + " " + refused->field == "b address");
}

TEST_CASE("a full batch counts the slots of equal tables once", "[publisher]") {
  Fixture f({.maglev_slots = 600});
  const auto a = web("a", "192.0.2.1", {"10.0.0.1"});
  const auto b = web("b", "192.0.2.2", {"10.0.0.2"});
  REQUIRE(f.apply({a, b}, true) == "");
  REQUIRE(f.apply({a, b, web("c", "192.0.2.3", {"10.0.0.1"}), web("d", "192.0.2.4", {"10.0.0.2"})}, true) == "");
  CHECK(f.apply({a, b, web("c", "192.0.2.3", {"10.0.0.3"})}, true) == "c table_size");
  CHECK(f.publisher->services().size() == 4);
  CHECK(f.apply({a, web("c", "192.0.2.3", {"10.0.0.1"}), web("e", "192.0.2.5", {"10.0.0.5"})}, true) == "");
}

TEST_CASE("a delta touches what it names", "[publisher]") {
  Fixture f;
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1"}), web("b", "192.0.2.2", {"10.0.0.2"})}) == "");
  const path::Tables* t = f.publisher->tables().load();
  const path::Service b = t->services[t->vips->lookup({net::parse_ip("192.0.2.2").value(), net::Be16{80}, 6, 0})];
  REQUIRE(f.apply({web("a", "192.0.2.1", {"10.0.0.1", "10.0.0.3"})}) == "");
  t = f.publisher->tables().load();
  const path::Service& now = t->services[t->vips->lookup({net::parse_ip("192.0.2.2").value(), net::Be16{80}, 6, 0})];
  CHECK(now.reals == b.reals);
  CHECK(now.table_offset == b.table_offset);
  CHECK(now.epoch == b.epoch);
  CHECK(f.builds() == 3);
}

TEST_CASE("equal backends share a table, whatever their order", "[publisher]") {
  Fixture f;
  const std::vector<std::string_view> reals{"10.0.0.1", "10.0.0.2", "10.0.0.3"};
  const std::vector<std::string_view> reversed{"10.0.0.3", "10.0.0.2", "10.0.0.1"};
  REQUIRE(f.apply({web("a", "192.0.2.1", reals), web("b", "192.0.2.2", reversed)}) == "");
  CHECK(f.builds() == 1);
  CHECK(f.publisher->maglev().slots_used() == 251);
  CHECK(f.slots("192.0.2.1") == f.slots("192.0.2.2"));
  REQUIRE(f.apply({web("a", "192.0.2.1", reversed)}) == "");
  CHECK(f.builds() == 1);
  // Another weight, and they part.
  auto b = web("b", "192.0.2.2", reversed);
  b.reals[0].weight = 3;
  REQUIRE(f.apply({b}) == "");
  CHECK(f.builds() == 2);
  const auto slots = f.slots("192.0.2.2");
  CHECK(std::ranges::count(slots, "10.0.0.3") > std::ranges::count(slots, "10.0.0.1") * 2);
}

// Until workers have passed, an old table's slots stay; then they are used again.
TEST_CASE("slots of tables that are gone are used again", "[publisher]") {
  Fixture f;
  for (int i = 0; i < 50; ++i) REQUIRE(f.apply({web("a", "192.0.2.1", {absl::StrCat("10.0.0.", 1 + i % 100)})}) == "");
  CHECK(f.builds() == 50);
  CHECK(f.publisher->maglev().slots_used() <= 4 * 251);
}

}  // namespace
}  // namespace guideway::control
