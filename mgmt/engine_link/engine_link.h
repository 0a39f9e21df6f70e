// The STATE connection: keeps the engine at the desired state. Sends all of it on each connection, then only what
// differs; one batch at a time, the next gathers what changes meanwhile. What the engine refuses, or has no room for,
// is left out and shown, and the rest goes on.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mgmt/compile/compiler.h"
#include "mgmt/engine_link/budget.h"
#include "mgmt/engine_link/connection.h"
#include "mgmt/engine_link/silence.h"

namespace guideway::mgmt {

class EngineLink {
 public:
  // As Refused.entry names them.
  static constexpr const char* kGateway = "gateway";
  static constexpr const char* kDenied = "denied sources";

  enum class EntryState : uint8_t { kPending, kApplied, kRefused };
  struct Refusal {
    std::string frame;  // what was refused: another form is tried again
    std::string field;  // of the contract's message; if for_room, of the object: empty for the VIP's
    std::string why;
    bool for_room = false;  // by us, for a limit of the engine's: tried again when there is room
    bool later = false;     // by the engine, for room that comes by itself: tried again after a while
  };

  // `on_change`: connected, disconnected, applied, refused, or silent for too long. Nothing is sent before start().
  EngineLink(EventLoop& loop, std::string path, const Compiler& compiler, std::function<void()> on_change);

  void start();
  // What the compiler holds has changed so.
  void update(const Delta& delta);

  bool connected() const { return hello_.has_value(); }
  const std::optional<engine::Hello>& hello() const { return hello_; }
  // Why there is no connection, or that nothing is heard on it; empty if the engine answers.
  std::string trouble() const { return trouble_.empty() ? silence_.trouble() : trouble_; }
  // For whoever else asks it something.
  Silence& silence() { return silence_; }
  std::string socket_path() const { return path_; }
  // The number that the next batch will have, or that the last one had if nothing waits. Once that is applied, or gone
  // again after a refusal, it is applied()'s.
  engine::Generation desired() const;
  const std::optional<engine::Generation>& applied() const { return applied_generation_; }
  // The engine has taken all that was desired by that number, but what it refuses.
  bool has_taken(uint64_t counter) const;
  // By what was refused: kGateway, kDenied, or an Entry's name.
  const std::map<std::string, Refusal>& refusals() const { return refusals_; }
  EntryState state_of(const Entry& entry) const;
  // The engine has all that SourceFilters deny.
  bool denied_applied() const;

 private:
  using Frame = std::shared_ptr<const std::string>;
  struct Batch {
    bool full = false;
    engine::Generation generation;
    std::optional<std::string> gateway;
    std::map<std::string, EntryPtr> entries;
    std::set<std::string> removed;
    std::map<uint32_t, Frame> denied;  // null: the part is empty now
    std::string denied_version;
  };

  void connect();
  absl::Status take(const engine::Envelope& message);
  absl::Status take_hello(const engine::Hello& hello);
  absl::Status take_applied(const engine::Applied& applied);
  absl::Status take_refused(const engine::Refused& refused);
  void try_again(const std::string& name);
  void closed(const absl::Status& why);
  bool pending() const { return need_full_ || gateway_dirty_ || denied_dirty_ || !dirty_.empty(); }
  void send_pending();
  static std::chrono::milliseconds patience_for(const Batch& batch);
  void fill_gateway(Batch& batch);
  void fill_denied(Batch& batch);
  void fill_full(Batch& batch);
  void fill_delta(Batch& batch);
  bool fill_entry(Batch& batch, const std::string& name);
  bool add(Batch& batch, const EntryPtr& entry);
  void undo(const Batch& batch);
  void write(const Batch& batch);
  void expect_answer(std::chrono::milliseconds within, const char* what);

  EventLoop& loop_;
  std::string path_;
  const Compiler& compiler_;
  std::function<void()> on_change_;
  Connection connection_;
  std::chrono::milliseconds backoff_;
  EventLoop::TimerId answer_timer_ = 0;
  Silence silence_;
  std::optional<engine::Hello> hello_;
  std::string trouble_ = "guidewayd has only begun to connect to the engine; it goes on by itself";

  bool need_full_ = true;
  bool gateway_dirty_ = true;
  bool denied_dirty_ = true;
  bool stalled_ = false;         // a batch was refused for nothing that could be left out
  std::set<std::string> dirty_;  // entries that changed since they were last sent
  std::optional<Batch> in_flight_;
  bool engine_known_ = false;  // it has the last applied state, which follows
  std::string applied_gateway_;
  std::map<std::string, EntryPtr> engine_;
  std::map<uint32_t, Frame> applied_denied_;
  Budget budget_;  // of that state and the batch in flight
  std::map<std::string, Refusal> refusals_;
  uint64_t instance_;
  uint64_t counter_ = 0;
  std::optional<engine::Generation> applied_generation_;
};

// Why a Hello can't be worked with.
absl::Status check_hello(const engine::Hello& hello);

}  // namespace guideway::mgmt
