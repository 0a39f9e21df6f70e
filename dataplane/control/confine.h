// What the engine may do once its ports are attached and its threads run: its work, and nothing else.
#pragma once

#include <absl/status/status.h>

namespace guideway::control {

// Leaves the calling thread, and those that it makes, CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK and CAP_BPF, no
// capability in any other set (bounding, inheritable, ambient), and no way to gain one by a program that is executed.
// Other threads keep what they have, so there should be none yet.
absl::Status drop_capabilities();

// Of all threads: system calls that the engine has no use for fail with EPERM, and the kernel logs them. Among them are
// those that make threads, execute programs, load BPF programs or make memory executable.
absl::Status allow_only_our_calls();

}  // namespace guideway::control
