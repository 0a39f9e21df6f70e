#include "mgmt/api/calls.h"

#include <utility>

namespace guideway::mgmt {
namespace {

absl::Status too_many(const std::string& what) {
  return absl::ResourceExhaustedError("this connection has " + what + ": read those first");
}

}  // namespace

class Calls::OneAnswer final : public Call {
 public:
  OneAnswer(Calls& all, const grpc::GenericCallbackServerContext& context, std::string peer, const Answer& answer)
      : Call(context), peer(std::move(peer)), all_(all), answer_(answer) {}

  absl::Status answer() { return context().IsCancelled() ? gone() : answer_(context(), request_, response_); }
  size_t size() const { return response_.Length(); }
  // After which it may be gone.
  void finish(const absl::Status& s) {
    if (s.ok())
      StartWriteAndFinish(&response_, {}, grpc::Status::OK);
    else
      Finish(to_grpc(s));
  }

  const std::string peer;
  size_t unread = 0;  // bytes; guarded by the mutex of Calls

 private:
  void begin(grpc::ByteBuffer request) override {
    request_ = std::move(request);
    all_.enqueue(*this);
  }
  void OnDone() override {
    all_.end(*this);
    delete this;
  }

  Calls& all_;
  const Answer& answer_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

Calls::Calls() {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

grpc::ServerGenericBidiReactor* Calls::begin(const grpc::GenericCallbackServerContext& context, const Answer& answer) {
  std::string peer = context.peer();
  {
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_[peer];
    if (connection.calls < kOfConnection) {
      ++connection.calls;
      return new OneAnswer(*this, context, std::move(peer), answer);
    }
  }
  return new Refusal(too_many(std::to_string(kOfConnection) + " calls under way"));
}

void Calls::enqueue(OneAnswer& call) {
  std::unique_lock lock(mutex_);
  if (!stopped_) {
    waiting_.push_back(&call);
    wake_.notify_one();
    return;
  }
  lock.unlock();
  call.finish(stopping());
}

void Calls::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    if (stopped_) return;
    OneAnswer* const call = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    absl::Status status = call->answer();
    if (status.ok()) status = admit(*call);
    call->finish(status);
    lock.lock();
  }
}

absl::Status Calls::admit(OneAnswer& call) {
  const size_t bytes = call.size();
  const std::lock_guard lock(mutex_);
  Connection& connection = connections_[call.peer];
  if (connection.unread > 0 && unread_ + bytes > kUnread)
    return too_many(std::to_string(connection.unread) + " bytes of answers unread");
  call.unread = bytes;
  connection.unread += bytes;
  unread_ += bytes;
  return absl::OkStatus();
}

void Calls::end(const OneAnswer& call) {
  const std::lock_guard lock(mutex_);
  const auto connection = connections_.find(call.peer);
  connection->second.unread -= call.unread;
  unread_ -= call.unread;
  if (--connection->second.calls == 0) connections_.erase(connection);
}

void Calls::stop() {
  std::deque<OneAnswer*> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(waiting_);
  }
  wake_.notify_all();
  for (OneAnswer* call : left) call->finish(stopping());
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

}  // namespace guideway::mgmt
