// The OBSERVE connection: asks the engine for its Status, its Counters or its connections when somebody wants them.
// Apart from the STATE connection, so that they delay no commit.
#pragma once

#include <array>
#include <deque>
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
  using ListAnswer = std::function<void(const engine::Connections*)>;

  ObserveLink(EventLoop& loop, std::string path);
  void start() { connect(); }
  // Answers once. Who asks while a question is under way shares the next answer.
  void ask(Question question, Answer answer);
  // Answers once, with a part: see ConnectionsRequest.
  void list(engine::ConnectionsRequest request, ListAnswer answer);

 private:
  void connect();
  absl::Status take(const engine::Envelope& message);
  void take_counters(const engine::Counters& part);
  void closed();
  bool is_asking() const { return !asked_.empty() || listed_; }
  void send_next();
  bool send_question();
  bool send_list();
  void send(const engine::Envelope& request);
  void wait_for_answer();
  void answer_all();

  EventLoop& loop_;
  std::string path_;
  Connection connection_;
  bool attached_ = false;
  std::array<std::vector<Answer>, 2> waiting_;                           // by Question: for one that is yet to be asked
  std::vector<Answer> asked_;                                            // for the one that is under way
  Question question_ = Question::kStatus;                                // that one
  Observation observation_;                                              // what came of it so far
  std::deque<std::pair<engine::ConnectionsRequest, ListAnswer>> lists_;  // that are yet to be asked for
  ListAnswer listed_;                                                    // of the one that is under way
  bool listing_last_ = false;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace guideway::mgmt
