#include "mgmt/model/store.h"

#include <algorithm>

namespace guideway::mgmt {

bool Store::put(const std::string& file, const ObjectPtr& object) {
  Slot& slot = slots_[object->key];
  const auto claim =
      std::find_if(slot.claims.begin(), slot.claims.end(), [&](const Claim& c) { return c.file == file; });
  if (claim == slot.claims.end()) {
    slot.claims.push_back({file, object});
    if (slot.claims.size() > 1) contested_.insert(object->key);
    return slot.claims.size() == 1;
  }
  if (claim->latest == object || *claim->latest == *object) return false;
  claim->latest = object;
  return claim == slot.claims.begin();
}

bool Store::drop(const std::string& file, const ObjectKey& key) {
  const auto it = slots_.find(key);
  if (it == slots_.end()) return false;
  auto& claims = it->second.claims;
  const auto claim = std::find_if(claims.begin(), claims.end(), [&](const Claim& c) { return c.file == file; });
  if (claim == claims.end()) return false;
  const bool first = claim == claims.begin();
  claims.erase(claim);
  if (claims.size() < 2) contested_.erase(key);
  if (first) it->second.good = nullptr;
  if (claims.empty()) slots_.erase(it);
  return first;
}

std::vector<ObjectKey> Store::put_file(const std::string& file, FileContents contents) {
  std::vector<ObjectKey> changed;
  File& f = files_[file];
  std::set<ObjectKey> now;
  for (const ObjectPtr& object : contents.objects) {
    now.insert(object->key);
    if (put(file, object)) changed.push_back(object->key);
  }
  for (const ObjectKey& key : contents.refused)
    if (f.keys.contains(key)) now.insert(key);
  if (contents.unnamed) now.insert(f.keys.begin(), f.keys.end());
  for (const ObjectKey& key : f.keys)
    if (!now.contains(key) && drop(file, key)) changed.push_back(key);
  std::set<ObjectKey> unread = now;
  for (const ObjectPtr& object : contents.objects) unread.erase(object->key);
  f = {std::move(now), std::move(unread), std::move(contents.problems), std::move(contents.skipped), false};
  return changed;
}

std::vector<ObjectKey> Store::remove_file(const std::string& file) {
  std::vector<ObjectKey> changed;
  const auto it = files_.find(file);
  if (it == files_.end()) return changed;
  for (const ObjectKey& key : it->second.keys)
    if (drop(file, key)) changed.push_back(key);
  files_.erase(it);
  return changed;
}

void Store::fail_file(const std::string& file, const Problem& problem) {
  File& f = files_[file];
  f.problems.assign(1, problem);
  f.broken = true;
}

std::vector<ObjectKey> Store::restore_file(const std::string& file, const std::vector<ObjectPtr>& last_good) {
  std::vector<ObjectKey> changed;
  File& f = files_[file];
  for (const ObjectPtr& object : last_good) {
    f.keys.insert(object->key);
    if (!put(file, object)) continue;
    slots_[object->key].good = object;
    changed.push_back(object->key);
  }
  return changed;
}

ObjectPtr Store::latest(const ObjectKey& key) const {
  const auto it = slots_.find(key);
  return it == slots_.end() ? nullptr : it->second.claims.front().latest;
}

ObjectPtr Store::good(const ObjectKey& key) const {
  const auto it = slots_.find(key);
  return it == slots_.end() ? nullptr : it->second.good;
}

std::string Store::owner(const ObjectKey& key) const {
  const auto it = slots_.find(key);
  return it == slots_.end() ? std::string() : it->second.claims.front().file;
}

void Store::accept(const ObjectKey& key, ObjectPtr form) {
  const auto it = slots_.find(key);
  if (it != slots_.end()) it->second.good = std::move(form);
}

std::vector<ObjectKey> Store::keys(Kind kind) const {
  std::vector<ObjectKey> keys;
  for (auto it = slots_.lower_bound({kind, {}, {}}); it != slots_.end() && it->first.kind == kind; ++it)
    keys.push_back(it->first);
  return keys;
}

std::vector<OwnedObject> Store::objects(Kind kind) const {
  std::vector<OwnedObject> all;
  for (auto it = slots_.lower_bound({kind, {}, {}}); it != slots_.end() && it->first.kind == kind; ++it)
    all.push_back({it->second.claims.front().latest, it->second.claims.front().file});
  return all;
}

std::vector<Problem> Store::problems() const {
  std::vector<Problem> all;
  for (const auto& [name, file] : files_) all.insert(all.end(), file.problems.begin(), file.problems.end());
  for (const ObjectKey& key : contested_) {
    const auto& claims = slots_.at(key).claims;
    for (size_t i = 1; i < claims.size(); ++i)
      all.push_back({claims[i].file, claims[i].latest->place.document, claims[i].latest->place.line, to_string(key),
                     "metadata.name",
                     "stands in " + claims.front().file +
                         " as well, which was there first and stays in force: remove it "
                         "from one of the two"});
  }
  return all;
}

}  // namespace guideway::mgmt
