// A call from its headers on: its request comes whole, as bytes, or is refused in words. And between those bytes,
// messages and statuses as the rest of the house has them.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/generic/async_generic_service.h>

#include <cstddef>

namespace google::protobuf {
class Message;
}

namespace guideway::mgmt {

constexpr size_t kMaxRequest = 4 << 20;   // bytes
constexpr size_t kMaxHeaders = 16 << 10;  // bytes, names and values

class Call : public grpc::ServerGenericBidiReactor {
 protected:
  explicit Call(const grpc::GenericCallbackServerContext& context) : context_(context) { StartRead(&request_); }
  const grpc::GenericCallbackServerContext& context() const { return context_; }

 private:
  // On a thread of gRPC's.
  virtual void begin(grpc::ByteBuffer request) = 0;

  void OnReadDone(bool ok) final;

  const grpc::GenericCallbackServerContext& context_;
  grpc::ByteBuffer request_;
};

// One that ends as it begins.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const absl::Status& why);
  void OnDone() override { delete this; }
};

// ResourceExhausted: the caller's are larger than kMaxHeaders.
absl::Status bounded_headers(const grpc::CallbackServerContext& context);

// bad_request() if the bytes are no such message, or not all_known().
absl::Status parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message);
grpc::ByteBuffer bytes_of(const google::protobuf::Message& message);

absl::Status gone();      // Cancelled: the caller
absl::Status stopping();  // Unavailable: guidewayd

// Both count their codes alike; payloads go along as details.
grpc::Status to_grpc(const absl::Status& s);

}  // namespace guideway::mgmt
