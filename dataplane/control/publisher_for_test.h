// A publisher for a test, with nothing around it: no ports, routes or workers.
#pragma once

#include <catch2/catch.hpp>

#include "dataplane/control/eal_for_test.h"
#include "dataplane/control/publisher.h"

namespace guideway::control {

class LonePublisher {
 public:
  explicit LonePublisher(const Limits& limits = {}) {
    start_eal();
    tally_ = *Tally::create(1);
    auto p = Publisher::create({.workers = 1,
                                .limits = limits,
                                .rib = &rib_,
                                .tally = tally_.get(),
                                .ports = {},
                                .keep = [](const auto&, bool) {}},
                               reclaimer_);
    REQUIRE(p.ok());
    publisher = std::move(*p);
  }

  // "" if it was taken, else "entry field".
  std::string apply(std::vector<ServiceSpec> services, bool full = false, std::vector<std::string> removals = {}) {
    return apply({.full = full, .gateway = {}, .services = std::move(services), .removals = std::move(removals)});
  }
  std::string apply(const GatewaySpec& gateway) {
    return apply({.full = false, .gateway = gateway, .services = {}, .removals = {}});
  }
  void collect() { reclaimer_.collect(); }

 private:
  std::string apply(Batch batch) {
    const auto r = publisher->apply(std::move(batch));
    if (!r) return "";
    CHECK_FALSE(r->why.empty());
    return r->entry + " " + r->field;
  }

  Rib rib_;
  std::unique_ptr<Tally> tally_;
  Reclaimer reclaimer_{1};

 public:
  std::unique_ptr<Publisher> publisher;
};

}  // namespace guideway::control
