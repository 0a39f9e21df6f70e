// Which groups the kernel has joined for us, on the loopback interface.
#include "dataplane/control/solicited_nodes.h"

#include <absl/strings/str_cat.h>
#include <catch2/catch.hpp>
#include <net/if.h>

#include <fstream>

namespace guideway::control {
namespace {

// The last three bytes of all solicited-node groups of an interface, as hexadecimal digits.
std::set<std::string> groups_of(const std::string& interface) {
  std::set<std::string> groups;
  std::ifstream in("/proc/net/igmp6");
  std::string index, name, group, rest;
  while (in >> index >> name >> group && std::getline(in, rest))
    if (name == interface && group.starts_with("ff0200000000000000000001ff")) groups.insert(group.substr(26));
  return groups;
}

std::set<net::IpAddress> addresses(std::initializer_list<std::string_view> texts) {
  std::set<net::IpAddress> all;
  for (const std::string_view t : texts) all.insert(net::parse_ip(t).value());
  return all;
}

TEST_CASE("a group is joined as long as one of its addresses is announced", "[solicited_nodes]") {
  const auto before = groups_of("lo");
  SolicitedNodes nodes({static_cast<int>(if_nametoindex("lo"))});
  auto with = before;
  with.insert("ab0050");
  nodes.follow(addresses({"2001:db8::12ab:50", "2001:db8:1::ab:50", "192.0.2.1"}));
  CHECK(groups_of("lo") == with);
  nodes.follow(addresses({"2001:db8:1::ab:50"}));
  CHECK(groups_of("lo") == with);
  nodes.follow({});
  CHECK(groups_of("lo") == before);
  CHECK(nodes.trouble().empty());
}

TEST_CASE("thousands of groups are joined, more than one socket may hold", "[solicited_nodes]") {
  const auto before = groups_of("lo");
  SolicitedNodes nodes({static_cast<int>(if_nametoindex("lo"))});
  std::set<net::IpAddress> many;
  for (unsigned i = 0; i < 4'000; ++i) many.insert(net::parse_ip(absl::StrCat("2001:db8::cd:", absl::Hex(i))).value());
  nodes.follow(many);
  CHECK(nodes.trouble() == "");
  CHECK(groups_of("lo").size() == before.size() + many.size());
  nodes.follow({});
  CHECK(groups_of("lo") == before);
}

TEST_CASE("what can't be joined is said, until it is no longer asked for", "[solicited_nodes]") {
  SolicitedNodes nodes({1 << 30});
  nodes.follow(addresses({"2001:db8::1", "2001:db8::2"}));
  CHECK(nodes.trouble().starts_with("2 multicast groups"));
  CHECK(nodes.trouble().find("ff02::1:ff00:1 on ? (No such device)") != std::string::npos);
  nodes.follow(addresses({"192.0.2.1"}));
  CHECK(nodes.trouble().empty());
}

}  // namespace
}  // namespace guideway::control
