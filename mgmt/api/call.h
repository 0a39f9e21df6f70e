// A call from its headers on: its request comes whole, as bytes, or is refused in words. And between those bytes,
// messages and statuses as the rest of the house has them.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>

#include <cstddef>

#include "mgmt/api/arrivals.h"

namespace google::protobuf {
class Message;
}

namespace guideway::mgmt {

// Bytes, at most. What has more than kMaxReceived gRPC refuses, and we hear only that it didn't come.
constexpr size_t kMaxManifests = 4 << 20;  // of requests that carry such
constexpr size_t kMaxRequest = 64 << 10;   // of all others
constexpr size_t kMaxReceived = 6 << 20;
constexpr size_t kMaxHeaders = 16 << 10;  // names and values, the method's name among them

constexpr int kMaxFields = 100'000;  // of a request, not of what is in them; twice as many objects as there may be

using CallContext = grpc::GenericCallbackServerContext;

class Call : public grpc::ServerGenericBidiReactor {
 public:
  // Once; until then what has come of the request waits in the socket, but for the first 64 KB.
  void read();
  // While it reads.
  void give_up(const absl::Status& why);

 protected:
  Call(CallContext& context, size_t largest, Arrivals& arrivals)
      : context_(context), largest_(largest), arrivals_(arrivals) {}
  CallContext& context() const { return context_; }

 private:
  // The request has come, on a thread of gRPC's.
  virtual void begin(grpc::ByteBuffer request) = 0;
  // The caller has ended it, or gRPC; whether the request has come or not.
  virtual void cancelled() = 0;

  void OnReadDone(bool ok) final;
  void OnCancel() final;
  void unread();

  CallContext& context_;
  const size_t largest_;  // bytes
  Arrivals& arrivals_;
  grpc::ByteBuffer incoming_;
  grpc::Alarm until_cancelled_;
};

// One that ends as it begins.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const absl::Status& why);
  void OnDone() override { delete this; }
};

// ResourceExhausted: the caller's are larger than kMaxHeaders.
absl::Status bounded_headers(const CallContext& context);

// bad_request() if the bytes are no such message, or not all_known(); ResourceExhausted above kMaxFields.
absl::Status parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message);
grpc::ByteBuffer bytes_of(const google::protobuf::Message& message);

absl::Status gone();      // Cancelled: the caller
absl::Status stopping();  // Unavailable: guidewayd

// Both count their codes alike; payloads go along as details.
grpc::Status to_grpc(const absl::Status& s);

}  // namespace guideway::mgmt
