#include "mgmt/api/call.h"

#include <absl/strings/match.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <chrono>
#include <string>
#include <utility>

#include "mgmt/api/error_details.pb.h"
#include "mgmt/bad_request.h"

namespace guideway::mgmt {
namespace {

// A call whose request is too large gRPC cancels, but may tell us first that its read has failed, as others' do. So
// long it may take.
constexpr std::chrono::milliseconds kUntilCancelled{100};

constexpr size_t kMaxSentence = 2'000;  // bytes of an error's, which go into trailers

absl::Status too_large(const std::string& what, size_t bytes, size_t most) {
  return absl::ResourceExhaustedError(what + " " + std::to_string(bytes) + " bytes, more than " + std::to_string(most));
}

// Of a message of two bytes a hundred are kept.
bool has_too_many_fields(grpc::ByteBuffer& bytes) {
  grpc::ProtoBufferReader reader(&bytes);
  google::protobuf::io::CodedInputStream in(&reader);
  int fields = 0;
  while (const uint32_t tag = in.ReadTag()) {
    if (++fields > kMaxFields) return true;
    if (!google::protobuf::internal::WireFormatLite::SkipField(&in, tag)) return false;  // no message
  }
  return false;
}

}  // namespace

void Call::read() {
  arrivals_.add(*this);
  StartRead(&incoming_);
}

void Call::give_up(const absl::Status& why) { Finish(to_grpc(why)); }

void Call::OnReadDone(bool ok) {
  if (!arrivals_.remove(*this)) return;
  if (!ok && grpc_call_failed_before_recv_message(context_.c_call()) != 0)
    return give_up(
        absl::AbortedError("the request broke off: the caller has gone, or requests take too much memory together"));
  if (!ok && context_.IsCancelled()) return unread();
  if (!ok) return until_cancelled_.Set(std::chrono::system_clock::now() + kUntilCancelled, [this](bool) { unread(); });
  if (incoming_.Length() > largest_) return give_up(too_large("the request has", incoming_.Length(), largest_));
  begin(std::exchange(incoming_, {}));
}

void Call::OnCancel() {
  until_cancelled_.Cancel();
  cancelled();
}

// gRPC has an answer of its own for what is too large: that is for the log.
void Call::unread() {
  give_up(context_.IsCancelled()
              ? absl::ResourceExhaustedError("the request has more than " + std::to_string(kMaxReceived) +
                                             " bytes, or was taken back")
              : absl::InvalidArgumentError("the request is missing or incomplete"));
}

Refusal::Refusal(const absl::Status& why) { Finish(to_grpc(why)); }

absl::Status bounded_headers(const CallContext& context) {
  size_t bytes = context.method().size();
  for (const auto& [name, value] : context.client_metadata()) bytes += name.size() + value.size();
  return bytes > kMaxHeaders ? too_large("the call's headers have", bytes, kMaxHeaders) : absl::OkStatus();
}

absl::Status parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  if (has_too_many_fields(bytes))
    return absl::ResourceExhaustedError("the request has more than " + std::to_string(kMaxFields) +
                                        " fields: make several of it");
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader))
    return bad_request(std::string(message.GetDescriptor()->name()),
                       "the request's bytes aren't such a message; compressed ones aren't taken");
  return all_known(message);
}

grpc::ByteBuffer bytes_of(const google::protobuf::Message& message) {
  const auto size = static_cast<int>(message.ByteSizeLong());
  grpc::ByteBuffer bytes;
  grpc::ProtoBufferWriter writer(&bytes, grpc::kProtoBufferWriterMaxBufferLength, size);
  message.SerializeToZeroCopyStream(&writer);
  return bytes;
}

absl::Status gone() { return absl::CancelledError("the caller has gone"); }

absl::Status stopping() { return absl::UnavailableError("guidewayd is stopping"); }

grpc::Status to_grpc(const absl::Status& s) {
  google::rpc::Status details;
  s.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    if (!absl::StartsWith(type, "type.googleapis.com/")) return;  // the log's own
    auto& detail = *details.add_details();
    detail.set_type_url(std::string(type));
    detail.set_value(std::string(payload));
  });
  const auto code = static_cast<grpc::StatusCode>(s.code());
  if (details.details().empty()) return {code, shortened(std::string(s.message()), kMaxSentence)};
  details.set_code(code);
  details.set_message(std::string(s.message()));
  return {code, std::string(s.message()), details.SerializeAsString()};
}

}  // namespace guideway::mgmt
