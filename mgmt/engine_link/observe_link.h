// The OBSERVE connection: asks the engine for its Status or its Counters when somebody wants them. Apart from the STATE
// connection, so that they delay no commit.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mgmt/engine_link/connection.h"

namespace guideway::mgmt {

enum class Question : uint8_t { kStatus, kCounters };

// The engine's answer; what wasn't asked for is empty.
struct Observation {
  engine::Status status;
  std::unordered_map<std::string, engine::ServiceCounters> counters;  // by Service.name
};

class ObserveLink {
 public:
  // Null if the engine doesn't answer.
  using Answer = std::function<void(const Observation*)>;

  ObserveLink(EventLoop& loop, std::string path);
  void start() { connect(); }
  // Answers once. Who asks while a question is under way shares the next answer.
  void ask(Question question, Answer answer);

 private:
  void connect();
  absl::Status take(const engine::Envelope& message);
  void take_counters(const engine::Counters& part);
  void closed();
  void send_next();
  void wait_for_answer();
  void answer_all();

  EventLoop& loop_;
  std::string path_;
  Connection connection_;
  bool attached_ = false;
  std::array<std::vector<Answer>, 2> waiting_;  // by Question: for one that is yet to be asked
  std::vector<Answer> asked_;                   // for the one that is under way
  Question question_ = Question::kStatus;       // that one
  Observation observation_;                     // what came of it so far
  EventLoop::TimerId timer_ = 0;
};

}  // namespace guideway::mgmt
