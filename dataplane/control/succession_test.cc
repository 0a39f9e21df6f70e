#include "dataplane/control/succession.h"

#include <catch2/catch.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/server.h"

using namespace guideway;
using control::Predecessor;
using control::Successor;

namespace {

// Listens where an engine would, and does with who comes what it is told: with so many, or until it is destroyed.
class Listener {
 public:
  explicit Listener(std::function<void(xdp::Fd)> then, unsigned count = 1) {
    fd_ = xdp::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = *control::ContractServer::address_of(path());
    REQUIRE(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(fd_.get(), 1) == 0);
    thread_ = std::jthread([this, count, then = std::move(then)] {
      for (unsigned n = 0; count == 0 || n < count; ++n) {
        xdp::Fd peer(accept(fd_.get(), nullptr, nullptr));
        if (!peer) return;
        then(std::move(peer));
      }
      shutdown(fd_.get(), SHUT_RDWR);  // nobody listens from here on
    });
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/engine.sock"; }

 private:
  std::string directory_ = [] {
    char name[] = "/tmp/guideway-succession.XXXXXX";
    return std::string(mkdtemp(name) != nullptr ? name : "");
  }();
  xdp::Fd fd_;
  std::jthread thread_;
};

void send_to(const xdp::Fd& fd, const engine::Envelope& message) {
  std::string out;
  control::append_frame(out, message);
  REQUIRE(send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size()));
}

engine::Envelope receive_from(const xdp::Fd& fd) {
  std::string in;
  while (true) {
    char byte = 0;
    if (recv(fd.get(), &byte, 1, 0) != 1) return {};
    in += byte;
    size_t at = 0;
    if (auto message = control::take_frame(in, &at); message.ok() && *message) return **message;
  }
}

void say_hello(const xdp::Fd& fd, uint32_t version) {
  engine::Envelope hello;
  hello.mutable_hello()->set_version(version);
  hello.mutable_hello()->set_engine_version("7.8.9");
  send_to(fd, hello);
}

bool connect_to(const Listener& listener, const xdp::Fd& fd) {
  const sockaddr_un address = *control::ContractServer::address_of(listener.path());
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// Nothing to read until it is written to.
struct Pipe {
  Pipe() { REQUIRE(pipe(ends) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
};

}  // namespace

TEST_CASE("Where no engine listens there is nobody to succeed") {
  const auto found = Predecessor::find("/tmp/guideway-nobody/engine.sock");
  REQUIRE(found.ok());
  CHECK(!*found);
  CHECK(absl::IsInvalidArgument(Predecessor::find("/" + std::string(200, 'x')).status()));
}

TEST_CASE("An engine stands down, and ends once the other has taken over, or goes on") {
  const bool taken = GENERATE(true, false);
  bool ended = !taken;
  Pipe signals;
  {
    Listener older([&](xdp::Fd fd) {
      say_hello(fd, control::ContractServer::kVersion);
      if (receive_from(fd).attach().purpose() != engine::Attach::PURPOSE_SUCCEED) return;
      ended = Successor(std::move(fd)).takes_over(signals.ends[0]);
    });
    auto found = Predecessor::find(older.path());
    REQUIRE((found.ok() && *found));
    REQUIRE((*found)->relieve().ok());
    if (taken) (*found)->taken_over();
    found->reset();
  }
  CHECK(ended == taken);
}

TEST_CASE("An engine that waits for another to take over ends by a signal") {
  Pipe signals;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const xdp::Fd newer(ends[1]);
  REQUIRE(write(signals.ends[1], "x", 1) == 1);
  CHECK(Successor(xdp::Fd(ends[0])).takes_over(signals.ends[0]));
}

TEST_CASE("What keeps an engine from being succeeded is said") {
  SECTION("another version of the contract") {
    Listener older([](const xdp::Fd& fd) { say_hello(fd, control::ContractServer::kVersion + 1); });
    CHECK_THAT(std::string(Predecessor::find(older.path()).status().message()), Catch::Contains("of release 7.8.9"));
  }
  SECTION("it closes") {
    Listener older([](const xdp::Fd& fd) {
      say_hello(fd, control::ContractServer::kVersion);
      receive_from(fd);
    });
    auto found = Predecessor::find(older.path());
    REQUIRE((found.ok() && *found));
    CHECK(absl::IsUnavailable((*found)->relieve()));
  }
  SECTION("it refuses") {
    Listener older([](xdp::Fd fd) {
      say_hello(fd, control::ContractServer::kVersion);
      receive_from(fd);
      Successor(std::move(fd)).refuse("not today");
    });
    auto found = Predecessor::find(older.path());
    REQUIRE((found.ok() && *found));
    CHECK((*found)->relieve().message() == "not today");
  }
  SECTION("it talks nonsense, again and again") {
    Listener older([](const xdp::Fd& fd) { REQUIRE(send(fd.get(), "\xff\xff\xff\xff", 4, MSG_NOSIGNAL) == 4); }, 0);
    CHECK(absl::IsUnavailable(Predecessor::find(older.path()).status()));
  }
  SECTION("it hangs, and others wait already") {
    Listener older([](const xdp::Fd& fd) { receive_from(fd); });
    std::vector<xdp::Fd> waiting;
    do {
      waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    } while (connect_to(older, waiting.back()));
    const auto found = Predecessor::find(older.path(), std::chrono::seconds(1));
    CHECK_THAT(std::string(found.status().message()), Catch::Contains("doesn't answer"));
  }
  SECTION("it closes without a word, for it is ending") {
    Listener older([](const xdp::Fd&) {});
    const auto found = Predecessor::find(older.path());
    CHECK((found.ok() && !*found));
  }
}
