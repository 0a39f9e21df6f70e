// Large memory that workers use: 2 MB pages where there are some, plain pages (advised to be huge) where not.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace guideway::control {

// Unmapped at the end of its life.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* base, size_t size, bool huge) : base_(base), size_(size), huge_(huge) {}
  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Mapping();

  template <typename T>
  std::span<T> as(size_t count) const {
    return {static_cast<T*>(base_), count};
  }
  // Has the pages of a part there before they are first touched, where the kernel can (Linux 5.14). False: there is no
  // room for them.
  bool populate(size_t from, size_t bytes) const;
  void* base() const { return base_; }
  size_t size() const { return size_; }
  bool huge() const { return huge_; }

 private:
  void swap(Mapping& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(size_, other.size_);
    std::swap(huge_, other.huge_);
  }
  void* base_ = nullptr;
  size_t size_ = 0;
  bool huge_ = false;
};

// At least `size` bytes, in whole 2 MB and aligned so. `huge`: whether to try pages of that size first. `what` names it
// in the error.
absl::StatusOr<Mapping> map_memory(size_t size, bool huge, std::string_view what);

// Address space for `size` bytes, of which pages are taken as they are first written.
absl::StatusOr<Mapping> reserve_memory(size_t size, std::string_view what);

}  // namespace guideway::control
