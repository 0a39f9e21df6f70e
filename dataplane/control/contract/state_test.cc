// Batches as they come over the contract, and the file that outlives the engine.
#include "dataplane/control/contract/state.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "dataplane/control/contract/framing.h"

namespace guideway::control {
namespace {

engine::Envelope begin(bool full) {
  engine::Envelope e;
  e.mutable_begin()->set_full(full);
  return e;
}

engine::Envelope commit(uint64_t counter) {
  engine::Envelope e;
  e.mutable_commit()->mutable_generation()->set_instance(7);
  e.mutable_commit()->mutable_generation()->set_counter(counter);
  return e;
}

engine::Envelope service(const std::string& name, uint8_t n, uint32_t port = 80) {
  engine::Envelope e;
  auto* s = e.mutable_service();
  s->set_name(name);
  s->set_address(std::string{'\xc0', '\0', '\2', static_cast<char>(n)});
  s->set_port(port);
  s->set_protocol(6);
  s->set_mode(engine::FORWARDING_MODE_NAT);
  auto* real = s->add_reals();
  real->set_address(std::string{'\x0a', '\0', '\0', static_cast<char>(n)});
  real->set_port(8'080);
  real->set_state(engine::Real::STATE_READY);
  real->set_weight(1);
  return e;
}

engine::Envelope gateway(uint64_t seed) {
  engine::Envelope e;
  e.mutable_gateway()->set_hash_seed(seed);
  return e;
}

// The whole part that such a prefix of 24 bits stands in, with or without it.
net::Prefix denied_prefix(uint8_t n) { return {net::IpAddress::v4(net::Be32{0xc6336400U + n * 0x100U}), 24}; }
engine::Envelope denied(uint8_t n, bool there = true) {
  const net::Prefix p = denied_prefix(n);
  engine::Envelope e;
  e.mutable_denied_sources()->set_part(net::part_of(p));
  if (there) e.mutable_denied_sources()->set_ipv4(net::bytes_of(p.address) + static_cast<char>(p.length));
  return e;
}

engine::Envelope removal(const std::string& name) {
  engine::Envelope e;
  e.mutable_removal()->set_service(name);
  return e;
}

// An engine's part of it: what was applied, as the publisher would hold it.
class Engine {
 public:
  explicit Engine(std::string directory)
      : state(std::move(directory), [this](Batch b) { return apply(std::move(b)); }) {}

  // The last answer: "applied N", "refused entry field", "" or "broken".
  std::string take(const std::vector<engine::Envelope>& messages) {
    std::string said;
    for (const auto& m : messages) {
      const auto answer = state.take(m);
      if (!answer.ok()) return "broken";
      if (!*answer) continue;
      if ((*answer)->has_applied()) said = "applied " + std::to_string((*answer)->applied().generation().counter());
      if ((*answer)->has_refused())
        said = "refused " + (*answer)->refused().entry() + " " + (*answer)->refused().field();
    }
    return said;
  }

  ContractState state;
  std::set<std::string> services;
  uint64_t seed = 0;
  std::map<uint32_t, std::vector<net::Prefix>> denied;
  unsigned batches = 0;

 private:
  std::optional<Refusal> apply(Batch b) {
    ++batches;
    if (b.full) services.clear();
    if (b.full) denied.clear();
    for (const DeniedPart& p : b.denied)
      if (p.prefixes.empty())
        denied.erase(p.number);
      else
        denied[p.number] = p.prefixes;
    for (const auto& n : b.removals) services.erase(n);
    for (const auto& s : b.services) {
      if (s.name == "bad") return Refusal{"bad", "address", "a test's"};
      services.insert(s.name);
    }
    if (b.gateway) seed = b.gateway->hash_seed;
    return std::nullopt;
  }
};

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/guideway-state-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string snapshot() const { return path + "/snapshot"; }
  std::string read() const {
    std::stringstream s;
    s << std::ifstream(snapshot(), std::ios::binary).rdbuf();
    return s.str();
  }
  void write(const std::string& bytes) const { std::ofstream(snapshot(), std::ios::binary) << bytes; }

  std::string path;
};

TEST_CASE("batches on top of each other", "[state]") {
  Directory d;
  Engine e(d.path);
  CHECK(e.take({begin(true), gateway(5), service("a", 1), service("b", 2), commit(1)}) == "applied 1");
  CHECK(e.take({begin(false), service("c", 3), removal("a"), commit(2)}) == "applied 2");
  CHECK(e.services == std::set<std::string>{"b", "c"});
  CHECK(e.seed == 5);
  CHECK(e.state.generation()->counter() == 2);
}

TEST_CASE("a wrong entry has its batch refused, and the state stays", "[state]") {
  Directory d;
  Engine e(d.path);
  REQUIRE(e.take({begin(true), service("a", 1), commit(1)}) == "applied 1");
  CHECK(e.take({begin(false), service("b", 2), service("c", 3, 70'000), service("d", 4, 70'000), commit(2)}) ==
        "refused c port");
  CHECK(e.take({begin(true), service("bad", 2), commit(3)}) == "refused bad address");
  CHECK(e.batches == 2);
  CHECK(e.state.generation()->counter() == 1);
  // What was refused isn't saved either.
  REQUIRE(e.state.save().ok());
  Engine after(d.path);
  REQUIRE(after.state.load().ok());
  CHECK(after.services == std::set<std::string>{"a"});
}

TEST_CASE("what doesn't keep to the contract", "[state]") {
  Directory d;
  Engine e(d.path);
  CHECK(e.take({service("a", 1)}) == "broken");
  CHECK(e.take({commit(1)}) == "broken");
  engine::Envelope hello;
  hello.mutable_hello();
  CHECK(e.take({begin(true), hello}) == "broken");
  e.state.abandon();
  // A batch that its connection didn't finish leaves nothing in the next.
  CHECK(e.take({begin(true), service("a", 1)}) == "");
  e.state.abandon();
  CHECK(e.take({commit(1)}) == "broken");
  CHECK(e.take({begin(true), service("b", 2), commit(2)}) == "applied 2");
  CHECK(e.services == std::set<std::string>{"b"});
}

void save_some(const Directory& d) {
  Engine e(d.path);
  REQUIRE(e.take({begin(true), gateway(9), service("a", 1), service("b", 2), commit(1)}) == "applied 1");
  REQUIRE(e.take({begin(false), service("c", 3), removal("b"), commit(2)}) == "applied 2");
  CHECK(e.state.unsaved());
  REQUIRE(e.state.save().ok());
  CHECK_FALSE(e.state.unsaved());
}

TEST_CASE("what was saved is loaded", "[state]") {
  Directory d;
  save_some(d);
  Engine e(d.path);
  REQUIRE(e.state.load().ok());
  CHECK(e.services == std::set<std::string>{"a", "c"});
  CHECK(e.seed == 9);
  CHECK(e.state.generation()->counter() == 2);
  CHECK(e.state.generation()->instance() == 7);
  CHECK_FALSE(e.state.unsaved());
  CHECK(e.take({begin(false), removal("a"), commit(3)}) == "applied 3");
  CHECK(e.services == std::set<std::string>{"c"});
}

TEST_CASE("without a file there is nothing to load", "[state]") {
  Directory d;
  Engine e(d.path);
  CHECK(e.state.load().code() == absl::StatusCode::kNotFound);
}

// Set aside, said, and nothing of it applied.
void check_damaged(const Directory& d, const std::string& bytes) {
  d.write(bytes);
  Engine e(d.path);
  const absl::Status s = e.state.load();
  REQUIRE(s.code() == absl::StatusCode::kDataLoss);
  REQUIRE(s.message().find(".damaged") != std::string::npos);
  REQUIRE(e.services.empty());
  REQUIRE(e.batches == 0);
  REQUIRE_FALSE(e.state.generation());
  REQUIRE_FALSE(std::filesystem::exists(d.snapshot()));
  REQUIRE(std::filesystem::exists(d.snapshot() + ".damaged"));
  REQUIRE(e.take({begin(true), service("z", 9), commit(5)}) == "applied 5");
}

TEST_CASE("a snapshot cut short anywhere", "[state]") {
  Directory d;
  save_some(d);
  const std::string whole = d.read();
  for (size_t n = 0; n < whole.size(); ++n) {
    INFO(n << " of " << whole.size() << " bytes");
    check_damaged(d, whole.substr(0, n));
  }
}

TEST_CASE("a snapshot with a wrong byte anywhere", "[state]") {
  Directory d;
  save_some(d);
  const std::string whole = d.read();
  std::mt19937 random(1);
  for (size_t n = 0; n < whole.size(); ++n) {
    INFO("byte " << n);
    std::string bytes = whole;
    bytes[n] = static_cast<char>(bytes[n] ^ (1 + random() % 255));
    check_damaged(d, bytes);
  }
  check_damaged(d, whole + "x");
}

std::set<net::Prefix> denied_by(const Engine& e) {
  std::set<net::Prefix> all;
  for (const auto& [part, prefixes] : e.denied) all.insert(prefixes.begin(), prefixes.end());
  return all;
}

TEST_CASE("denied sources are saved part by part, and loaded with the rest", "[state]") {
  Directory d;
  const std::set<net::Prefix> both{denied_prefix(1), denied_prefix(2)};
  {
    Engine e(d.path);
    REQUIRE(e.take({begin(true), service("a", 1), denied(1), denied(2), commit(1)}) == "applied 1");
    REQUIRE(e.state.save(1).ok());
    CHECK(e.state.unsaved());
    REQUIRE(e.state.save(1).ok());
    CHECK_FALSE(e.state.unsaved());
    REQUIRE(e.take({begin(false), service("b", 2), commit(2)}) == "applied 2");
    REQUIRE(e.state.save(0).ok());  // no part has changed
    CHECK_FALSE(e.state.unsaved());
  }
  {
    Engine e(d.path);
    REQUIRE(e.state.load().ok());
    CHECK(denied_by(e) == both);
    CHECK(e.services == std::set<std::string>{"a", "b"});
    CHECK(e.state.generation()->counter() == 2);
    CHECK_FALSE(e.state.unsaved());
    REQUIRE(e.take({begin(false), denied(1, false), commit(3)}) == "applied 3");
    REQUIRE(e.state.save().ok());
  }
  {
    Engine e(d.path);  // knows nothing, and is told everything
    REQUIRE(e.take({begin(true), service("a", 1), commit(4)}) == "applied 4");
    REQUIRE(e.state.save().ok());
  }
  Engine e(d.path);
  REQUIRE(e.state.load().ok());
  CHECK(denied_by(e).empty());
}

TEST_CASE("of a damaged part the others, and everything else, are in force", "[state]") {
  Directory d;
  {
    Engine e(d.path);
    REQUIRE(e.take({begin(true), service("a", 1), denied(1), denied(2), commit(1)}) == "applied 1");
    REQUIRE(e.state.save().ok());
  }
  const std::string damaged = d.path + "/denied-" + std::to_string(net::part_of(denied_prefix(1)));
  REQUIRE(std::filesystem::exists(damaged));
  std::ofstream(damaged, std::ios::app) << "x";
  Engine e(d.path);
  CHECK(e.state.load().code() == absl::StatusCode::kDataLoss);
  CHECK(denied_by(e) == std::set{denied_prefix(2)});
  CHECK(e.services == std::set<std::string>{"a"});
  CHECK(e.state.generation()->counter() == 1);
  CHECK(std::filesystem::exists(damaged + ".damaged"));
}

}  // namespace
}  // namespace guideway::control
