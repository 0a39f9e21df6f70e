// One engine after another: the next one maps the tables that the last one left, or reads them where its own are of
// another shape. It knows of the reals by what it is told itself, in whatever order.
#include <catch2/catch.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "dataplane/control/table_directory.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

using control::TableDirectory;

// A directory on a tmpfs, for engines one after another.
class Home {
 public:
  Home() {
    std::string name = "/dev/shm/guideway-restart-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Home() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::unique_ptr<TableDirectory> open() const {
    auto d = TableDirectory::open(path_);
    REQUIRE(d.ok());
    return *std::move(d);
  }

 private:
  std::string path_;
};

// An engine's life.
class Life {
 public:
  Life(const Home& home, unsigned workers, uint32_t connections = 4096)
      : directory_(home.open()), rig_({.workers = workers, .connections = connections, .directory = directory_.get()}) {
    network(rig_);
    for (const unsigned n : {13U, 14U})
      for (const char* link : {"10.0.1.", "2001:db8:1::"}) rig_.neighbor(1, link + std::to_string(n), real_mac(n));
    rig_.gateway(snat(20'000, 20'999));
  }
  ~Life() { directory_->stamp(); }
  Rig* operator->() { return &rig_; }
  Rig& operator*() { return rig_; }
  TableDirectory& directory() { return *directory_; }
  // As the engine does once it knows its state.
  uint32_t begin() {
    const uint32_t lost = rig_.workers().carry_over(*rig_.publisher().tables().load());
    rig_.pass(0);
    rig_.sweep();
    return lost;
  }

 private:
  std::unique_ptr<TableDirectory> directory_;
  Rig rig_;
};

// One VIP for each mode and family, with those of the reals.
void serve(Life& life, std::initializer_list<unsigned> reals, std::string_view skip = "") {
  for (const bool v4 : {true, false}) {
    for (const auto& [port, mode] : {std::pair{80, Mode::kDsrL2}, {81, Mode::kNat}, {82, Mode::kDsrIpip}}) {
      auto s = service(v4 ? kVip : kVip6, static_cast<uint16_t>(port), Protocol::kTcp, mode, {});
      s.name = (v4 ? "4-" : "6-") + std::to_string(port);
      if (s.name == skip) continue;
      for (const unsigned n : reals) {
        lb::Real r;
        r.address = net::parse_ip((v4 ? "10.0.1." : "2001:db8:1::") + std::to_string(n)).value();
        r.port = mode == Mode::kNat ? 8080 : static_cast<uint16_t>(port);
        s.reals.push_back(r);
      }
      if (port == 82) s.affinity_seconds = 600;
      life->service(s);
    }
  }
}

Frame from_client(bool v4, uint16_t vip_port, uint16_t n, uint8_t flags) {
  return Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6).tcp(1'000 + n, vip_port, flags);
}

using Flow = std::tuple<bool, uint16_t, uint16_t>;  // IPv4, the VIP's port, number

// What leaves of a packet of each flow; empty where none does.
std::map<Flow, rig::Bytes> ask(Life& life, uint8_t flags, unsigned queues, uint16_t flows = 40) {
  std::map<Flow, rig::Bytes> left;
  for (const bool v4 : {true, false})
    for (const uint16_t port : {80, 81, 82})
      for (uint16_t n = 0; n < flows; ++n) {
        const auto sent = life->send(from_client(v4, port, n, flags).bytes(), 0, n % queues);
        left[{v4, port, n}] = sent.size() == 1 ? sent[0].bytes : rig::Bytes();
      }
  return left;
}

uint16_t snat_port_of(const rig::Bytes& to_real, bool v4) {
  const size_t at = v4 ? 34 : 54;
  return static_cast<uint16_t>(to_real.at(at) << 8 | to_real.at(at + 1));
}

bool all_leave(const std::map<Flow, rig::Bytes>& left) {
  return std::ranges::none_of(left, [](const auto& f) { return f.second.empty(); });
}

TEST_CASE("connections go on with the next engine, whatever has changed meanwhile", "[restart]") {
  for (const auto& [before, after] : {std::pair{1U, 1U}, {2U, 2U}, {1U, 2U}, {2U, 1U}, {3U, 2U}}) {
    INFO(before << " workers, then " << after);
    Home home;
    std::map<Flow, rig::Bytes> was;
    {
      Life first(home, before);
      serve(first, {10, 11, 12, 13});
      REQUIRE(all_leave(ask(first, net::kTcpSyn, before)));
      was = ask(first, net::kTcpAck, before);
      REQUIRE(all_leave(was));
    }
    Life next(home, after, before == after ? 4096 : 8192);
    CHECK(next.directory().damaged().empty());
    serve(next, {14, 13, 12, 11, 10});  // other rows, if none were kept, and another table
    CHECK(next.begin() == 0);
    CHECK(next->workers().recovered() > 0);
    unsigned elsewhere = 0;
    const auto is = ask(next, net::kTcpAck, after);
    for (const auto& [flow, bytes] : was) {
      const auto& [v4, port, n] = flow;
      INFO("IPv4 " << v4 << ", port " << port << ", flow " << n);
      CHECK(rig::describe(is.at(flow)) == rig::describe(bytes));
      if (port == 80) {
        // A new connection of the same client asks the new table: some are elsewhere, or this test tells nothing.
        const auto fresh = next->send(from_client(v4, port, n + 1'000, net::kTcpSyn).bytes());
        REQUIRE(fresh.size() == 1);
        elsewhere += fresh[0].bytes.at(5) == 14 ? 1 : 0;
      }
    }
    CHECK(elsewhere > 0);
    // Replies find their way as well, by whatever queue they come; and no port is given twice.
    std::set<std::pair<unsigned, uint16_t>> ports;  // the real's last byte, and ours
    for (const auto& [flow, bytes] : is) {
      const auto& [v4, port, n] = flow;
      if (port != 81) continue;
      const unsigned real = bytes.at(5);
      const uint16_t snat_port = snat_port_of(bytes, v4);
      CHECK(ports.emplace(v4 ? real : real + 256, snat_port).second);
      const std::string server = (v4 ? "10.0.1." : "2001:db8:1::") + std::to_string(real);
      const char* snat_address = v4 ? "10.0.1.200" : "2001:db8:1::200";
      const auto back = next->send(Frame().ip(server, snat_address).tcp(8080, snat_port, 0x12).bytes(), 1, n % after);
      REQUIRE(back.size() == 1);
      CHECK(back[0].port == 0);
    }
    for (uint16_t n = 100; n < 140; ++n) {
      const auto fresh = next->send(from_client(true, 81, n, net::kTcpSyn).bytes(), 0, n % after);
      REQUIRE(fresh.size() == 1);
      CHECK(ports.emplace(fresh[0].bytes.at(5), snat_port_of(fresh[0].bytes, true)).second);
    }
  }
}

TEST_CASE("reals that went while no engine ran keep their connections, and their rows for as long", "[restart]") {
  Home home;
  std::map<Flow, rig::Bytes> was;
  {
    Life first(home, 1);
    serve(first, {10, 11});
    ask(first, net::kTcpSyn, 1);
    was = ask(first, net::kTcpAck, 1);
  }
  Life next(home, 1);
  serve(next, {12}, "4-82");
  next.begin();
  next->sweep();
  const auto is = ask(next, net::kTcpAck, 1);
  for (const auto& [flow, bytes] : was) {
    const auto& [v4, port, n] = flow;
    INFO("IPv4 " << v4 << ", port " << port << ", flow " << n);
    // A service that is gone has no connections.
    CHECK(rig::describe(is.at(flow)) == rig::describe(v4 && port == 82 ? rig::Bytes() : bytes));
  }
  const uint32_t rows = next->publisher().real_rows();
  next->pass(8'000);
  next->sweep();
  next->reclaimer().collect();
  CHECK(next->publisher().real_rows() < rows);
  CHECK(next->publisher().real_rows() == 5);
  CHECK(ask(next, net::kTcpSyn, 1).at({true, 80, 0}).at(5) == 12);
}

TEST_CASE("time goes on from one engine to the next", "[restart]") {
  Home home;
  {
    Life first(home, 1);
    serve(first, {10, 11});
    ask(first, net::kTcpSyn, 1);
  }
  Life next(home, 1);
  serve(next, {10, 11});
  next.begin();
  const auto& table = next->workers()[0].connections().v4;
  CHECK(table.size() == 40 + 80 + 40 + 1);  // nat has two each; and the client of the service with affinity
  next->pass(31);                           // connections in setup last for 30 s
  CHECK(table.size() == 1);
}

// Whatever becomes of the files, the engine starts, says what it lost, and sends nobody elsewhere than he was or where
// the table has him.
TEST_CASE("files cut short or damaged at random bytes", "[restart]") {
  std::mt19937 random(20261126);
  Home home;
  Home copy;
  std::map<Flow, rig::Bytes> was;
  std::map<Flow, rig::Bytes> anew;  // by the table alone
  constexpr uint32_t kConnections = 64;
  constexpr uint16_t kFlows = 8;
  {
    Life first(home, 1, kConnections);
    serve(first, {10, 11, 12});
    ask(first, net::kTcpSyn, 1, kFlows);
    was = ask(first, net::kTcpAck, 1, kFlows);
    REQUIRE(all_leave(was));
  }
  {
    Home empty;
    Life other(empty, 1, kConnections);
    serve(other, {10, 11, 12});
    anew = ask(other, net::kTcpAck, 1, kFlows);
  }
  const auto files = {"worker0.ipv4", "worker0.ipv6", "rows"};
  unsigned kept = 0;
  unsigned lost = 0;
  for (unsigned round = 0; round < 1'000; ++round) {
    INFO("round " << round);
    for (const char* name : files) {
      const auto to = std::filesystem::path(copy.path()) / name;
      std::filesystem::copy_file(std::filesystem::path(home.path()) / name, to,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    const std::string name = *(files.begin() + random() % 3);
    const auto file = std::filesystem::path(copy.path()) / name;
    const auto size = std::filesystem::file_size(file);
    bool cut = false;
    if (round % 50 == 0) {
      const auto left = random() % (round % 100 == 0 ? 4'096 : size);
      std::filesystem::resize_file(file, left);
      cut = name == "rows" ? left > 0 : left < 4'096;  // an empty file is a new one
    } else {
      // Where something stands, not in the zeros behind it.
      const size_t end = name == "rows" ? 4'096 : 16'384;
      std::fstream f(file, std::ios::binary | std::ios::in | std::ios::out);
      for (unsigned bytes = 1 + random() % 64; bytes > 0; --bytes) {
        f.seekp(static_cast<std::streamoff>(random() % end));
        f.put(static_cast<char>(random()));
      }
    }
    Life next(copy, 1, kConnections);
    serve(next, {10, 11, 12});
    next.begin();
    CHECK((!cut || next.directory().damaged().size() == 1));
    const auto is = ask(next, net::kTcpAck, 1, kFlows);
    for (const auto& [flow, bytes] : was) {
      const auto& [v4, port, n] = flow;
      const bool same = is.at(flow) == bytes;
      (same ? kept : lost) += 1;
      // Where the table has him; the middle of a connection that isn't known, nat and affinity can't serve.
      if (!same) CHECK((is.at(flow).empty() || (port == 80 && is.at(flow) == anew.at(flow))));
    }
  }
  CHECK(kept > lost);
  CHECK(lost > 0);
}

}  // namespace
}  // namespace guideway::cases
