// Lines of 64 bytes in one memory that we write and BPF programs read: a map of segments (an array of mmapped arrays),
// side by side in our address space, that takes memory as it grows.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <utility>

namespace guideway::xdp {

inline constexpr size_t kLine = 64;  // bytes: sizeof(gw_line)

class SharedArray {
 public:
  SharedArray() = default;
  // `segments_map`: an open map of maps, owned by another. `name` is for the kernel and for errors. No memory yet.
  static absl::StatusOr<SharedArray> open(int segments_map, std::string name, size_t lines_of_segment, size_t segments);
  SharedArray(SharedArray&& other) noexcept { *this = std::move(other); }
  SharedArray& operator=(SharedArray&& other) noexcept;
  ~SharedArray();

  // Has at least so many lines there, zero at first. Each segment more takes up to 20 ms, for which the kernel waits
  // until no program is under way.
  absl::Status provide(size_t lines);

  // Elements of a size that divides a line; only those that are provided may be touched.
  template <typename T>
  T* as() const {
    static_assert(kLine % sizeof(T) == 0);
    return static_cast<T*>(base_);
  }

 private:
  absl::Status add_segment();

  int segments_map_ = -1;
  std::string name_;
  size_t lines_of_segment_ = 0;
  size_t most_segments_ = 0;
  size_t segments_ = 0;
  void* base_ = nullptr;
};

}  // namespace guideway::xdp
