// Connections as the engine lists them, against a slow twin: a list of those that were opened, and one predicate a
// filter.
#include "dataplane/control/connection_list.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <set>

#include "dataplane/control/contract/framing.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

struct Opened {
  std::string client;
  std::string vip;
  std::string service;
  std::string real;
  uint16_t port = 0;  // the client's
  uint16_t snat_port = 0;
  Protocol protocol{};
  engine::ConnectionState state{};

  // What tells it from all others.
  std::string id() const { return client + " " + std::to_string(port) + " " + vip + " " + service + " " + real; }
};

std::string id_of(const engine::Connection& c) {
  const auto text = [](const std::string& bytes) { return net::to_string(net::ip_of_bytes(bytes).value()); };
  return text(c.client()) + " " + std::to_string(c.client_port()) + " " + text(c.vip()) + " " + c.service() + " " +
         text(c.real());
}

// Two workers; connections of three services in all states, from many addresses.
class Site {
 public:
  Site() : rig({.workers = 2}) {
    network(rig);
    rig.gateway(snat());
    add("demo/web:http@192.0.2.10:80/TCP", kVip, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10", "10.0.1.11"});
    add("demo/web-2:http@192.0.2.11:80/TCP", "192.0.2.11", Protocol::kTcp, Mode::kNat, {"10.0.1.10", "10.0.1.12"});
    add("other/dns:@[2001:db8:ff::10]:80/UDP", kVip6, Protocol::kUdp, Mode::kDsrL2, {"2001:db8:1::10"});
    for (uint16_t n = 0; n < 450; ++n) open(n);
  }

  std::vector<engine::Connection> list(engine::ConnectionsRequest request) {
    std::vector<engine::Connection> all;
    while (true) {
      const auto part = control::connections_part(rig.publisher(), rig.workers().all(), request);
      REQUIRE(part.ok());
      REQUIRE(part->ByteSizeLong() < control::kMaxMessage);
      REQUIRE(part->connections_size() <= static_cast<int>(request.rows()));
      REQUIRE(part->matched() >= static_cast<uint64_t>(part->connections_size()));
      all.insert(all.end(), part->connections().begin(), part->connections().end());
      counted += part->matched();
      if (!part->has_next()) return all;
      *request.mutable_from() = part->next();
    }
  }
  // That the list is just those of which the twin says so, whatever the page's size, and that the count is theirs.
  void check(const engine::ConnectionFilter& filter, const std::function<bool(const Opened&)>& fits) {
    std::multiset<std::string> expected;
    for (const Opened& o : opened)
      if (fits(o)) expected.insert(o.id());
    for (const uint32_t rows : {0U, 1U, 7U, 1'000U, 1'000'000U}) {
      INFO(rows << " rows");
      engine::ConnectionsRequest request;
      *request.mutable_filter() = filter;
      request.set_rows(rows);
      counted = 0;
      std::multiset<std::string> listed;
      for (const engine::Connection& c : list(request)) listed.insert(id_of(c));
      CHECK(counted == expected.size());
      if (rows > 0) CHECK(listed == expected);
    }
    matched += expected.size();
  }

  Rig rig;
  std::vector<Opened> opened;
  uint64_t counted = 0;
  size_t matched = 0;  // by all filters

 private:
  void add(const std::string& name, const char* vip, Protocol protocol, Mode mode,
           std::initializer_list<std::string_view> reals) {
    auto s = service(vip, 80, protocol, mode, reals);
    s.name = name;
    rig.service(s);
    names_.push_back(name);
  }
  void open(uint16_t n) {
    static constexpr const char* kVips[] = {kVip, "192.0.2.11", kVip6};
    const unsigned which = n % 3;
    Opened o{
        .client = (which == 2 ? "2001:db8:9::" : "10.9." + std::to_string(n % 5) + ".") + std::to_string(n % 9 + 1),
        .vip = kVips[which],
        .service = names_[which],
        .real = {},
        .port = static_cast<uint16_t>(1'000 + n),
        .snat_port = 0,
        .protocol = which == 2 ? Protocol::kUdp : Protocol::kTcp,
        .state = engine::CONNECTION_STATE_UDP};
    const auto packet = [&](uint8_t flags) {
      const Frame f = Frame().ip(o.client, o.vip);
      return (which == 2 ? Frame(f).udp(o.port, 80) : Frame(f).tcp(o.port, 80, flags)).bytes();
    };
    const auto sent = rig.send(packet(net::kTcpSyn), 0, n % 2);
    REQUIRE(sent.size() == 1);
    o.real = (which == 2 ? "2001:db8:1::" : "10.0.1.") + std::to_string(sent[0].bytes.at(5));
    if (which == 1) o.snat_port = static_cast<uint16_t>(sent[0].bytes.at(34) << 8 | sent[0].bytes.at(35));
    if (which != 2) {
      static constexpr uint8_t kFlags[] = {0, net::kTcpAck, net::kTcpFin, net::kTcpRst};
      const unsigned then = n / 3 % 4;
      o.state = static_cast<engine::ConnectionState>(engine::CONNECTION_STATE_SETUP + then);
      if (then > 0) rig.send(packet(kFlags[then]), 0, n % 2);
    }
    opened.push_back(o);
  }

  std::vector<std::string> names_;
};

TEST_CASE("connections are listed and counted as the twin says, by every filter", "[connections]") {
  Site s;
  engine::ConnectionFilter f;
  s.check(f, [](const Opened&) { return true; });
  f.set_service_prefix("demo/web:");
  s.check(f, [](const Opened& o) { return o.vip == kVip; });
  f.set_service_prefix("demo/");
  s.check(f, [](const Opened& o) { return o.protocol == Protocol::kTcp; });
  f.set_service_prefix("nobody/");
  s.check(f, [](const Opened&) { return false; });
  f = {};
  f.mutable_client()->set_address(net::bytes_of(net::parse_ip("10.9.3.0").value()));
  f.mutable_client()->set_length(24);
  s.check(f, [](const Opened& o) { return o.client.starts_with("10.9.3."); });
  f.set_vip(net::bytes_of(net::parse_ip("192.0.2.11").value()));
  s.check(f, [](const Opened& o) { return o.client.starts_with("10.9.3.") && o.vip == "192.0.2.11"; });
  f = {};
  f.set_protocol(17);
  s.check(f, [](const Opened& o) { return o.protocol == Protocol::kUdp; });
  f = {};
  f.set_vip_port(81);
  s.check(f, [](const Opened&) { return false; });
  f.set_vip_port(80);
  f.set_real(net::bytes_of(net::parse_ip("10.0.1.10").value()));
  s.check(f, [](const Opened& o) { return o.real == "10.0.1.10"; });
  f.add_states(engine::CONNECTION_STATE_SETUP);
  f.add_states(engine::CONNECTION_STATE_CLOSING);
  s.check(f, [](const Opened& o) {
    return o.real == "10.0.1.10" &&
           (o.state == engine::CONNECTION_STATE_SETUP || o.state == engine::CONNECTION_STATE_CLOSING);
  });
  CHECK(s.matched > 1'000);
}

TEST_CASE("a connection is listed with all that its worker remembers", "[connections]") {
  Site s;
  s.rig.pass(3);
  engine::ConnectionsRequest request;
  request.set_rows(1'000);
  std::set<uint32_t> workers;
  for (const engine::Connection& c : s.list(request)) {
    const auto o = std::ranges::find_if(s.opened, [&](const Opened& each) { return each.id() == id_of(c); });
    REQUIRE(o != s.opened.end());
    INFO(o->id());
    CHECK(c.protocol() == static_cast<uint32_t>(o->protocol));
    CHECK(c.vip_port() == 80);
    CHECK(c.real_port() == 80);
    CHECK(c.state() == o->state);
    CHECK(c.idle_seconds() == 3);
    CHECK(c.snat_port() == o->snat_port);
    CHECK((c.mode() == engine::FORWARDING_MODE_NAT) == (o->vip == "192.0.2.11"));
    CHECK((c.snat() == (o->snat_port == 0 ? "" : net::bytes_of(net::parse_ip("10.0.1.200").value()))));
    workers.insert(c.worker());
  }
  CHECK(workers.size() == 2);

  // A service that goes leaves its connections, until they end.
  s.rig.remove("demo/web:http@192.0.2.10:80/TCP");
  size_t nameless = 0;
  for (const engine::Connection& c : s.list(request)) nameless += c.service().empty();
  CHECK(nameless == 150);
  s.rig.pass(7'440);
  CHECK(s.list(request).empty());
}

TEST_CASE("a filter that is none, or a place that there isn't", "[connections]") {
  Site s;
  const auto answer = [&](const engine::ConnectionsRequest& r) {
    return control::connections_part(s.rig.publisher(), s.rig.workers().all(), r);
  };
  engine::ConnectionsRequest r;
  r.mutable_filter()->set_vip("abc");
  CHECK_FALSE(answer(r).ok());
  r = {};
  r.mutable_filter()->mutable_client()->set_address("abcd");
  r.mutable_filter()->mutable_client()->set_length(33);
  CHECK_FALSE(answer(r).ok());
  r = {};
  r.mutable_filter()->add_states(static_cast<engine::ConnectionState>(9));
  CHECK_FALSE(answer(r).ok());
  for (const auto& [table, bucket, slot] : {std::tuple{4U, 0U, 0U}, {3U, ~0U, 0U}, {3U, 0U, ~0U}, {~0U, ~0U, ~0U}}) {
    r = {};
    r.set_rows(1'000);
    r.mutable_from()->set_table(table);
    r.mutable_from()->set_bucket(bucket);
    r.mutable_from()->set_slot(slot);
    const auto part = answer(r);
    REQUIRE(part.ok());
    CHECK_FALSE(part->has_next());
    CHECK(part->matched() <= 450);
  }
}

}  // namespace
}  // namespace guideway::cases
