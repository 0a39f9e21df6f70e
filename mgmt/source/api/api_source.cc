#include "mgmt/source/api/api_source.h"

#include <ctime>
#include <utility>

#include "mgmt/await.h"
#include "mgmt/bad_request.h"
#include "mgmt/source/api/override_file.h"
#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {
namespace {

std::string now() {
  const std::time_t t = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&t, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
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
  restore_overrides();
  std::vector<ObjectKey> changed;
  restore_objects(changed);
  return changed;
}

void ApiSource::restore_objects(std::vector<ObjectKey>& changed) {
  for (const std::string& path : objects_.list()) {
    const auto text = read_whole_file(path);
    auto kept = text.ok() ? read_kept(path, *text, host_ports_) : text.status();
    if (!kept.ok()) {
      store_.fail_file(path, {path, 0, 0, "", "", std::string(kept.status().message())});
      continue;
    }
    for (const ObjectPtr& o : kept->objects) texts_[o->key] = *text;
    const auto keys = store_.put_file(path, {std::move(kept->objects), std::move(kept->refused), kept->unnamed,
                                             std::move(kept->problems), std::move(kept->skipped)});
    changed.insert(changed.end(), keys.begin(), keys.end());
  }
}

void ApiSource::restore_overrides() {
  for (const std::string& path : weights_.list()) {
    const auto text = read_whole_file(path);
    const auto read = text.ok() ? parse_override(*text) : text.status();
    if (read.ok())
      store_.overrides().set(read->first, read->second);
    else
      store_.fail_file(path, {path, 0, 0, "", "", std::string(read.status().message())});
  }
}

const std::string* ApiSource::text_of(const ObjectKey& key) const {
  const auto it = texts_.find(key);
  return it == texts_.end() ? nullptr : &it->second;
}

absl::Status ApiSource::may_write(const ObjectKey& key, Condition condition) const {
  const std::string owner = store_.owner(key);
  if (!owner.empty() && !is_own_file(owner))
    return absl::FailedPreconditionError(to_string(key) + " stands in " + owner +
                                         ": change it there, or remove it from that file first");
  if (condition == Condition::kNew && !owner.empty())
    return absl::AlreadyExistsError(to_string(key) + " is there already");
  if (condition == Condition::kExists && owner.empty()) return absl::NotFoundError("there is no " + to_string(key));
  return absl::OkStatus();
}

absl::StatusOr<ApplyResult> ApiSource::apply(std::string_view manifests, Condition condition, bool dry_run) {
  auto submission = parse_submission(manifests, host_ports_);
  if (!submission.ok()) return submission.status();
  const auto write = std::make_shared<Write>(Write{std::move(*submission), {}, condition, dry_run});
  const absl::Status drafted = dry_run ? absl::OkStatus() : draft_all(*write);
  auto result =
      !drafted.ok()
          ? absl::StatusOr<ApplyResult>(drafted)
          : await<ApplyResult>(loop_, [this, write](const Reply<ApplyResult>& reply) { reply(apply_now(*write)); });
  // What is left of them: those of a refused write, and those of objects that are as they were.
  for (const std::string& draft : write->drafts) objects_.discard(draft);
  if (result.ok() && !dry_run)
    if (absl::Status s = objects_.flush(); !s.ok()) return s;
  return result;
}

absl::Status ApiSource::draft_all(Write& write) {
  for (const Submitted& o : write.submission.objects) {
    auto draft = objects_.draft(o.text);
    if (!draft.ok()) return draft.status();
    write.drafts.push_back(std::move(*draft));
  }
  return absl::OkStatus();
}

absl::StatusOr<ApplyResult> ApiSource::apply_now(Write& write) {
  ApplyResult result;
  result.skipped = write.submission.skipped;
  size_t created = 0;
  for (const Submitted& o : write.submission.objects) {
    if (absl::Status s = may_write(o.key, write.condition); !s.ok()) return s;
    const std::string* before = text_of(o.key);
    const Action action = before == nullptr   ? Action::kCreated
                          : *before == o.text ? Action::kUnchanged
                                              : Action::kConfigured;
    created += action == Action::kCreated ? 1 : 0;
    result.objects.push_back({o.key, action, before != nullptr ? *before : "", o.text});
  }
  if (texts_.size() + created > kMaxObjects)
    return absl::ResourceExhaustedError("at most " + std::to_string(kMaxObjects) +
                                        " objects may come over the API: keep the others in manifests");
  if (write.dry_run) return result;
  std::vector<ObjectKey> changed;
  absl::Status kept;
  for (size_t i = 0; kept.ok() && i < result.objects.size(); ++i)
    if (result.objects[i].action != Action::kUnchanged)
      kept = keep(write.submission.objects[i], write.drafts[i], changed);
  hooks_.commit(changed);
  if (!kept.ok()) return kept;
  for (const Applied& a : result.objects)
    for (Problem& p : hooks_.problems_of(objects_.path_of(kept_name(a.key)))) result.problems.push_back(std::move(p));
  return result;
}

absl::Status ApiSource::keep(const Submitted& object, const std::string& draft, std::vector<ObjectKey>& changed) {
  const std::string name = kept_name(object.key);
  const std::string path = objects_.path_of(name);
  auto kept = read_kept(path, object.text, host_ports_);
  if (!kept.ok()) return kept.status();
  if (absl::Status s = objects_.accept(draft, name); !s.ok()) return s;
  texts_[object.key] = object.text;
  const auto keys = store_.put_file(path, {std::move(kept->objects), {}, false, std::move(kept->problems), {}});
  changed.insert(changed.end(), keys.begin(), keys.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ObjectKey>> ApiSource::keys_of(std::string_view manifests) const {
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
  if (result.ok() && !dry_run)
    if (absl::Status s = objects_.flush(); !s.ok()) return s;
  return result;
}

absl::StatusOr<std::vector<Applied>> ApiSource::remove_now(const std::vector<ObjectKey>& keys, bool ignore_missing,
                                                           bool dry_run) {
  std::vector<Applied> result;
  for (const ObjectKey& key : keys) {
    const absl::Status s = may_write(key, Condition::kExists);
    if (ignore_missing && absl::IsNotFound(s)) continue;
    if (!s.ok()) return s;
    const std::string* before = text_of(key);
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
    const auto gone = store_.remove_file(objects_.path_of(name));
    changed.insert(changed.end(), gone.begin(), gone.end());
  }
  hooks_.commit(changed);
  if (!removed.ok()) return removed;
  return result;
}

absl::StatusOr<std::vector<ObjectKey>> ApiSource::set_weight(const OverrideKey& key, uint32_t weight) {
  if (weight > kMaxWeight) return bad_request("weight", "is at most " + std::to_string(kMaxWeight));
  using Result = std::vector<ObjectKey>;
  const Override value{weight, now()};
  const auto draft = weights_.draft(override_text(key, value));
  if (!draft.ok()) return draft.status();
  auto result = await<Result>(loop_, [this, key, value, draft = *draft](const Reply<Result>& reply) {
    reply(set_weight_now(key, value, draft));
  });
  if (!result.ok()) {
    weights_.discard(*draft);
    return result;
  }
  if (absl::Status s = weights_.flush(); !s.ok()) return s;
  return result;
}

absl::StatusOr<std::vector<ObjectKey>> ApiSource::set_weight_now(const OverrideKey& key, const Override& value,
                                                                 const std::string& draft) {
  std::vector<ObjectKey> services = hooks_.served_by(key);
  if (services.empty()) return absl::NotFoundError("there is no backend " + backend_text(key));
  if (store_.overrides().all().size() >= kMaxOverrides && !store_.overrides().all().contains(key))
    return absl::ResourceExhaustedError("at most " + std::to_string(kMaxOverrides) +
                                        " weights may be set: reset some, or put the weights into EndpointSlices");
  if (absl::Status s = weights_.accept(draft, override_name(key)); !s.ok()) return s;
  store_.overrides().set(key, value);
  hooks_.commit(services);
  return services;
}

absl::StatusOr<uint32_t> ApiSource::reset_weight(const OverrideKey& key) {
  auto result = await<uint32_t>(loop_, [this, key](const Reply<uint32_t>& reply) {
    const auto it = store_.overrides().all().find(key);
    if (it == store_.overrides().all().end())
      return reply(absl::NotFoundError("no weight was set for backend " + backend_text(key)));
    const uint32_t weight = it->second.weight;
    if (absl::Status s = weights_.remove(override_name(key)); !s.ok()) return reply(s);
    store_.overrides().reset(key);
    hooks_.commit(hooks_.served_by(key));
    reply(weight);
  });
  if (result.ok())
    if (absl::Status s = weights_.flush(); !s.ok()) return s;
  return result;
}

}  // namespace guideway::mgmt
