#include "mgmt/bad_request.h"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/api/error_details.pb.h"

namespace guideway::mgmt {
namespace {

google::rpc::BadRequest details_of(const absl::Status& s) {
  google::rpc::BadRequest details;
  const auto payload = s.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  REQUIRE(payload.has_value());
  REQUIRE(details.ParseFromString(std::string(*payload)));
  return details;
}

}  // namespace

// gRPC's clients take 8 KB of trailers: the sentence, and in base64 the sentence again with the details.
TEST_CASE("bad request: an error has a size that arrives", "[api]") {
  std::vector<FieldViolation> many;
  for (int i = 0; i < 1'000; ++i) many.push_back({"spec.ports[" + std::to_string(i) + "]", std::string(5'000, 'x')});
  for (const size_t n : {1UL, 3UL, 1'000UL}) {
    const absl::Status s = bad_request({many.begin(), many.begin() + static_cast<ptrdiff_t>(n)});
    const auto told = static_cast<size_t>(details_of(s).field_violations_size());
    CHECK(s.message().size() + 4 * (s.message().size() + details_of(s).ByteSizeLong()) / 3 < 7'000);
    CHECK(told >= std::min<size_t>(n, 3));
    CHECK((s.message().find("\nand " + std::to_string(n - told) + " more") != std::string::npos) == (told < n));
  }
  CHECK(shortened("abc", 3) == "abc");
  CHECK(shortened("abcd", 3) == "abc…");
  CHECK(shortened("aöb", 2) == "a…");  // ö has two bytes
}

TEST_CASE("bad request: fields that nobody knows", "[api]") {
  v1::DeleteObjectsRequest request;
  request.add_objects()->set_name("web");
  CHECK(all_known(request).ok());
  v1::ListConnectionsRequest list;
  using Places = std::vector<std::pair<google::protobuf::Message*, std::string>>;
  for (const auto& [m, field] : Places{{&request, "DeleteObjectsRequest"},
                                       {request.add_objects(), "objects[1]"},
                                       {list.mutable_filter(), "filter"}}) {
    m->GetReflection()->MutableUnknownFields(m)->AddVarint(99, 1);
    const absl::Status s = field == "filter" ? all_known(list) : all_known(request);
    CHECK(absl::IsInvalidArgument(s));
    CHECK(s.message().find("field number 99 is unknown") != std::string::npos);
    CHECK(details_of(s).field_violations(0).field() == field);
    m->GetReflection()->MutableUnknownFields(m)->Clear();
  }
}

}  // namespace guideway::mgmt
