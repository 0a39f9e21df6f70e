#include "mgmt/engine_link/observe_link.h"

#include <utility>

#include "mgmt/engine_link/engine_link.h"
#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::milliseconds kAnswerWithin{500};  // each part of it

engine::Envelope::MessageCase reply_to(engine::Envelope::MessageCase request) {
  switch (request) {
    case engine::Envelope::kConnectionsRequest:
      return engine::Envelope::kConnections;
    case engine::Envelope::kLogLevelRequest:
      return engine::Envelope::kLogLevel;
    case engine::Envelope::kTraceRequest:
      return engine::Envelope::kTrace;
    default:
      return engine::Envelope::MESSAGE_NOT_SET;
  }
}

}  // namespace

ObserveLink::ObserveLink(EventLoop& loop, std::string path, Silence& silence)
    : loop_(loop),
      path_(std::move(path)),
      silence_(silence),
      connection_(
          loop, [this](const engine::Envelope& m) { return take(m); }, [this](const absl::Status& s) { closed(s); }) {}

void ObserveLink::connect() {
  if (const absl::Status s = connection_.connect(path_); !s.ok()) closed(s);
}

// The STATE connection says why; here it would only be said twice. What it was late with it still owes.
void ObserveLink::closed(const absl::Status& why) {
  if (!absl::IsDeadlineExceeded(why)) silence_.forgive(Silence::Side::kObserve);
  attached_ = false;
  loop_.cancel(timer_);
  give_up();
  loop_.call_after(kRetry, [this] { connect(); });
}

void ObserveLink::give_up() {
  std::vector<Answer> all = std::exchange(asked_, {});
  for (std::vector<Answer>& waiting : waiting_) {
    all.insert(all.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }
  const auto requests = std::exchange(requests_, {});
  const Reply reply = std::exchange(reply_, nullptr);
  for (const Answer& a : all) a(nullptr);
  if (reply) reply(nullptr);
  for (const auto& [request, r] : requests) r(nullptr);
}

void ObserveLink::ask(Question question, Answer answer) {
  if (!attached_) return answer(nullptr);
  waiting_[static_cast<size_t>(question)].push_back(std::move(answer));
  if (!is_asking()) send_next();
}

void ObserveLink::request(engine::Envelope request, Reply reply) {
  if (!attached_) return reply(nullptr);
  requests_.emplace_back(std::move(request), std::move(reply));
  if (!is_asking()) send_next();
}

// By turns, so that neither who lists millions of connections nor who asks for counters all the time keeps the other.
void ObserveLink::send_next() {
  const bool question_first = request_last_;
  if (question_first ? send_question() || send_request() : send_request() || send_question()) connection_.flush();
}

bool ObserveLink::send_question() {
  for (const Question q : {Question::kStatus, Question::kCounters}) {
    std::vector<Answer>& waiting = waiting_[static_cast<size_t>(q)];
    if (waiting.empty()) continue;
    asked_.swap(waiting);
    question_ = q;
    observation_ = {};
    engine::Envelope request;
    if (q == Question::kStatus)
      request.mutable_status_request();
    else
      request.mutable_counters_request();
    request_last_ = false;
    send(request);
    return true;
  }
  return false;
}

bool ObserveLink::send_request() {
  if (requests_.empty()) return false;
  const engine::Envelope request = std::move(requests_.front().first);
  reply_ = std::move(requests_.front().second);
  reply_case_ = reply_to(request.message_case());
  requests_.pop_front();
  request_last_ = true;
  send(request);
  return true;
}

void ObserveLink::send(const engine::Envelope& request) {
  connection_.queue(frame_of(request));
  wait_for_answer();
}

void ObserveLink::wait_for_answer() {
  silence_.asked(Silence::Side::kObserve, kAnswerWithin);
  loop_.cancel(timer_);
  timer_ = loop_.call_after(kAnswerWithin, [this] { connection_.fail(late("didn't answer")); });
}

void ObserveLink::answer_all() {
  loop_.cancel(timer_);
  const std::vector<Answer> answers = std::exchange(asked_, {});
  for (const Answer& a : answers) a(&observation_);
  if (!is_asking()) send_next();
}

absl::Status ObserveLink::take(const engine::Envelope& message) {
  silence_.heard(Silence::Side::kObserve);
  if (!attached_ && message.has_hello()) {
    if (absl::Status s = check_hello(message.hello()); !s.ok()) return s;
    engine::Envelope attach;
    attach.mutable_attach()->set_version(kContractVersion);
    attach.mutable_attach()->set_purpose(engine::Attach::PURPOSE_OBSERVE);
    connection_.queue(frame_of(attach));
    attached_ = true;
    connection_.flush();
    return absl::OkStatus();
  }
  if (attached_ && reply_ && message.message_case() == reply_case_) {
    loop_.cancel(timer_);
    const Reply reply = std::exchange(reply_, nullptr);
    reply(&message);
    if (!is_asking()) send_next();
    return absl::OkStatus();
  }
  const bool expected = question_ == Question::kStatus ? message.has_status() : message.has_counters();
  if (!attached_ || asked_.empty() || !expected) return unexpected("sent a message that isn't expected now");
  if (question_ == Question::kStatus) {
    observation_.status = message.status();
    answer_all();
  } else {
    take_counters(message.counters());
  }
  return absl::OkStatus();
}

// A service may come in several parts.
void ObserveLink::take_counters(const engine::Counters& part) {
  for (const engine::ServiceCounters& s : part.services()) observation_.counters[s.service()].MergeFrom(s);
  if (part.last()) return answer_all();
  wait_for_answer();
}

}  // namespace guideway::mgmt
