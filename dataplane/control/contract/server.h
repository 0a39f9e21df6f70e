// The engine's side of the contract's socket: accepts daemons, checks who they are, and answers. Non-blocking, within
// control's poll loop; a slow or hostile peer costs its own connection only.
#pragma once

#include <absl/status/statusor.h>
#include <poll.h>
#include <sys/un.h>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/control/contract/state.h"
#include "dataplane/control/service_counters.h"
#include "dataplane/control/tracing.h"
#include "log/trouble.h"
#include "xdp/fd.h"

namespace guideway::control {

class ContractServer {
 public:
  static constexpr uint32_t kVersion = 1;  // of the contract

  struct Callbacks {
    std::function<engine::Hello()> hello;
    std::function<engine::Status()> status;
    std::function<engine::Counters(CountersCursor&)> counters;  // the next part
    std::function<absl::StatusOr<engine::Connections>(const engine::ConnectionsRequest&)> connections;
    std::function<engine::LogLevel(engine::LogLevel)> log_level;  // sets it unless unspecified; tells it
    std::function<std::unique_ptr<Tracing>(const engine::TraceRequest&)> trace;
    std::function<void(const log::Trouble&)> log;
  };

  // InvalidArgument: it is longer than a socket's may be.
  static absl::StatusOr<sockaddr_un> address_of(const std::string& path);
  // Adds group `guideway`, where it exists, to the process's: so listen() needs no privilege to give it the socket.
  static void join_group();
  // 0660, of group `guideway` where it exists. A socket file that nobody listens on is replaced.
  static absl::StatusOr<std::unique_ptr<ContractServer>> listen(const std::string& path, ContractState& state,
                                                                Callbacks callbacks);
  ~ContractServer();

  // What poll(2) is to wait for, and afterwards, with what it found.
  void add_to(std::vector<pollfd>& fds) const;
  void handle(const std::vector<pollfd>& fds);
  // The connection of an engine that wants our place, once.
  std::optional<xdp::Fd> take_successor();
  // Whether a packet is being traced: then handle() is to be called once a millisecond.
  bool is_tracing() const;

 private:
  struct Connection {
    xdp::Fd fd;
    engine::Attach::Purpose purpose = engine::Attach::PURPOSE_UNSPECIFIED;
    std::string in;
    std::string out;
    bool answered = false;  // in this round, which is enough
    bool waits = false;     // there are messages left in `in`: for the next round, once the peer has room for an answer
    // What is yet to be answered, each time that the peer has room, between control's other work.
    std::optional<CountersCursor> counting;  // what is left of an answer in parts
    std::optional<engine::ConnectionsRequest> listing;
    bool owed() const { return counting || listing; }
    std::unique_ptr<Tracing> tracing;  // answered once the workers have looked at the packet
    bool is_answering() const { return owed() || tracing != nullptr; }
    bool closed = false;
  };

  ContractServer(std::string path, xdp::Fd listener, ContractState& state, Callbacks callbacks)
      : path_(std::move(path)), listener_(std::move(listener)), state_(state), callbacks_(std::move(callbacks)) {}
  void accept();
  // The connection by which a daemon drives us; null if none does.
  const Connection* driver() const;
  void receive(Connection& c);
  void take_messages(Connection& c);
  void take(Connection& c, const engine::Envelope& message);
  void attach(Connection& c, const engine::Attach& attach);
  void answer_on(Connection& c);
  void follow_trace(Connection& c);
  void send(Connection& c);
  void close(Connection& c, const std::string& why = "", const char* remedy = "let a guidewayd of our release connect");

  std::string path_;
  xdp::Fd listener_;
  ContractState& state_;
  Callbacks callbacks_;
  std::list<Connection> connections_;
};

}  // namespace guideway::control
