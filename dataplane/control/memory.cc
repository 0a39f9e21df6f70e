#include "dataplane/control/memory.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "log/trouble.h"

#ifndef MADV_POPULATE_WRITE  // Linux 5.14, newer than Debian 12's libc headers
#define MADV_POPULATE_WRITE 23
#endif

namespace guideway::control {

namespace {

constexpr int kHuge2M = 21 << 26;  // MAP_HUGE_2MB of linux/mman.h: other sizes may be the default
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kPage = 4'096;

size_t rounded(size_t size) { return (size + kHugePage - 1) / kHugePage * kHugePage; }

absl::Status refused(size_t size, std::string_view what) {
  return log::failure(absl::StatusCode::kResourceExhausted,
                      absl::StrCat("cannot map ", size >> 20, " MB for ", absl::string_view(what.data(), what.size()),
                                   ": ", std::strerror(errno)),
                      "free some memory, or lower --connections");
}

}  // namespace

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, size_);
}

bool Mapping::populate(size_t from, size_t bytes) const {
  const size_t page = from & ~(kPage - 1);
  return madvise(static_cast<std::byte*>(base_) + page, from + bytes - page, MADV_POPULATE_WRITE) == 0 ||
         errno == EINVAL;
}

absl::StatusOr<Mapping> map_memory(size_t size, bool huge, std::string_view what) {
  size = rounded(size);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (huge) {
    // MAP_POPULATE, because a huge page that isn't there at first touch is SIGBUS.
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB | kHuge2M | MAP_POPULATE, -1, 0);
    if (base != MAP_FAILED) return Mapping(base, size, true);
  }
  // Some more, to cut an aligned part out of it: only such a one can be of transparent huge pages.
  void* whole = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (whole == MAP_FAILED) return refused(size, what);
  auto* first = static_cast<std::byte*>(whole);
  const size_t before = -reinterpret_cast<uintptr_t>(first) & (kHugePage - 1);
  if (before != 0) munmap(first, before);
  if (before != kHugePage) munmap(first + before + size, kHugePage - before);
  Mapping mapping(first + before, size, false);
  madvise(mapping.base(), size, MADV_HUGEPAGE);
  // Faulted in now, not under the first packets; before Linux 5.14 they come as they come.
  if (madvise(mapping.base(), size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) return refused(size, what);
  return mapping;
}

absl::StatusOr<Mapping> reserve_memory(size_t size, std::string_view what) {
  size = rounded(size);
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return refused(size, what);
  return Mapping(base, size, false);
}

}  // namespace guideway::control
