#include "xdp/shared_array.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "log/trouble.h"
#include "xdp/fd.h"

namespace guideway::xdp {

absl::StatusOr<SharedArray> SharedArray::open(int segments_map, std::string name, size_t lines_of_segment,
                                              size_t segments) {
  SharedArray a;
  a.base_ =
      mmap(nullptr, segments * lines_of_segment * kLine, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (a.base_ == MAP_FAILED) {
    a.base_ = nullptr;
    return log::system_failure(errno, absl::StrCat("can't reserve address space for the BPF map ", name),
                               "raise the engine's limit of address space (LimitAS= of its unit, ulimit -v)");
  }
  a.segments_map_ = segments_map;
  a.name_ = std::move(name);
  a.lines_of_segment_ = lines_of_segment;
  a.most_segments_ = segments;
  return a;
}

SharedArray& SharedArray::operator=(SharedArray&& other) noexcept {
  std::swap(segments_map_, other.segments_map_);
  std::swap(name_, other.name_);
  std::swap(lines_of_segment_, other.lines_of_segment_);
  std::swap(most_segments_, other.most_segments_);
  std::swap(segments_, other.segments_);
  std::swap(base_, other.base_);
  return *this;
}

SharedArray::~SharedArray() {
  if (base_ != nullptr) munmap(base_, most_segments_ * lines_of_segment_ * kLine);
}

absl::Status SharedArray::provide(size_t lines) {
  while (segments_ * lines_of_segment_ < lines)
    if (absl::Status s = add_segment(); !s.ok()) return s;
  return absl::OkStatus();
}

absl::Status SharedArray::add_segment() {
  if (segments_ == most_segments_)
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("the BPF map ", name_, " is full: it holds ", most_segments_ * lines_of_segment_,
                                     " lines of 64 bytes"),
                        "make do with fewer services and backends");
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
  const Fd segment{bpf_map_create(BPF_MAP_TYPE_ARRAY, name_.c_str(), sizeof(uint32_t), kLine,
                                  static_cast<uint32_t>(lines_of_segment_), &options)};
  const size_t bytes = lines_of_segment_ * kLine;
  const auto failed = [&](int error) {
    return log::system_failure(error,
                               absl::StrCat("can't make a segment of ", bytes >> 20, " MB of the BPF map ", name_),
                               "free some memory, then restart guideway-engine");
  };
  if (!segment) return failed(errno);
  void* const at = static_cast<std::byte*>(base_) + segments_ * bytes;
  if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, segment.get(), 0) == MAP_FAILED)
    return failed(errno);
  const auto index = static_cast<uint32_t>(segments_);
  const int fd = segment.get();
  if (bpf_map_update_elem(segments_map_, &index, &fd, BPF_ANY) != 0) return failed(errno);
  ++segments_;
  return absl::OkStatus();
}

}  // namespace guideway::xdp
