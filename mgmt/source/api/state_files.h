// Small files of the state directory that hold what the API was told: each whole or not at all, and on the disk before
// the caller is told so. A write is in three parts, so that the daemon's loop waits for no disk: `draft` and `flush` on
// any thread, `accept` and `remove` on the loop.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <string>
#include <vector>

namespace guideway::mgmt {

class StateFiles {
 public:
  static constexpr size_t kMaxName = 255;  // of file systems

  explicit StateFiles(std::string directory) : directory_(std::move(directory)) {}

  // Creates the directory, and removes drafts that nobody accepted.
  absl::Status prepare() const;
  bool has(const std::string& path) const { return path.starts_with(directory_ + "/"); }
  std::string path_of(const std::string& name) const { return directory_ + "/" + name; }
  // Paths, sorted.
  std::vector<std::string> list() const;

  // The path of a draft, written and flushed.
  absl::StatusOr<std::string> draft(const std::string& text);
  // Becomes the file of that name.
  absl::Status accept(const std::string& draft, const std::string& name) const;
  void discard(const std::string& draft) const;
  // Whether it is there or not.
  absl::Status remove(const std::string& name) const;
  // What was accepted and removed is on the disk after it.
  absl::Status flush() const;

 private:
  std::string directory_;
  std::atomic<uint64_t> drafts_ = 0;
};

}  // namespace guideway::mgmt
