// The state that the contract has brought: batches are gathered until their commit, applied whole or refused, and the
// last one applied is kept in a file, so that an engine starts without the daemon.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "dataplane/control/desired.h"
#include "dataplane/engine.pb.h"

namespace guideway::control {

class ContractState {
 public:
  using Apply = std::function<std::optional<Refusal>(Batch)>;

  // `directory` exists.
  ContractState(std::string directory, Apply apply) : directory_(std::move(directory)), apply_(std::move(apply)) {}

  // Begin, Gateway, Service, Removal: nothing to answer. Commit: Applied or Refused. InvalidArgument: the peer doesn't
  // keep to the contract.
  absl::StatusOr<std::optional<engine::Envelope>> take(const engine::Envelope& message);
  // A batch that its connection didn't finish.
  void abandon() { open_.reset(); }

  // Applies the file's state. NotFound: there is none. DataLoss: it is damaged, was set aside, and where it is now.
  // ResourceExhausted: there is no room for it.
  absl::Status load();
  // Writes the file if the state has changed since: to a new one, then in the old one's place.
  absl::Status save();
  bool unsaved() const { return unsaved_; }

  const std::optional<engine::Generation>& generation() const { return generation_; }

 private:
  struct Open {
    Batch batch;
    std::optional<engine::Gateway> gateway;
    std::map<std::string, engine::Service> services;
    std::optional<Refusal> refusal;  // the first entry that was wrong
  };
  engine::Envelope commit(const engine::Generation& generation);
  std::string file() const { return directory_ + "/snapshot"; }
  absl::Status load_from(const std::string& file);

  std::string directory_;
  Apply apply_;
  std::optional<Open> open_;
  std::optional<engine::Generation> generation_;
  std::optional<engine::Gateway> gateway_;
  std::map<std::string, engine::Service> services_;
  bool unsaved_ = false;
};

}  // namespace guideway::control
