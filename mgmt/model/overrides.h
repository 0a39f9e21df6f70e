// Weights that the API set: each wins over that of the EndpointSlice until it is taken back, whatever becomes of the
// backend meanwhile. Weight 0 drains.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include "net/address.h"

namespace guideway::mgmt {

struct OverrideKey {
  std::string ns;  // both empty: the backend of every Service
  std::string service;
  net::IpAddress backend;
  friend auto operator<=>(const OverrideKey&, const OverrideKey&) = default;
};

struct Override {
  uint32_t weight = 0;
  std::string since;  // RFC 3339, UTC
};

class Overrides {
 public:
  void set(const OverrideKey& key, Override o) { all_[key] = std::move(o); }
  // False: there was none.
  bool reset(const OverrideKey& key) { return all_.erase(key) != 0; }
  const std::map<OverrideKey, Override>& all() const { return all_; }

  // The one that holds for a backend of a Service: its own, else that of every Service; null if there is neither.
  const Override* find(const std::string& ns, const std::string& service, const net::IpAddress& backend) const {
    if (all_.empty()) return nullptr;
    auto it = all_.find({ns, service, backend});
    if (it == all_.end()) it = all_.find({{}, {}, backend});
    return it == all_.end() ? nullptr : &it->second;
  }

 private:
  std::map<OverrideKey, Override> all_;
};

}  // namespace guideway::mgmt
