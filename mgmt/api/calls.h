// Calls under way that have one answer. A few threads work on them, and gRPC sends the answers: a client that doesn't
// read holds memory, and of that not much, but no thread that others wait for.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mgmt/api/call.h"

namespace guideway::mgmt {

class Calls {
 public:
  static constexpr size_t kThreads = 16;
  static constexpr size_t kOfConnection = 64;  // under way: coming, waiting, at work, or with an answer that isn't read
  static constexpr size_t kUnread = 32 << 20;  // bytes of answers; who has none unread is served beyond it

  struct Response {
    grpc::ByteBuffer bytes;
    bool must_be_told = false;  // something was changed: who reads his answers late mustn't take it for refused
  };
  // Fills the response, on one of our threads. What is kept of a call while it waits are bytes: a message takes many
  // times as much.
  using Answer = std::function<absl::Status(CallContext& context, grpc::ByteBuffer& request, Response& response)>;

  // Of requests: bytes of one, and how many come, wait or are worked on at a time. Others aren't read until then.
  struct Limits {
    size_t request = kMaxRequest;
    size_t at_once = std::numeric_limits<size_t>::max();
    size_t of_connection = std::numeric_limits<size_t>::max();  // of those at once
  };

  Calls(const Limits& limits, Arrivals& arrivals);
  ~Calls() { stop(); }

  // A connection that has too many under way is refused. `answer` outlives the call.
  grpc::ServerGenericBidiReactor* begin(CallContext& context, const Answer& answer);
  // What waits is refused, and so is what comes.
  void stop();

 private:
  struct Connection {
    size_t calls = 0;
    size_t at_once = 0;
    size_t unread = 0;  // bytes
  };
  class OneAnswer;

  void read_next();
  void enqueue(OneAnswer& call);
  void work();
  absl::Status admit(OneAnswer& call);
  void withdraw(OneAnswer& call);
  bool release(OneAnswer& call);
  void end(OneAnswer& call);

  const Limits limits_;
  Arrivals& arrivals_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<OneAnswer*> unread_calls_;  // whose requests nobody has begun to read
  std::deque<OneAnswer*> waiting_;       // for a thread
  size_t at_once_ = 0;
  std::map<std::string, Connection> connections_;  // that have calls under way, by gRPC's name for the peer
  size_t unread_ = 0;                              // bytes of answers, of all
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace guideway::mgmt
