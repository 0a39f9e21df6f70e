#include "mgmt/api/change.h"

#include <catch2/catch.hpp>

namespace guideway::mgmt {
namespace {

void add(v1::ApplyObjectsResponse& r, const std::string& name, v1::AppliedObject::Action action) {
  v1::AppliedObject& o = *r.add_objects();
  o.mutable_object()->set_kind("Service");
  o.mutable_object()->set_namespace_("demo");
  o.mutable_object()->set_name(name);
  o.set_action(action);
}

}  // namespace

TEST_CASE("change: objects that changed are named, ten of them", "[api]") {
  v1::ApplyObjectsRequest q;
  v1::ApplyObjectsResponse r;
  add(r, "a", v1::AppliedObject::ACTION_UNCHANGED);
  CHECK(change_of(q, r) == "nothing");
  add(r, "b", v1::AppliedObject::ACTION_CREATED);
  add(r, "c", v1::AppliedObject::ACTION_CONFIGURED);
  CHECK(change_of(q, r) == "Service demo/b created, Service demo/c configured");
  r.mutable_objects(1)->mutable_object()->set_kind("GatewayConfig");
  r.mutable_objects(1)->mutable_object()->clear_namespace_();
  CHECK(change_of(q, r).starts_with("GatewayConfig b created, "));
  for (int i = 0; i < 10; ++i) add(r, "d", v1::AppliedObject::ACTION_CREATED);
  CHECK(change_of(q, r).ends_with(", Service demo/d created and 2 more"));
  q.set_dry_run(true);
  CHECK(change_of(q, r) == "nothing, a dry run");
}

TEST_CASE("change: weights and log levels", "[api]") {
  v1::SetBackendWeightRequest set;
  set.set_address("10.0.0.1");
  CHECK(change_of(set, {}) == "backend 10.0.0.1 has weight 0");
  set.set_name("web");
  set.set_weight(7);
  CHECK(change_of(set, {}) == "backend 10.0.0.1 of Service default/web has weight 7");
  v1::ResetBackendWeightRequest reset;
  reset.set_address("10.0.0.1");
  v1::ResetBackendWeightResponse was;
  CHECK(change_of(reset, was) == "backend 10.0.0.1 has its EndpointSlice's weight again");
  was.set_weight(0);
  CHECK(change_of(reset, was) == "backend 10.0.0.1 has its EndpointSlice's weight again instead of 0");
  reset.set_name("web");
  was.set_instead(3);
  CHECK(change_of(reset, was) ==
        "backend 10.0.0.1 of Service default/web has weight 3, that for every Service, again instead of 0");
  v1::SetLogLevelRequest level;
  level.set_program(v1::PROGRAM_ENGINE);
  level.set_level(v1::LOG_LEVEL_DEBUG);
  CHECK(change_of(level, {}) == "the engine logs at debug");
}

}  // namespace guideway::mgmt
