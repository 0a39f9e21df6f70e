#include "mgmt/engine_link/status_link.h"

#include "mgmt/engine_link/engine_link.h"
#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::milliseconds kAnswerWithin{500};

}  // namespace

StatusLink::StatusLink(EventLoop& loop, std::string path)
    : loop_(loop),
      path_(std::move(path)),
      connection_(
          loop, [this](const engine::Envelope& m) { return take(m); }, [this](const absl::Status&) { closed(); }) {}

void StatusLink::connect() {
  if (!connection_.connect(path_).ok()) closed();
}

// The STATE connection says why; here it would only be said twice.
void StatusLink::closed() {
  attached_ = false;
  loop_.cancel(timer_);
  answer_all(nullptr);
  loop_.call_after(kRetry, [this] { connect(); });
}

void StatusLink::answer_all(const engine::Status* status) {
  const std::vector<Answer> answers = std::move(asked_);
  asked_.clear();
  if (status == nullptr) {
    const std::vector<Answer> more = std::move(waiting_);
    waiting_.clear();
    for (const Answer& a : more) a(nullptr);
  }
  for (const Answer& a : answers) a(status);
}

void StatusLink::ask(Answer answer) {
  if (!attached_) return answer(nullptr);
  waiting_.push_back(std::move(answer));
  if (asked_.empty()) send_request();
}

void StatusLink::send_request() {
  asked_.swap(waiting_);
  engine::Envelope request;
  request.mutable_status_request();
  connection_.queue(frame_of(request));
  timer_ = loop_.call_after(
      kAnswerWithin, [this] { connection_.fail(absl::DeadlineExceededError("the engine sent no Status in time")); });
  connection_.flush();
}

absl::Status StatusLink::take(const engine::Envelope& message) {
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
  if (!attached_ || asked_.empty() || !message.has_status())
    return absl::DataLossError("the engine sent a message that isn't expected now");
  loop_.cancel(timer_);
  answer_all(&message.status());
  if (!waiting_.empty()) send_request();
  return absl::OkStatus();
}

}  // namespace guideway::mgmt
