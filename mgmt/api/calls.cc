#include "mgmt/api/calls.h"

#include <algorithm>
#include <utility>

namespace guideway::mgmt {
namespace {

absl::Status too_many(const std::string& what) {
  return absl::ResourceExhaustedError("this connection has " + what + ": read those first");
}

}  // namespace

class Calls::OneAnswer final : public Call {
 public:
  OneAnswer(Calls& all, CallContext& context, std::string peer, const Answer& answer)
      : Call(context, all.limits_.request, all.arrivals_), peer(std::move(peer)), all_(all), answer_(answer) {}

  absl::Status answer() { return context().IsCancelled() ? gone() : answer_(context(), request_, response_); }
  size_t size() const { return response_.bytes.Length(); }
  bool may_be_refused() const { return !response_.must_be_told; }
  // After which it may be gone.
  void finish(const absl::Status& s) {
    if (s.ok())
      StartWriteAndFinish(&response_.bytes, {}, grpc::Status::OK);
    else
      Finish(to_grpc(s));
  }

  const std::string peer;
  // Guarded by the mutex of Calls:
  bool counts = false;  // as one of those at once
  size_t unread = 0;    // bytes

 private:
  void begin(grpc::ByteBuffer request) override {
    request_.Swap(&request);
    all_.enqueue(*this);
  }
  void cancelled() override { all_.withdraw(*this); }
  void OnDone() override {
    all_.end(*this);
    delete this;
  }

  Calls& all_;
  const Answer& answer_;
  grpc::ByteBuffer request_;
  Response response_;
};

Calls::Calls(const Limits& limits, Arrivals& arrivals) : limits_(limits), arrivals_(arrivals) {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

grpc::ServerGenericBidiReactor* Calls::begin(CallContext& context, const Answer& answer) {
  std::string peer = context.peer();
  OneAnswer* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return new Refusal(stopping());
    Connection& connection = connections_[peer];
    if (connection.calls >= kOfConnection)
      return new Refusal(too_many(std::to_string(kOfConnection) + " calls under way"));
    ++connection.calls;
    call = new OneAnswer(*this, context, std::move(peer), answer);
    unread_calls_.push_back(call);
  }
  read_next();
  return call;
}

// If one more may come. Nobody but its read ends a call that is taken out here.
void Calls::read_next() {
  OneAnswer* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (at_once_ == limits_.at_once) return;
    const auto found = std::ranges::find_if(
        unread_calls_, [&](const OneAnswer* call) { return connections_[call->peer].at_once < limits_.of_connection; });
    if (found == unread_calls_.end()) return;
    next = *found;
    unread_calls_.erase(found);
    next->counts = true;
    ++connections_[next->peer].at_once;
    ++at_once_;
  }
  next->read();
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
    const bool room = release(*call);
    call->finish(status);
    if (room) read_next();
    lock.lock();
  }
}

absl::Status Calls::admit(OneAnswer& call) {
  const size_t bytes = call.size();
  const std::lock_guard lock(mutex_);
  Connection& connection = connections_[call.peer];
  if (call.may_be_refused() && connection.unread > 0 && unread_ + bytes > kUnread)
    return too_many(std::to_string(connection.unread) + " bytes of answers unread");
  call.unread = bytes;
  connection.unread += bytes;
  unread_ += bytes;
  return absl::OkStatus();
}

// The caller has gone: whose request isn't even read ends here.
void Calls::withdraw(OneAnswer& call) {
  std::unique_lock lock(mutex_);
  if (std::erase(unread_calls_, &call) == 0) return;
  lock.unlock();
  call.finish(gone());
}

// Whether that makes room for another one.
bool Calls::release(OneAnswer& call) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(call.counts, false)) return false;
  --connections_[call.peer].at_once;
  --at_once_;
  return true;
}

void Calls::end(OneAnswer& call) {
  const bool room = release(call);  // its request didn't come
  {
    const std::lock_guard lock(mutex_);
    const auto connection = connections_.find(call.peer);
    connection->second.unread -= call.unread;
    unread_ -= call.unread;
    if (--connection->second.calls == 0) connections_.erase(connection);
  }
  if (room) read_next();
}

void Calls::stop() {
  std::deque<OneAnswer*> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(waiting_);
    left.insert(left.end(), unread_calls_.begin(), unread_calls_.end());
    unread_calls_.clear();
  }
  wake_.notify_all();
  for (OneAnswer* call : left) call->finish(stopping());
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

}  // namespace guideway::mgmt
