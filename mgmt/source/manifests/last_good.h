// The last good form of each manifest's objects, kept in the state directory, so that a restart on a broken file
// changes nothing. One file per manifest, objects as documents that the decoder reads.
#pragma once

#include <absl/status/status.h>

#include <optional>
#include <set>
#include <string>

namespace guideway::mgmt {

class LastGoodFiles {
 public:
  explicit LastGoodFiles(std::string state_dir) : directory_(std::move(state_dir) + "/manifests") {}

  // Creates the directory.
  absl::Status prepare() const;
  // The documents kept for the manifest; nothing if there are none, or they are of another directory's file.
  std::optional<std::string> load(const std::string& manifest) const;
  // Whole or not at all. Not flushed to the disk: after a power cut the manifest itself is read again, and only one
  // that was broken at that moment would miss its last good form, which is no reason to stall each change by a disk's
  // delay.
  absl::Status save(const std::string& manifest, const std::string& documents) const;
  void remove(const std::string& manifest) const;
  // Removes what is kept of manifests that aren't among these any more.
  void keep_only(const std::set<std::string>& manifests) const;

 private:
  std::string path_of(const std::string& manifest) const;
  std::string directory_;
};

}  // namespace guideway::mgmt
