#include "log/trouble.h"

#include <catch2/catch.hpp>

#include <cerrno>

namespace guideway::log {
namespace {

TEST_CASE("trouble: a status carries its remedy, also where it is copied", "[log]") {
  const absl::Status s = failure(absl::StatusCode::kNotFound, "there is no interface eth7", "ip link shows them");
  CHECK(s.code() == absl::StatusCode::kNotFound);
  CHECK(s.message() == "there is no interface eth7; ip link shows them");
  absl::Status copy;
  copy = s;
  const Trouble t = trouble_of(copy, "port eth7");
  CHECK(t.text == "there is no interface eth7");
  CHECK(t.remedy == "ip link shows them");
  CHECK(to_string(t) == "port eth7: there is no interface eth7; ip link shows them");
  const Trouble bare = trouble_of(absl::InternalError("odd; very"));
  CHECK(bare.text == "odd; very");
  CHECK(bare.remedy.empty());
}

TEST_CASE("trouble: whatever the kernel refuses has a remedy", "[log]") {
  for (int error = 1; error < 134; ++error) {
    const Trouble t = trouble_of(system_failure(error, "can't pin /sys/fs/bpf/x"));
    INFO(error << ": " << to_string(t));
    CHECK(t.text.starts_with("can't pin /sys/fs/bpf/x: "));
    CHECK_FALSE(t.remedy.empty());
  }
  const absl::Status s = system_failure(ENOSPC, "can't write to /run/x", "give another --table-dir");
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(s.message() == "can't write to /run/x: No space left on device; give another --table-dir");
}

}  // namespace
}  // namespace guideway::log
