// The OBSERVE connection: asks the engine for its Status, its Counters and what else it tells when somebody wants it.
// Apart from the STATE connection, so that they delay no commit.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mgmt/engine_link/connection.h"
#include "mgmt/engine_link/silence.h"

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
  using Reply = std::function<void(const engine::Envelope*)>;

  ObserveLink(EventLoop& loop, std::string path, Silence& silence);
  void start() { connect(); }
  // Answers once. Who asks while a question is under way shares the next answer.
  void ask(Question question, Answer answer);
  // Asks what one message answers, such as ConnectionsRequest; answers once.
  void request(engine::Envelope request, Reply reply);
  // Answers all who wait with null.
  void give_up();

 private:
  void connect();
  absl::Status take(const engine::Envelope& message);
  void take_counters(const engine::Counters& part);
  void closed(const absl::Status& why);
  bool is_asking() const { return !asked_.empty() || reply_; }
  void send_next();
  bool send_question();
  bool send_request();
  void send(const engine::Envelope& request);
  void wait_for_answer();
  void answer_all();

  EventLoop& loop_;
  std::string path_;
  Silence& silence_;
  Connection connection_;
  bool attached_ = false;
  std::array<std::vector<Answer>, 2> waiting_;               // by Question: for one that is yet to be asked
  std::vector<Answer> asked_;                                // for the one that is under way
  Question question_ = Question::kStatus;                    // that one
  Observation observation_;                                  // what came of it so far
  std::deque<std::pair<engine::Envelope, Reply>> requests_;  // that are yet to be sent
  Reply reply_;                                              // to the one that is under way
  engine::Envelope::MessageCase reply_case_{};               // its message
  bool request_last_ = false;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace guideway::mgmt
