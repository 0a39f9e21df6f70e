#include "xdp/kernel_features.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <array>
#include <iostream>

namespace guideway::xdp {
namespace {

TEST_CASE("what this kernel has isn't missed, and what none has is named") {
  if (geteuid() != 0) {
    std::cout << "skipped: asking the kernel for BPF helpers needs root\n";
    return;
  }
  CHECK(missing_feature().empty());
  constexpr std::array kOne{Helper{BPF_FUNC_redirect, "bpf_redirect", "4.8"},
                            Helper{static_cast<bpf_func_id>(255), "bpf_teleport", "99.1"}};
  CHECK(missing_helper(kOne) == "the BPF helper bpf_teleport (Linux 99.1)");
}

}  // namespace
}  // namespace guideway::xdp
