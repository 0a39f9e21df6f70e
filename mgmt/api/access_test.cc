#include "mgmt/api/access.h"

#include <catch2/catch.hpp>

#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {
namespace {

absl::StatusCode judged(const std::vector<std::string>& organizations, std::string_view method,
                        const Roles& roles = {}) {
  return may_call(roles, {"alice", organizations}, "", method).code();
}

TEST_CASE("access: roles by organization", "[tls]") {
  using Code = absl::StatusCode;
  const std::string reads = "/guideway.v1.Appliance/ListServices";
  const std::string health = "/grpc.health.v1.Health/Check";
  const std::string reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  const std::vector<std::string> viewer = {"guideway:viewers"};
  const std::vector<std::string> operator_ = {"other", "guideway:operators"};
  for (const std::string& method : {reads, health, reflection}) {
    CHECK(judged(viewer, method) == Code::kOk);
    CHECK(judged(operator_, method) == Code::kOk);
  }
  // Whatever isn't known to only read.
  for (const char* method : {"/guideway.v1.Appliance/NoSuchMethod", "/guideway.v1.Appliance", "/", "",
                             "guideway.v1.Appliance.ListServices", "/guideway.v1.Appliance/ListServices/",
                             "/guideway.v1.Appliance/listServices", "/grpc.health.v1.HealthX/Check"}) {
    CAPTURE(method);
    CHECK(judged(viewer, method) == Code::kPermissionDenied);
    CHECK(judged(operator_, method) == Code::kOk);
  }
  for (const std::vector<std::string>& nobody : {std::vector<std::string>{},
                                                 {"guideway:viewers "},
                                                 {"guideway"},
                                                 {"GUIDEWAY:OPERATORS"},
                                                 {std::string("guideway:operators\0", 19)}}) {
    CHECK(judged(nobody, reads) == Code::kPermissionDenied);
    CHECK(judged(nobody, health) == Code::kOk);
  }
  CHECK(judged({"netops"}, "/x/Y", {.operators = {"a", "netops"}, .viewers = {}}) == Code::kOk);
  CHECK(judged(operator_, reads, {.operators = {"netops"}, .viewers = {}}) == Code::kPermissionDenied);
  CHECK(may_call({}, {"alice", operator_}, "expired at noon", reads).code() == Code::kUnauthenticated);
}

TEST_CASE("access: the sentences name what is there and what is lacking", "[tls]") {
  CHECK(may_call({}, {"bob", {"sales"}}, "", "/guideway.v1.Appliance/GetStatus").message() ==
        "the certificate of 'bob' has O=sales, which is no role here: viewers have O=guideway:viewers, operators "
        "O=guideway:operators");
  CHECK(may_call({}, {"bo\nb", {"guideway:viewers"}}, "", "/guideway.v1.Appliance/Do").message() ==
        "'bo\\nb' is a viewer (O=guideway:viewers): Do is for operators (O=guideway:operators)");
  CHECK(may_call({}, {"eve", {"guideway:operators"}}, "expired at noon", "/guideway.v1.Appliance/Do").message() ==
        "the certificate with the name 'eve' expired at noon; connect with one that a certificate in guidewayd's "
        "--tls-client-ca vouches for");
}

// What is called so only looks; whatever else there is or will be has side effects until somebody has decided.
TEST_CASE("access: what the API says to have no side effects", "[tls]") {
  const auto* service = v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Appliance");
  REQUIRE(service != nullptr);
  for (int i = 0; i < service->method_count(); ++i) {
    const std::string& name = service->method(i)->name();
    CAPTURE(name);
    const bool looks = name.starts_with("Get") || name.starts_with("List") || name.starts_with("Count") ||
                       name.starts_with("Watch") || name == "Trace";
    const auto code = judged({"guideway:viewers"}, "/guideway.v1.Appliance/" + name);
    CHECK(code == (looks ? absl::StatusCode::kOk : absl::StatusCode::kPermissionDenied));
  }
}

}  // namespace
}  // namespace guideway::mgmt
