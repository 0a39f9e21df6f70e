// Small files of the state directory that hold what the API was told: each whole or not at all, and on the disk before
// the caller is told so. A write is in three parts, so that the daemon's loop waits for no disk: `draft` and `flush` on
// any thread, `accept` and `remove` on the loop.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

namespace guideway::mgmt {

class StateFiles {
 public:
  // A file that is written and flushed, and goes away again unless it is accepted.
  class Draft {
   public:
    explicit Draft(std::string path) : path_(std::move(path)) {}
    Draft(Draft&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Draft& operator=(Draft&& other) noexcept {
      std::swap(path_, other.path_);
      return *this;
    }
    ~Draft();

   private:
    friend StateFiles;
    std::string path_;
  };

  static constexpr size_t kMaxName = 255;  // of file systems

  explicit StateFiles(std::string directory) : directory_(std::move(directory)) {}

  // Creates the directory, and removes drafts that nobody accepted.
  absl::Status prepare() const;
  bool has(const std::string& path) const { return path.starts_with(directory_ + "/"); }
  std::string path_of(const std::string& name) const { return directory_ + "/" + name; }
  // Paths, sorted; none if there is no directory yet.
  absl::StatusOr<std::vector<std::string>> list() const;

  absl::StatusOr<Draft> draft(const std::string& text);
  // It becomes the file of that name.
  absl::Status accept(Draft& draft, const std::string& name) const;
  // Whether it is there or not.
  absl::Status remove(const std::string& name) const;
  // What was accepted and removed is on the disk after it.
  absl::Status flush() const;

 private:
  std::string directory_;
  std::atomic<uint64_t> drafts_ = 0;
};

}  // namespace guideway::mgmt
