#include "mgmt/api/calls.h"

#include <utility>

namespace guideway::mgmt {
namespace {

grpc::Status stopping() { return {grpc::StatusCode::UNAVAILABLE, "guidewayd is stopping"}; }

grpc::Status too_many(const std::string& what) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "this connection has " + what + ": read those first"};
}

// One that ended as it began.
struct Refused : grpc::ServerUnaryReactor {
  explicit Refused(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

}  // namespace

class Calls::Call final : public grpc::ServerUnaryReactor {
 public:
  Call(Calls& all, std::string peer, const grpc::ByteBuffer& response, std::function<grpc::Status()> answer)
      : all_(all), answer_(std::move(answer)), peer(std::move(peer)), response(response) {}
  grpc::Status answer() { return answer_(); }
  void OnDone() override {
    all_.end(*this);
    delete this;
  }

 private:
  Calls& all_;
  std::function<grpc::Status()> answer_;

 public:
  const std::string peer;
  const grpc::ByteBuffer& response;
  size_t unread = 0;  // bytes; guarded by the mutex of Calls
};

Calls::Calls() {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

grpc::ServerUnaryReactor* Calls::begin(const grpc::CallbackServerContext& context, const grpc::ByteBuffer& response,
                                       std::function<grpc::Status()> answer) {
  std::string peer = context.peer();
  std::unique_lock lock(mutex_);
  if (stopped_) {
    lock.unlock();
    return new Refused(stopping());
  }
  Connection& connection = connections_[peer];
  if (connection.calls >= kOfConnection) {
    lock.unlock();
    return new Refused(too_many(std::to_string(kOfConnection) + " calls under way"));
  }
  ++connection.calls;
  auto* call = new Call(*this, std::move(peer), response, std::move(answer));
  waiting_.push_back(call);
  lock.unlock();
  wake_.notify_one();
  return call;
}

void Calls::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    if (stopped_) return;
    Call* const call = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    const grpc::Status status = admit(*call, call->answer());
    call->Finish(status);  // after which it may be gone
    lock.lock();
  }
}

grpc::Status Calls::admit(Call& call, grpc::Status status) {
  if (!status.ok()) return status;
  const size_t bytes = call.response.Length();
  const std::lock_guard lock(mutex_);
  Connection& connection = connections_[call.peer];
  if (connection.unread > 0 && unread_ + bytes > kUnread)
    return too_many(std::to_string(connection.unread) + " bytes of answers unread");
  call.unread = bytes;
  connection.unread += bytes;
  unread_ += bytes;
  return status;
}

void Calls::end(const Call& call) {
  const std::lock_guard lock(mutex_);
  const auto connection = connections_.find(call.peer);
  connection->second.unread -= call.unread;
  unread_ -= call.unread;
  if (--connection->second.calls == 0) connections_.erase(connection);
}

void Calls::stop() {
  std::deque<Call*> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(waiting_);
  }
  wake_.notify_all();
  for (Call* call : left) call->Finish(stopping());
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

}  // namespace guideway::mgmt
