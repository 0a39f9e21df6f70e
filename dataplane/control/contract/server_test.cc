// The contract's socket with several peers at once.
#include "dataplane/control/contract/server.h"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "dataplane/control/contract/framing.h"

namespace guideway::control {
namespace {

class Listening {
 public:
  Listening() {
    auto listening = ContractServer::listen(path(), state_,
                                            {.hello = [] { return engine::Hello(); },
                                             .status =
                                                 [this] {
                                                   ++asked;
                                                   return engine::Status();
                                                 },
                                             .counters = {},
                                             .connections = {},
                                             .log_level = {},
                                             .trace = {},
                                             .log = [this](const log::Trouble& t) { said.push_back(to_string(t)); }});
    REQUIRE(listening.ok());
    server_ = std::move(*listening);
  }
  ~Listening() {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  // One round of control's; false if it would have slept.
  bool turn() {
    std::vector<pollfd> fds;
    server_->add_to(fds);
    const bool ready = poll(fds.data(), fds.size(), 0) > 0;
    server_->handle(fds);
    return ready;
  }
  std::string path() const { return directory_ + "/engine.sock"; }
  std::vector<std::string> said;
  unsigned asked = 0;  // for Status

 private:
  std::string directory_ = [] {
    char name[] = "/tmp/guideway-server.XXXXXX";
    return std::string(mkdtemp(name) != nullptr ? name : "");
  }();
  ContractState state_{directory_, [](const Batch&) { return std::nullopt; }};
  std::unique_ptr<ContractServer> server_;
};

struct Peer {
  explicit Peer(const Listening& server) {
    const sockaddr_un address = *ContractServer::address_of(server.path());
    REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  void attach(engine::Attach::Purpose purpose = engine::Attach::PURPOSE_STATE) const {
    engine::Envelope message;
    message.mutable_attach()->set_version(ContractServer::kVersion);
    message.mutable_attach()->set_purpose(purpose);
    say(message);
  }
  void say(const engine::Envelope& message, unsigned times = 1) const {
    std::string out;
    for (unsigned i = 0; i < times; ++i) append_frame(out, message);
    REQUIRE(send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size()));
  }
  // What has come; that it was closed is no message.
  std::optional<engine::Envelope> read() {
    char buffer[4'096];
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    closed = n == 0;
    if (n <= 0) return std::nullopt;
    size_t at = 0;
    return *take_frame(std::string(buffer, static_cast<size_t>(n)), &at);
  }
  xdp::Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  bool closed = false;
};

}  // namespace

TEST_CASE("contract: one daemon drives the engine, and who comes meanwhile is told which") {
  Listening server;
  Peer first(server);
  server.turn();
  CHECK_FALSE(first.read()->hello().has_daemon_pid());
  first.attach();
  server.turn();

  Peer second(server);
  server.turn();
  CHECK(second.read()->hello().daemon_pid() == static_cast<uint32_t>(getpid()));
  second.attach();  // all the same
  server.turn();
  CHECK_FALSE(second.read());
  CHECK(second.closed);
  REQUIRE(server.said.size() == 1);
  CHECK(server.said[0].find("drives this engine; stop one of the two") != std::string::npos);
  CHECK_FALSE(first.read());
  CHECK_FALSE(first.closed);
}

TEST_CASE("contract: a daemon that comes back at once doesn't meet itself") {
  Listening server;
  auto before = std::make_unique<Peer>(server);
  server.turn();
  before->attach();
  server.turn();
  before.reset();
  Peer after(server);
  server.turn();
  CHECK_FALSE(after.read()->hello().has_daemon_pid());
}

TEST_CASE("contract: who asks without end is answered, and leaves control time for others") {
  Listening server;
  Peer peer(server);
  server.turn();
  REQUIRE(peer.read());
  peer.attach(engine::Attach::PURPOSE_OBSERVE);
  engine::Envelope question;
  question.mutable_status_request();
  constexpr unsigned kQuestions = 1'000;
  peer.say(question, kQuestions);
  CHECK(server.turn());
  CHECK(server.asked == 1);
  while (server.turn()) peer.read();
  CHECK(server.asked == kQuestions);
  CHECK(server.said.empty());
}

}  // namespace guideway::control
