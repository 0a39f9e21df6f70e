#include "mgmt/source/api/api_source.h"

#include <utility>

#include "mgmt/await.h"
#include "mgmt/bad_request.h"
#include "mgmt/source/api/override_file.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/time_text.h"

namespace guideway::mgmt {
namespace {

// Of the bytes of manifests that may be worked on at a time, those of one call.
class Share {
 public:
  Share(std::atomic<size_t>& taken, size_t bytes) : taken_(taken), bytes_(bytes) {
    has_it_ = taken_.fetch_add(bytes_) + bytes_ <= ApiSource::kMaxBytes;
  }
  ~Share() { taken_.fetch_sub(bytes_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  explicit operator bool() const { return has_it_; }

 private:
  std::atomic<size_t>& taken_;
  const size_t bytes_;
  bool has_it_ = false;
};

absl::Status too_much() {
  return absl::ResourceExhaustedError("others have guidewayd read large manifests just now: try again");
}

// The disk failed half way.
absl::Status only_partly(const absl::Status& s, size_t changed) {
  return {s.code(), std::string(s.message()) + "; " + std::to_string(changed) + " objects were changed before that"};
}

// Also where it failed: something may have changed before that.
template <typename Result>
absl::StatusOr<Result> flushed(const StateFiles& files, absl::StatusOr<Result> result) {
  const absl::Status s = files.flush();
  if (result.ok() && !s.ok()) return s;
  return result;
}

std::string backend_text(const OverrideKey& key) {
  const std::string address = net::to_string(key.backend);
  return key.service.empty() ? address : address + " of Service " + key.ns + "/" + key.service;
}

}  // namespace

ApiSource::ApiSource(EventLoop& loop, Store& store, const std::string& state_dir, HostPorts host_ports, Hooks hooks)
    : loop_(loop),
      store_(store),
      host_ports_(host_ports),
      hooks_(std::move(hooks)),
      objects_(state_dir + "/objects"),
      weights_(state_dir + "/weights") {}

absl::StatusOr<std::vector<ObjectKey>> ApiSource::restore() {
  if (absl::Status s = objects_.prepare(); !s.ok()) return s;
  if (absl::Status s = weights_.prepare(); !s.ok()) return s;
  if (absl::Status s = restore_overrides(); !s.ok()) return s;
  std::vector<ObjectKey> changed;
  if (absl::Status s = restore_objects(changed); !s.ok()) return s;
  return changed;
}

absl::Status ApiSource::restore_objects(std::vector<ObjectKey>& changed) {
  const auto paths = objects_.list();
  if (!paths.ok()) return paths.status();
  for (const std::string& path : *paths) {
    const auto text = read_whole_file(path);
    auto kept = text.ok() ? read_kept(path, *text, host_ports_) : text.status();
    // As where the disk has lost it; that deletes nothing.
    if (kept.ok() && kept->objects.empty() && kept->problems.empty())
      kept = absl::DataLossError("has no object: apply it again, or delete it");
    if (!kept.ok()) {
      store_.fail_file(path, {path, 0, 0, "", "", std::string(kept.status().message())});
      continue;
    }
    for (const ObjectPtr& o : kept->objects) texts_[o->key] = *text;
    const auto keys = store_.put_file(path, {std::move(kept->objects), std::move(kept->refused), kept->unnamed,
                                             std::move(kept->problems), std::move(kept->skipped)});
    changed.insert(changed.end(), keys.begin(), keys.end());
  }
  return absl::OkStatus();
}

absl::Status ApiSource::restore_overrides() {
  const auto paths = weights_.list();
  if (!paths.ok()) return paths.status();
  for (const std::string& path : *paths) {
    const auto text = read_whole_file(path);
    const auto read = text.ok() ? parse_override(*text) : text.status();
    if (read.ok())
      store_.overrides().set(read->first, read->second);
    else
      store_.fail_file(path, {path, 0, 0, "", "", std::string(read.status().message())});
  }
  return absl::OkStatus();
}

const std::string* ApiSource::text_of(const ObjectKey& key) const {
  const auto it = texts_.find(key);
  return it == texts_.end() ? nullptr : &it->second;
}

absl::Status ApiSource::may_write(const ObjectKey& key, Condition condition) const {
  std::string owner = store_.owner(key);
  // A file of its own that couldn't be read is replaced or removed as any other.
  if (owner.empty() && store_.files().contains(path_of(key))) owner = path_of(key);
  if (!owner.empty() && !is_own_file(owner))
    return absl::FailedPreconditionError(to_string(key) + " stands in " + owner +
                                         ": change it there, or remove it from that file first");
  if (condition == Condition::kNew && !owner.empty())
    return absl::AlreadyExistsError(to_string(key) + " is there already");
  if (condition == Condition::kExists && owner.empty()) return absl::NotFoundError("there is no " + to_string(key));
  return absl::OkStatus();
}

// Only what changes is written to the disk, and only what may be: so it is judged before, and then again, for things
// may have changed meanwhile.
absl::StatusOr<ApplyResult> ApiSource::apply(std::string_view manifests, Condition condition, bool dry_run) {
  const Share share(parsing_, manifests.size());
  if (!share) return too_much();
  auto submission = parse_submission(manifests, host_ports_);
  if (!submission.ok()) return submission.status();
  const auto write = std::make_shared<Write>(Write{std::move(*submission), condition, dry_run, {}});
  auto result = await<ApplyResult>(loop_, [this, write](const Reply<ApplyResult>& reply) { reply(judge(*write)); });
  if (!result.ok() || dry_run) return result;
  if (absl::Status s = draft_all(*result, *write); !s.ok()) return s;
  return flushed(objects_, await<ApplyResult>(
                               loop_, [this, write](const Reply<ApplyResult>& reply) { reply(apply_now(*write)); }));
}

absl::StatusOr<ApplyResult> ApiSource::judge(const Write& write) const {
  ApplyResult result;
  result.skipped = write.submission.skipped;
  size_t created = 0;
  std::set<std::string> unchanged;  // of a dry run
  for (const Submitted& o : write.submission.objects) {
    if (absl::Status s = may_write(o.key, write.condition); !s.ok()) return s;
    const std::string* before = text_of(o.key);
    const Action action = before == nullptr   ? Action::kCreated
                          : *before == o.text ? Action::kUnchanged
                                              : Action::kConfigured;
    created += action == Action::kCreated ? 1 : 0;
    result.objects.push_back({o.key, action, {}, {}});
    if (!write.dry_run) continue;
    if (action == Action::kUnchanged) unchanged.insert(path_of(o.key));
    result.objects.back().before = before != nullptr ? *before : "";
    result.objects.back().after = o.text;
  }
  if (write.dry_run) result.problems = hooks_.problems_of(unchanged);
  if (texts_.size() + created > kMaxObjects)
    return absl::ResourceExhaustedError("at most " + std::to_string(kMaxObjects) +
                                        " objects may come over the API: keep the others in manifests");
  return result;
}

absl::Status ApiSource::draft_all(const ApplyResult& judged, Write& write) {
  for (size_t i = 0; i < judged.objects.size(); ++i) {
    auto& kept = write.kept.emplace_back();
    if (judged.objects[i].action == Action::kUnchanged) continue;
    const Submitted& o = write.submission.objects[i];
    auto decoded = read_kept(path_of(o.key), o.text, host_ports_);
    if (!decoded.ok())
      return bad_request("manifests", to_string(o.key) + " couldn't be read again as it would be kept, " +
                                          std::string(decoded.status().message()) + "; write it in another form");
    auto draft = objects_.draft(o.text);
    if (!draft.ok()) return draft.status();
    kept = Kept{std::move(*draft), std::move(*decoded)};
  }
  return absl::OkStatus();
}

absl::StatusOr<ApplyResult> ApiSource::apply_now(Write& write) {
  auto result = judge(write);
  if (!result.ok()) return result;
  for (size_t i = 0; i < write.kept.size(); ++i)
    if (!write.kept[i] && result->objects[i].action != Action::kUnchanged)
      return absl::AbortedError(to_string(result->objects[i].key) +
                                " was changed by somebody else meanwhile: try again");
  std::vector<ObjectKey> changed;
  std::set<std::string> paths;
  absl::Status accepted;
  for (size_t i = 0; i < write.kept.size(); ++i) {
    const Submitted& o = write.submission.objects[i];
    const std::string path = path_of(o.key);
    paths.insert(path);
    if (result->objects[i].action == Action::kUnchanged) continue;
    accepted = objects_.accept(write.kept[i]->draft, kept_name(o.key));
    if (!accepted.ok()) break;
    Decoded& decoded = write.kept[i]->decoded;
    texts_[o.key] = o.text;
    const auto keys = store_.put_file(path, {std::move(decoded.objects), {}, false, std::move(decoded.problems), {}});
    changed.insert(changed.end(), keys.begin(), keys.end());
  }
  hooks_.commit(changed);
  if (!accepted.ok()) return only_partly(accepted, changed.size());
  result->problems = hooks_.problems_of(paths);
  return result;
}

absl::StatusOr<std::vector<ObjectKey>> ApiSource::keys_of(std::string_view manifests) const {
  const Share share(parsing_, manifests.size());
  if (!share) return too_much();
  const auto submission = parse_submission(manifests, host_ports_);
  if (!submission.ok()) return submission.status();
  std::vector<ObjectKey> keys;
  for (const Submitted& o : submission->objects) keys.push_back(o.key);
  return keys;
}

absl::StatusOr<std::vector<Applied>> ApiSource::remove(std::vector<ObjectKey> keys, bool ignore_missing, bool dry_run) {
  using Result = std::vector<Applied>;
  auto result = await<Result>(loop_, [=, this, keys = std::move(keys)](const Reply<Result>& reply) {
    reply(remove_now(keys, ignore_missing, dry_run));
  });
  return dry_run ? result : flushed(objects_, std::move(result));
}

absl::StatusOr<std::vector<Applied>> ApiSource::remove_now(const std::vector<ObjectKey>& keys, bool ignore_missing,
                                                           bool dry_run) {
  std::vector<Applied> result;
  for (const ObjectKey& key : keys) {
    const absl::Status s = may_write(key, Condition::kExists);
    if (ignore_missing && absl::IsNotFound(s)) continue;
    if (!s.ok()) return s;
    const std::string* before = dry_run ? text_of(key) : nullptr;
    result.push_back({key, Action::kDeleted, before != nullptr ? *before : "", ""});
  }
  if (dry_run) return result;
  std::vector<ObjectKey> changed;
  absl::Status removed;
  for (size_t i = 0; removed.ok() && i < result.size(); ++i) {
    const std::string name = kept_name(result[i].key);
    removed = objects_.remove(name);
    if (!removed.ok()) break;
    texts_.erase(result[i].key);
    const auto gone = store_.remove_file(path_of(result[i].key));
    changed.insert(changed.end(), gone.begin(), gone.end());
  }
  hooks_.commit(changed);
  if (!removed.ok()) return only_partly(removed, changed.size());
  return result;
}

absl::StatusOr<SetWeight> ApiSource::set_weight(const OverrideKey& key, uint32_t weight) {
  if (weight > kMaxWeight) return bad_request("weight", "is at most " + std::to_string(kMaxWeight));
  if (override_name(key).size() > StateFiles::kMaxName) return bad_request("name", "is too long to be kept");
  const Override value{weight, rfc3339_now()};
  auto draft = weights_.draft(override_text(key, value));
  if (!draft.ok()) return draft.status();
  const auto shared = std::make_shared<StateFiles::Draft>(std::move(*draft));  // the loop may come to it late
  return flushed(weights_, await<SetWeight>(loop_, [this, key, value, shared](const Reply<SetWeight>& reply) {
                   reply(set_weight_now(key, value, *shared));
                 }));
}

absl::StatusOr<SetWeight> ApiSource::set_weight_now(const OverrideKey& key, const Override& value,
                                                    StateFiles::Draft& draft) {
  SetWeight reach = reach_of(key);
  if (reach.services.empty() && reach.except.empty())
    return absl::NotFoundError("there is no backend " + backend_text(key) +
                               "; guideway backends lists those there are");
  if (store_.overrides().all().size() >= kMaxOverrides && !store_.overrides().all().contains(key))
    return absl::ResourceExhaustedError("at most " + std::to_string(kMaxOverrides) +
                                        " weights may be set: reset some, or put the weights into EndpointSlices");
  if (absl::Status s = weights_.accept(draft, override_name(key)); !s.ok()) return s;
  store_.remove_file(weights_.path_of(override_name(key)));  // it couldn't be read, but is replaced now
  store_.overrides().set(key, value);
  hooks_.commit(reach.services);
  return reach;
}

SetWeight ApiSource::reach_of(const OverrideKey& key) const {
  SetWeight reach;
  const auto& all = store_.overrides().all();
  for (ObjectKey& s : hooks_.served_by(key)) {
    const bool own = key.service.empty() && all.contains({s.ns, s.name, key.backend});
    (own ? reach.except : reach.services).push_back(std::move(s));
  }
  return reach;
}

absl::Status ApiSource::no_weight(const OverrideKey& key) const {
  std::string text = "no weight was set for backend " + backend_text(key);
  for (const auto& [other, value] : store_.overrides().all())
    if (other.backend == key.backend)
      return absl::NotFoundError(text + ", but for " + backend_text(other) +
                                 (other.service.empty() ? " of every Service" : "") +
                                 ": guideway status lists what is set");
  return absl::NotFoundError(text);
}

absl::StatusOr<ResetWeight> ApiSource::reset_weight(const OverrideKey& key, bool only_drained) {
  return flushed(weights_, await<ResetWeight>(loop_, [this, key, only_drained](const Reply<ResetWeight>& reply) {
                   reply(reset_weight_now(key, only_drained));
                 }));
}

absl::StatusOr<ResetWeight> ApiSource::reset_weight_now(const OverrideKey& key, bool only_drained) {
  const std::string name = override_name(key);
  const auto it = store_.overrides().all().find(key);
  std::optional<uint32_t> weight;
  if (it != store_.overrides().all().end())
    weight = it->second.weight;
  else if (!store_.files().contains(weights_.path_of(name)))  // those that couldn't be read
    return no_weight(key);
  if (only_drained && weight.value_or(0) != 0)
    return absl::FailedPreconditionError(
        "backend " + backend_text(key) + " isn't drained, but was given weight " + std::to_string(*weight) +
        ": guideway weight --reset " + net::to_string(key.backend) +
        (key.service.empty() ? "" : " --service " + key.ns + "/" + key.service) + " takes that back");
  if (absl::Status s = weights_.remove(name); !s.ok()) return s;
  store_.remove_file(weights_.path_of(name));
  store_.overrides().reset(key);
  std::vector<ObjectKey> services = reach_of(key).services;
  hooks_.commit(services);
  const Override* left = store_.overrides().find({}, {}, key.backend);
  return ResetWeight{weight, std::move(services), left != nullptr ? std::optional(left->weight) : std::nullopt};
}

}  // namespace guideway::mgmt
