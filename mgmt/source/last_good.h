// The last good form of each file's objects, kept in the state directory, so that a restart on a broken file changes
// nothing. One file for each manifest or object of the API, objects as documents that the decoder reads.
#pragma once

#include <absl/status/status.h>

#include <optional>
#include <set>
#include <string>

namespace guideway::mgmt {

class LastGoodFiles {
 public:
  // `suffix`: of their names; empty where those have no room for one.
  LastGoodFiles(std::string directory, std::string suffix)
      : directory_(std::move(directory)), suffix_(std::move(suffix)) {}

  // Creates the directory.
  absl::Status prepare() const;
  // The documents kept for the file; nothing if there are none, or they are of another directory's file.
  std::optional<std::string> load(const std::string& file) const;
  // Whole or not at all. Not flushed to the disk: after a power cut the file itself is read again, and only one
  // that was broken at that moment would miss its last good form, which is no reason to stall each change by a disk's
  // delay.
  absl::Status save(const std::string& file, const std::string& documents) const;
  void remove(const std::string& file) const;
  // Removes what is kept of files that aren't among these any more.
  void keep_only(const std::set<std::string>& files) const;

 private:
  std::string path_of(const std::string& file) const;
  std::string directory_;
  std::string suffix_;
};

}  // namespace guideway::mgmt
