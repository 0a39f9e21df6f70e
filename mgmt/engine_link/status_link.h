// The OBSERVE connection: asks the engine for its Status when somebody wants it. Apart from the STATE connection, so
// that counters delay no commit.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mgmt/engine_link/connection.h"

namespace guideway::mgmt {

class StatusLink {
 public:
  // Null if the engine doesn't answer.
  using Answer = std::function<void(const engine::Status*)>;

  StatusLink(EventLoop& loop, std::string path);
  void start() { connect(); }
  // Answers once, within half a second.
  void ask(Answer answer);

 private:
  void connect();
  absl::Status take(const engine::Envelope& message);
  void closed();
  void send_request();
  void answer_all(const engine::Status* status);

  EventLoop& loop_;
  std::string path_;
  Connection connection_;
  bool attached_ = false;
  std::vector<Answer> waiting_;  // for a request that is yet to be sent
  std::vector<Answer> asked_;    // for the one that is under way
  EventLoop::TimerId timer_ = 0;
};

}  // namespace guideway::mgmt
