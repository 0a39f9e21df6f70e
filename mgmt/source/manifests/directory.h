// A directory of manifests: which files count, and which of them changed. Whole files only: a file is news once its
// writer has closed it, or moved or linked it here, never while it is being written; and one that we weren't allowed to
// read, once we are. Reads no YAML.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <set>
#include <string>
#include <string_view>

#include "mgmt/event_loop.h"

struct inotify_event;

namespace guideway::mgmt {

// "*.yaml" and "*.yml", but neither hidden ones nor what editors leave while they write.
bool is_manifest(std::string_view name);

class ManifestDirectory {
 public:
  struct Changes {
    std::set<std::string> files;  // names to read again; one that can't be found was removed
    bool all = false;             // too much happened: list the directory again
    bool lost = false;            // the directory itself was removed or moved
  };

  // Watches before anything is listed, so that no change falls between.
  static absl::StatusOr<ManifestDirectory> open(const std::string& path);

  std::string path_of(const std::string& name) const { return path_ + "/" + name; }
  int fd() const { return inotify_.get(); }
  // The names of all manifests, sorted.
  absl::StatusOr<std::set<std::string>> list();
  // What has happened since the last call; doesn't wait.
  Changes changes();

 private:
  ManifestDirectory(std::string path, Fd inotify) : path_(std::move(path)), inotify_(std::move(inotify)) {}
  void note_denied(const std::set<std::string>& names);
  bool is_news(const inotify_event& e) const;
  void take(const inotify_event& e, Changes& changes) const;

  std::string path_;
  Fd inotify_;
  std::set<std::string> denied_;  // names of manifests that we may not read
};

}  // namespace guideway::mgmt
