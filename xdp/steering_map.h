// A hash map that we alone write, and what stands in it, so that publishing touches only what differs.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "log/trouble.h"
#include "xdp/complaints.h"

namespace guideway::xdp {

template <typename Key, typename Value>
struct MapEntry {
  Key key;
  Value value;
};

// What a publication changes: entries to write, and entries that are gone.
template <typename Entry>
struct Difference {
  std::vector<Entry> written;
  std::vector<Entry> removed;
};

template <typename Key, typename Value>
class SteeringMap {
 public:
  using Entry = MapEntry<Key, Value>;

  SteeringMap() = default;
  // `fd` is the map's, owned by the BPF object; `name` and `limit` are for errors.
  SteeringMap(int fd, std::string name, size_t limit) : fd_(fd), name_(std::move(name)), limit_(limit) {}

  // Has just `wanted` stand there. After an error everything is as it was.
  absl::Status set(std::span<const Entry> wanted) {
    const auto d = difference(wanted);
    if (!d.ok()) return d.status();
    if (absl::Status s = apply(*d); !s.ok()) return s;
    confirm(*d);
    return absl::OkStatus();
  }

 private:
  // The way from what stands there to `wanted`. A key that is named twice with two values is an error.
  absl::StatusOr<Difference<Entry>> difference(std::span<const Entry> wanted) const {
    std::vector<Entry> sorted(wanted.begin(), wanted.end());
    std::sort(sorted.begin(), sorted.end(), less);
    for (size_t i = 1; i < sorted.size(); ++i)
      if (same_key(sorted[i - 1], sorted[i]) && !same_value(sorted[i - 1], sorted[i]))
        return log::failure(absl::StatusCode::kInvalidArgument,
                            absl::StrCat("the map ", name_, " was given one key with two values"),
                            "report this as a bug, with what `guideway status` says");
    sorted.erase(std::unique(sorted.begin(), sorted.end(), same_key), sorted.end());
    if (sorted.size() > limit_)
      return log::failure(absl::StatusCode::kResourceExhausted,
                          absl::StrCat("the map ", name_, " holds ", limit_, " entries, not ", sorted.size()),
                          "make do with fewer VIPs, SNAT addresses and addresses of the host");
    Difference<Entry> d;
    for (const Entry& e : sorted)
      if (const Entry* old = find(e); old == nullptr || !same_value(*old, e)) d.written.push_back(e);
    std::set_difference(entries_.begin(), entries_.end(), sorted.begin(), sorted.end(), std::back_inserter(d.removed),
                        less);
    return d;
  }

  // Writes first, then removes: a packet of what stays is steered all the time. Only where both don't fit in the map
  // are the removals first. After an error the map is as it was.
  absl::Status apply(const Difference<Entry>& d) {
    const bool fits = entries_.size() + d.written.size() <= limit_;
    if (!fits) remove(d.removed);
    for (size_t i = 0; i < d.written.size(); ++i)
      if (bpf_map_update_elem(fd_, &d.written[i].key, &d.written[i].value, BPF_ANY) != 0) {
        const absl::Status error = map_error(errno, "write to", name_);
        revert({{d.written.begin(), d.written.begin() + static_cast<std::ptrdiff_t>(i)}, d.removed});
        return error;
      }
    if (fits) remove(d.removed);
    return absl::OkStatus();
  }

  // Takes an applied difference back, or confirms it.
  void revert(const Difference<Entry>& d) {
    for (const Entry& e : d.written)
      if (find(e) == nullptr) bpf_map_delete_elem(fd_, &e.key);
    for (const Entry& e : d.written)
      if (const Entry* old = find(e)) bpf_map_update_elem(fd_, &old->key, &old->value, BPF_ANY);
    for (const Entry& e : d.removed) bpf_map_update_elem(fd_, &e.key, &e.value, BPF_ANY);
  }
  void confirm(const Difference<Entry>& d) {
    std::vector<Entry> kept;
    std::set_difference(entries_.begin(), entries_.end(), d.removed.begin(), d.removed.end(), std::back_inserter(kept),
                        less);
    entries_.clear();
    // Of two equal keys set_union takes the first range's: the written one.
    std::set_union(d.written.begin(), d.written.end(), kept.begin(), kept.end(), std::back_inserter(entries_), less);
  }

  static bool less(const Entry& a, const Entry& b) { return std::memcmp(&a.key, &b.key, sizeof(Key)) < 0; }
  static bool same_key(const Entry& a, const Entry& b) { return std::memcmp(&a.key, &b.key, sizeof(Key)) == 0; }
  static bool same_value(const Entry& a, const Entry& b) { return std::memcmp(&a.value, &b.value, sizeof(Value)) == 0; }

  const Entry* find(const Entry& e) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), e, less);
    return at != entries_.end() && same_key(*at, e) ? &*at : nullptr;
  }
  void remove(const std::vector<Entry>& gone) {
    for (const Entry& e : gone) bpf_map_delete_elem(fd_, &e.key);
  }

  int fd_ = -1;
  std::string name_;
  size_t limit_ = 0;
  std::vector<Entry> entries_;  // sorted by key
};

}  // namespace guideway::xdp
