// The state that the contract has brought: batches are gathered until their commit, applied whole or refused, and the
// last one applied is kept in files, so that an engine starts without the daemon: all in one, but for the parts of the
// denied sources, which may be large and have one each.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "dataplane/control/desired.h"
#include "dataplane/engine.pb.h"

namespace guideway::control {

class ContractState {
 public:
  using Apply = std::function<std::optional<Refusal>(Batch)>;

  // `directory` exists.
  ContractState(std::string directory, Apply apply) : directory_(std::move(directory)), apply_(std::move(apply)) {}

  // Begin, Gateway, Service, Removal, DeniedSources: nothing to answer. Commit: Applied or Refused. InvalidArgument:
  // the peer doesn't keep to the contract.
  absl::StatusOr<std::optional<engine::Envelope>> take(const engine::Envelope& message);
  // A batch that its connection didn't finish.
  void abandon() { open_.reset(); }

  // Applies the files' state. NotFound: there is none. DataLoss: it is damaged, was set aside, and where it is now.
  // ResourceExhausted: there is no room for it.
  absl::Status load();
  // Writes what has changed since, and of the denied sources' parts at most so many: to new files, then in the old
  // ones' place.
  absl::Status save(size_t parts = net::kPrefixParts);
  bool unsaved() const { return unsaved_ || !unsaved_parts_.empty(); }

  const std::optional<engine::Generation>& generation() const { return generation_; }

 private:
  struct Open {
    Batch batch;
    std::optional<engine::Gateway> gateway;
    std::map<std::string, engine::Service> services;
    std::map<uint32_t, engine::DeniedSources> parts;
    std::optional<Refusal> refusal;  // the first entry that was wrong
  };
  engine::Envelope commit(const engine::Generation& generation);
  void keep_parts(bool full, std::map<uint32_t, engine::DeniedSources> parts);
  std::string file() const { return directory_ + "/snapshot"; }
  std::string part_file(uint32_t part) const { return directory_ + "/denied-" + std::to_string(part); }
  absl::Status load_file(const std::string& path);
  absl::Status load_from(const std::string& file);
  absl::Status load_parts();
  absl::Status save_part(uint32_t part) const;

  std::string directory_;
  Apply apply_;
  std::optional<Open> open_;
  std::optional<engine::Generation> generation_;
  std::optional<engine::Gateway> gateway_;
  std::map<std::string, engine::Service> services_;
  bool unsaved_ = false;
  std::map<uint32_t, engine::DeniedSources> parts_;  // those that aren't empty
  std::set<uint32_t> unsaved_parts_;
};

}  // namespace guideway::control
