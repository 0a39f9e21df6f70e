#include "dataplane/control/memory.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace guideway::control {

namespace {

constexpr size_t kHugePage = 2 << 20;

size_t rounded(size_t size) { return (size + kHugePage - 1) / kHugePage * kHugePage; }

absl::Status refused(size_t size, std::string_view what) {
  return absl::ResourceExhaustedError(absl::StrCat("cannot map ", size >> 20, " MB for ",
                                                   absl::string_view(what.data(), what.size()), ": ",
                                                   std::strerror(errno), "; lower --connections or add memory"));
}

}  // namespace

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, size_);
}

absl::StatusOr<Mapping> map_memory(size_t size, bool huge, std::string_view what) {
  size = rounded(size);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (huge) {
    // MAP_POPULATE, because a huge page that isn't there at first touch is SIGBUS.
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    if (base != MAP_FAILED) return Mapping(base, size, true);
  }
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (base == MAP_FAILED) return refused(size, what);
  madvise(base, size, MADV_HUGEPAGE);
  return Mapping(base, size, false);
}

absl::StatusOr<Mapping> reserve_memory(size_t size, std::string_view what) {
  size = rounded(size);
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return refused(size, what);
  return Mapping(base, size, false);
}

}  // namespace guideway::control
