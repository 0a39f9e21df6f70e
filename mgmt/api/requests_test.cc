// What is wrong with a request's fields is told all at once, each with what it could be instead.

#include <catch2/catch.hpp>

#include <string>

#include "mgmt/api/connections.h"
#include "mgmt/api/error_details.pb.h"
#include "mgmt/api/filters.h"
#include "mgmt/api/objects.h"

namespace guideway::mgmt {
namespace {

// "name port ", as the details of the error name them.
std::string fields_of(const absl::Status& s) {
  google::rpc::BadRequest details;
  const auto payload = s.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  if (!payload) return s.ToString();
  REQUIRE(absl::IsInvalidArgument(s));
  REQUIRE(details.ParseFromString(std::string(*payload)));
  std::string all;
  for (const auto& v : details.field_violations()) all += v.field() + " ";
  return all;
}

bool says(const absl::Status& s, const std::string& text) { return s.message().find(text) != std::string::npos; }

const std::string kLong(300, 'a');

}  // namespace

TEST_CASE("requests: a Service is named as elsewhere", "[api]") {
  v1::GetServiceRequest q;
  CHECK(fields_of(to_service(q).status()) == "name ");
  CHECK(says(to_service(q).status(), "name: is missing"));
  for (const std::string& name : {std::string("A B"), kLong}) {
    q.set_name(name);
    CHECK(says(to_service(q).status(), "name: is no name: at most 253 letters, digits"));
  }
  q.set_namespace_("a/b");
  CHECK(fields_of(to_service(q).status()) == "namespace name ");
  q.set_name("web");
  q.clear_namespace_();
  CHECK(to_string(to_service(q).value()) == "Service default/web");
  q.set_namespace_("demo");
  CHECK(to_string(to_service(q).value()) == "Service demo/web");
}

TEST_CASE("requests: all that is wrong with a reference, a backend or a weight's is told", "[api]") {
  v1::ObjectRef ref;
  CHECK(fields_of(to_key(ref, "object").status()) == "object.name object.kind ");
  ref.set_namespace_("a/b");
  ref.set_name(kLong);
  ref.set_kind("Pod");
  CHECK(fields_of(to_key(ref, "objects[1]").status()) == "objects[1].namespace objects[1].name objects[1].kind ");
  ref.set_kind("SourceFilter");
  ref.set_namespace_("demo");
  ref.set_name("f");
  CHECK(to_key(ref, "object")->ns.empty());
  ref.set_kind("Service");
  CHECK(to_key(ref, "object")->ns == "demo");

  v1::GetBackendRequest q;
  q.set_port(65'536);
  q.set_vip_port(65'536);
  CHECK(fields_of(to_backend(q).status()) == "name address port vip vip_port protocol ");
  CHECK(fields_of(to_override("demo", "", "x").status()) == "name address ");
  CHECK(to_override("", "", "10.0.0.1")->ns.empty());
  CHECK(to_override("", "web", "10.0.0.1")->ns == "default");
}

TEST_CASE("requests: all that is wrong with a filter of connections is told", "[api]") {
  v1::ConnectionFilter f;
  CHECK(to_engine(f).ok());
  f.set_client("10.0.0.0/33");
  f.set_vip("nowhere");
  f.set_vip_port(65'536);
  f.set_protocol(static_cast<v1::Protocol>(77));
  f.set_backend("10.0.0");
  const absl::Status s = to_engine(f).status();
  CHECK(fields_of(s) == "filter.client filter.vip filter.vip_port filter.backend filter.protocol ");
  CHECK(says(s, "filter.protocol: must be unset or one of PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP"));
  f.Clear();
  f.set_namespace_("A B");
  f.set_name(kLong);
  for (int i = 0; i < 3; ++i) f.add_states(v1::ConnectionRow::STATE_UNSPECIFIED);
  CHECK(fields_of(to_engine(f).status()) == "filter.namespace filter.name filter.states ");
  CHECK(says(to_engine(f).status(), "filter.states: must be of STATE_UDP, STATE_SETUP, STATE_ESTABLISHED"));
}

TEST_CASE("requests: what a page or a condition could be instead is told", "[api]") {
  const std::string page = "page_token: is none that a page ended with: leave it out to begin with the first page";
  CHECK(position_of("1.2").status().message() == page);
  v1::ListDeniedPrefixesRequest q;
  v1::ListDeniedPrefixesResponse r;
  q.set_page_token("f");
  CHECK(fill(Snapshot(), q, r).message() == page);
  q.set_address("10.0.0");
  q.set_filter("A B");
  CHECK(fields_of(fill(Snapshot(), q, r)) == "filter address page_token ");
  CHECK(to_condition(static_cast<v1::ApplyObjectsRequest::Condition>(7)).status().message() ==
        "condition: must be unset or one of CONDITION_NEW, CONDITION_EXISTS");
}

}  // namespace guideway::mgmt
