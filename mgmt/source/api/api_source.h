// What the API writes: objects, a file each in the state directory, and weights of backends. A write is answered once
// it is on the disk and on its way to the engine.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/event_loop.h"
#include "mgmt/model/store.h"
#include "mgmt/source/api/state_files.h"
#include "mgmt/source/api/submission.h"

namespace guideway::mgmt {

enum class Action : uint8_t { kCreated, kConfigured, kUnchanged, kDeleted };

struct Applied {
  ObjectKey key;
  Action action = Action::kUnchanged;
  std::string before;  // of a dry run: manifests; empty: there was none, or is none
  std::string after;
};

struct ApplyResult {
  std::vector<Applied> objects;
  std::map<std::string, uint32_t> skipped;
  std::vector<Problem> problems;  // of these objects
};

struct SetWeight {
  std::vector<ObjectKey> services;  // that it holds for
  std::vector<ObjectKey> except;    // that have the backend too, but with a weight of their own, which goes before
};

struct ResetWeight {
  std::optional<uint32_t> weight;   // that it was set to; nothing if that can't be read any more
  std::vector<ObjectKey> services;  // that it held for
  std::optional<uint32_t> instead;  // what holds now, set for every Service; nothing: the EndpointSlice's
};

class ApiSource {
 public:
  enum class Condition : uint8_t { kNone, kNew, kExists };
  static constexpr size_t kMaxObjects = 50'000;
  static constexpr size_t kMaxOverrides = 10'000;
  static constexpr size_t kMaxBytes = 16 << 20;  // of manifests at a time: YAML takes some thirty times that when read

  struct Hooks {
    // Puts what changed in force.
    std::function<void(const std::vector<ObjectKey>&)> commit;
    // Of these files, as things are now.
    std::function<std::vector<Problem>(const std::set<std::string>& paths)> problems_of;
    // Services in force that have the backend.
    std::function<std::vector<ObjectKey>(const OverrideKey&)> served_by;
  };

  ApiSource(EventLoop& loop, Store& store, const std::string& state_dir, HostPorts host_ports, Hooks hooks);

  // What was written before the daemon ended. Before any manifest is read: an object that a manifest has as well is the
  // API's then as it was before.
  absl::StatusOr<std::vector<ObjectKey>> restore();
  // Of its objects; sorted. Also before they are restored.
  absl::StatusOr<std::vector<std::string>> files() const { return objects_.list(); }
  std::string path_of(const ObjectKey& key) const { return objects_.path_of(kept_name(key)); }
  bool is_own_file(const std::string& path) const { return objects_.has(path) || weights_.has(path); }
  // As it was written; null if it is none of the API's.
  const std::string* text_of(const ObjectKey& key) const;
  size_t objects() const { return texts_.size(); }

  // These are for threads of servers.
  absl::StatusOr<ApplyResult> apply(std::string_view manifests, Condition condition, bool dry_run);
  absl::StatusOr<std::vector<Applied>> remove(std::vector<ObjectKey> keys, bool ignore_missing, bool dry_run);
  // The keys of what stands in manifests.
  absl::StatusOr<std::vector<ObjectKey>> keys_of(std::string_view manifests) const;
  absl::StatusOr<SetWeight> set_weight(const OverrideKey& key, uint32_t weight);
  // `only_drained`: FailedPrecondition for any weight other than 0.
  absl::StatusOr<ResetWeight> reset_weight(const OverrideKey& key, bool only_drained);

 private:
  struct Kept {  // what an object becomes
    StateFiles::Draft draft;
    Decoded decoded;
  };
  struct Write {
    Submission submission;
    Condition condition = Condition::kNone;
    bool dry_run = false;
    std::vector<std::optional<Kept>> kept;  // of each object, where it isn't as it is already
  };
  absl::Status restore_objects(std::vector<ObjectKey>& changed);
  absl::Status restore_overrides();
  absl::Status may_write(const ObjectKey& key, Condition condition) const;
  absl::StatusOr<ApplyResult> judge(const Write& write) const;
  absl::Status draft_all(const ApplyResult& judged, Write& write);
  absl::StatusOr<ApplyResult> apply_now(Write& write);
  absl::StatusOr<std::vector<Applied>> remove_now(const std::vector<ObjectKey>& keys, bool ignore_missing,
                                                  bool dry_run);
  absl::StatusOr<SetWeight> set_weight_now(const OverrideKey& key, const Override& value, StateFiles::Draft& draft);
  SetWeight reach_of(const OverrideKey& key) const;
  absl::Status no_weight(const OverrideKey& key) const;
  absl::StatusOr<ResetWeight> reset_weight_now(const OverrideKey& key, bool only_drained);

  EventLoop& loop_;
  Store& store_;
  const HostPorts host_ports_;
  Hooks hooks_;
  StateFiles objects_;
  StateFiles weights_;
  std::map<ObjectKey, std::string> texts_;   // on the loop
  mutable std::atomic<size_t> parsing_ = 0;  // bytes of manifests, on all threads
};

}  // namespace guideway::mgmt
