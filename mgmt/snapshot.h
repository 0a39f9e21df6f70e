// What the daemon shows, taken on its loop and then immutable: the API reads it on its own threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/engine.pb.h"
#include "mgmt/compile/entry.h"
#include "mgmt/engine_link/engine_link.h"
#include "mgmt/model/overrides.h"
#include "mgmt/model/problem.h"
#include "mgmt/model/store.h"

namespace guideway::mgmt {

struct Snapshot {
  struct Vip {
    EntryPtr entry;
    EngineLink::EntryState state;
    std::string file;
    friend bool operator==(const Vip&, const Vip&) = default;
  };
  struct File {
    std::string path;
    uint32_t objects = 0;
    uint32_t problems = 0;
    bool broken = false;
  };
  uint64_t uptime_seconds = 0;
  std::string engine_socket;
  std::string engine_trouble;          // why it isn't connected, or that it doesn't answer
  std::optional<engine::Hello> hello;  // unset: not connected
  // Unset: it wasn't asked for, or the engine didn't answer.
  std::optional<engine::Status> status;
  std::optional<std::unordered_map<std::string, engine::ServiceCounters>> counters;  // by Entry::name
  engine::Generation desired;
  std::optional<engine::Generation> applied;
  std::vector<Problem> problems;
  std::map<std::string, uint32_t> skipped;
  std::vector<File> files;
  std::vector<Vip> vips;  // sorted by name
  std::vector<OwnedObject> service_objects;
  std::vector<OwnedObject> slice_objects;
  std::vector<OwnedObject> filter_objects;
  uint64_t denied_prefixes = 0;  // by all of them, each once
  bool denied_applied = false;   // the engine has them
  uint32_t services = 0;
  uint32_t services_left_out = 0;
  uint32_t endpoint_slices = 0;
  std::string gateway_config;  // the object's name
  GatewayConfig gateway;
  std::string manifest_directory;
  uint32_t api_objects = 0;
  std::map<OverrideKey, Override> overrides;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace guideway::mgmt
