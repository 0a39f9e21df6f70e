#include "mgmt/engine_link/engine_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "log/trouble.h"
#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstBackoff{50};
constexpr milliseconds kLongestBackoff{1000};
constexpr milliseconds kHelloWithin{5000};
constexpr milliseconds kAnswerWithin{30000};      // a full state of 10,000 services builds in about ten seconds
constexpr milliseconds kPatience{1000};           // with a small one
constexpr uint64_t kSlotsInMillisecond = 10'000;  // of Maglev tables, on a slow core
constexpr uint64_t kDeniedBytesInMillisecond = 10'000;
constexpr milliseconds kLater{2000};  // the engine's sweep frees rows about once a second

bool same(const engine::Generation& a, const engine::Generation& b) {
  return a.instance() == b.instance() && a.counter() == b.counter();
}

absl::Status driven_by_another(uint32_t pid) {
  const std::string who = pid == 0 ? "another guidewayd" : "another guidewayd (pid " + std::to_string(pid) + ")";
  return log::failure(absl::StatusCode::kFailedPrecondition, who + " drives this engine", "stop one of the two");
}

}  // namespace

absl::Status check_hello(const engine::Hello& hello) {
  if (hello.version() == kContractVersion) return absl::OkStatus();
  return log::failure(absl::StatusCode::kFailedPrecondition,
                      "the engine (" + hello.engine_version() + ") speaks version " + std::to_string(hello.version()) +
                          " of the contract, guidewayd version " + std::to_string(kContractVersion),
                      "install both from one release");
}

EngineLink::EngineLink(EventLoop& loop, std::string path, const Compiler& compiler, std::function<void()> on_change)
    : loop_(loop),
      path_(std::move(path)),
      compiler_(compiler),
      on_change_(std::move(on_change)),
      connection_(
          loop, [this](const engine::Envelope& m) { return take(m); }, [this](const absl::Status& s) { closed(s); }),
      backoff_(kFirstBackoff),
      silence_(loop, [this] { on_change_(); }) {
  std::random_device random;
  instance_ = static_cast<uint64_t>(random()) << 32 | random();
}

void EngineLink::start() { connect(); }

void EngineLink::connect() {
  const absl::Status s = connection_.connect(path_);
  if (s.ok()) return expect_answer(kHelloWithin, "Hello");
  closed(s);
}

void EngineLink::closed(const absl::Status& why) {
  loop_.cancel(answer_timer_);
  const std::string text(why.message());
  if (text != trouble_) log::warn(log::trouble_of(why));
  trouble_ = text;
  hello_.reset();
  in_flight_.reset();
  silence_.forgive(Silence::Side::kState);
  need_full_ = true;
  loop_.call_after(backoff_, [this] { connect(); });
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
  on_change_();
}

void EngineLink::expect_answer(milliseconds within, const char* what) {
  loop_.cancel(answer_timer_);
  answer_timer_ = loop_.call_after(within, [this, what] { connection_.fail(late(std::string("sent no ") + what)); });
}

absl::Status EngineLink::take(const engine::Envelope& message) {
  silence_.heard(Silence::Side::kState);
  if (!hello_ && message.has_hello()) return take_hello(message.hello());
  if (hello_ && in_flight_ && message.has_applied()) return take_applied(message.applied());
  if (hello_ && in_flight_ && message.has_refused()) return take_refused(message.refused());
  return unexpected("sent a message that isn't expected now");
}

absl::Status EngineLink::take_hello(const engine::Hello& hello) {
  if (absl::Status s = check_hello(hello); !s.ok()) return s;
  if (hello.has_daemon_pid()) return driven_by_another(hello.daemon_pid());
  loop_.cancel(answer_timer_);
  hello_ = hello;
  trouble_.clear();
  spdlog::info("connected to the engine {} at {}", hello.engine_version(), path_);
  counter_ = std::max(counter_, hello.generation().counter());
  const auto has = hello.has_generation() ? std::optional(hello.generation()) : std::nullopt;
  engine_known_ = has && applied_generation_ && same(*has, *applied_generation_);
  applied_generation_ = has;
  engine::Envelope attach;
  attach.mutable_attach()->set_version(kContractVersion);
  attach.mutable_attach()->set_purpose(engine::Attach::PURPOSE_STATE);
  connection_.queue(frame_of(attach));
  // Another engine may have other limits and another opinion.
  refusals_.clear();
  need_full_ = true;
  stalled_ = false;
  send_pending();
  on_change_();
  return absl::OkStatus();
}

void EngineLink::update(const Delta& delta) {
  if (delta.empty()) return;
  gateway_dirty_ = gateway_dirty_ || delta.gateway;
  denied_dirty_ = denied_dirty_ || delta.denied;
  for (const EntryPtr& e : delta.changed) dirty_.insert(e->name);
  dirty_.insert(delta.removed.begin(), delta.removed.end());
  stalled_ = false;
  send_pending();
}

void EngineLink::send_pending() {
  if (!hello_ || in_flight_ || stalled_ || !pending()) return;
  Batch batch;
  batch.full = need_full_;
  fill_gateway(batch);
  fill_denied(batch);
  if (batch.full)
    fill_full(batch);
  else
    fill_delta(batch);
  need_full_ = gateway_dirty_ = denied_dirty_ = false;
  dirty_.clear();
  if (!batch.full && !batch.gateway && batch.entries.empty() && batch.removed.empty() && batch.denied.empty()) return;
  batch.generation.set_instance(instance_);
  batch.generation.set_counter(++counter_);
  write(batch);
  silence_.asked(Silence::Side::kState, patience_for(batch));
  in_flight_ = std::move(batch);
  expect_answer(kAnswerWithin, "answer to a commit");
  connection_.flush();
}

// What it may rightly take longer for is building tables and taking prefixes.
milliseconds EngineLink::patience_for(const Batch& batch) {
  uint64_t slots = 0;
  for (const auto& [name, entry] : batch.entries) slots += entry->table_size;
  uint64_t denied = 0;
  for (const auto& [part, frame] : batch.denied) denied += frame ? frame->size() : 0;
  return kPatience + milliseconds(slots / kSlotsInMillisecond + denied / kDeniedBytesInMillisecond);
}

void EngineLink::fill_gateway(Batch& batch) {
  if (!batch.full && !gateway_dirty_) return;
  const std::string& frame = compiler_.gateway_frame();
  if (auto lack = lack_of_room(compiler_.gateway(), hello_->limits()))
    refusals_[kGateway] = {frame, std::move(lack->field), std::move(lack->text), true};
  const auto refusal = refusals_.find(kGateway);
  if (refusal == refusals_.end() || refusal->second.frame != frame) {
    if (refusal != refusals_.end()) refusals_.erase(refusal);
    if (batch.full || frame != applied_gateway_) batch.gateway = frame;
  } else if (batch.full && !applied_gateway_.empty()) {
    batch.gateway = applied_gateway_;
  }
}

// All or nothing of them: what the engine has stays if they are too many.
void EngineLink::fill_denied(Batch& batch) {
  if (!batch.full && !denied_dirty_) return;
  const DeniedSources& wanted = compiler_.denied();
  const std::string version = std::to_string(wanted.version);
  if (auto lack = lack_of_room(wanted, hello_->limits()))
    refusals_[kDenied] = {version, std::move(lack->field), std::move(lack->text), true};
  const auto refusal = refusals_.find(kDenied);
  const bool refused = refusal != refusals_.end() && refusal->second.frame == version;
  if (!refused && refusal != refusals_.end()) refusals_.erase(refusal);
  batch.denied_version = version;
  const auto& frames = refused ? applied_denied_ : wanted.frames;
  for (const auto& [part, frame] : frames) {
    const auto applied = applied_denied_.find(part);
    if (batch.full || applied == applied_denied_.end() || *applied->second != *frame) batch.denied[part] = frame;
  }
  if (batch.full) return;
  for (const auto& [part, frame] : applied_denied_)
    if (!frames.contains(part)) batch.denied[part] = nullptr;
}

// False: it is refused, by the engine before or by us for lack of room.
bool EngineLink::add(Batch& batch, const EntryPtr& entry) {
  const auto refusal = refusals_.find(entry->name);
  if (refusal != refusals_.end() && !refusal->second.for_room && refusal->second.frame == entry->frame) return false;
  if (auto lack = budget_.lack_of_room(*entry, hello_->limits())) {
    refusals_[entry->name] = {entry->frame, std::move(lack->field), std::move(lack->text), true};
    return false;
  }
  if (refusal != refusals_.end()) refusals_.erase(refusal);
  budget_.add(*entry);
  batch.entries[entry->name] = entry;
  return true;
}

void EngineLink::fill_full(Batch& batch) {
  std::erase_if(refusals_, [this](const auto& r) {
    const auto& [name, refusal] = r;
    const bool whole_batch = refusal.frame.empty();  // over when one is applied
    return !whole_batch && name != kGateway && name != kDenied && !compiler_.entries().contains(name);
  });
  budget_ = Budget();
  for (const auto& [name, entry] : compiler_.entries()) {
    if (add(batch, entry)) continue;
    // What the engine took before is better than nothing.
    const auto old = engine_.find(name);
    if (old == engine_.end() || budget_.lack_of_room(*old->second, hello_->limits())) continue;
    budget_.add(*old->second);
    batch.entries[name] = old->second;
  }
}

void EngineLink::fill_delta(Batch& batch) {
  const auto& entries = compiler_.entries();
  for (const auto& [name, refusal] : refusals_)
    if (refusal.for_room && name != kGateway && name != kDenied) dirty_.insert(name);
  // Removals first: they make room.
  for (const std::string& name : dirty_) {
    if (entries.contains(name)) continue;
    refusals_.erase(name);
    const auto old = engine_.find(name);
    if (old == engine_.end()) continue;
    budget_.remove(*old->second);
    batch.removed.insert(name);
  }
  // What finds no room is looked at again while others make some.
  std::set<std::string> left = dirty_;
  for (size_t n = 0; n != left.size();) {
    n = left.size();
    std::erase_if(left, [&](const std::string& name) { return fill_entry(batch, name); });
  }
}

// False: there is no room for it so far.
bool EngineLink::fill_entry(Batch& batch, const std::string& name) {
  const auto entry = compiler_.entries().find(name);
  if (entry == compiler_.entries().end()) return true;
  const auto old = engine_.find(name);
  if (old != engine_.end() && old->second->frame == entry->second->frame) {
    old->second = entry->second;
    refusals_.erase(name);
    return true;
  }
  if (old != engine_.end()) budget_.remove(*old->second);
  if (add(batch, entry->second)) return true;
  if (old != engine_.end()) budget_.add(*old->second);
  return !refusals_.at(name).for_room;
}

void EngineLink::write(const Batch& batch) {
  engine::Envelope begin;
  begin.mutable_begin()->set_full(batch.full);
  connection_.queue(frame_of(begin));
  if (batch.gateway) connection_.queue(*batch.gateway);
  for (const std::string& name : batch.removed) {
    engine::Envelope removal;
    removal.mutable_removal()->set_service(name);
    connection_.queue(frame_of(removal));
  }
  for (const auto& [name, entry] : batch.entries) connection_.queue(entry->frame);
  for (const auto& [part, frame] : batch.denied) {
    engine::Envelope empty;
    empty.mutable_denied_sources()->set_part(part);
    connection_.queue(frame ? *frame : frame_of(empty));
  }
  engine::Envelope commit;
  *commit.mutable_commit()->mutable_generation() = batch.generation;
  connection_.queue(frame_of(commit));
}

absl::Status EngineLink::take_applied(const engine::Applied& applied) {
  Batch batch = std::move(*in_flight_);
  if (!same(applied.generation(), batch.generation)) return unexpected("answered a commit that isn't the last one");
  in_flight_.reset();
  loop_.cancel(answer_timer_);
  backoff_ = kFirstBackoff;
  applied_generation_ = batch.generation;
  engine_known_ = true;
  if (batch.gateway) applied_gateway_ = *batch.gateway;
  if (batch.full) engine_.clear();
  for (const std::string& name : batch.removed) engine_.erase(name);
  for (auto& [name, entry] : batch.entries) engine_[name] = std::move(entry);
  if (batch.full) applied_denied_.clear();
  for (auto& [part, frame] : batch.denied) {
    applied_denied_.erase(part);
    if (frame) applied_denied_[part] = std::move(frame);
  }
  std::erase_if(refusals_, [](const auto& r) { return r.second.frame.empty(); });  // a whole batch's, which is over
  send_pending();
  on_change_();
  return absl::OkStatus();
}

void EngineLink::undo(const Batch& batch) {
  if (batch.full) return;  // the next full one counts anew
  for (const auto& [name, entry] : batch.entries) {
    budget_.remove(*entry);
    if (const auto old = engine_.find(name); old != engine_.end()) budget_.add(*old->second);
  }
  for (const std::string& name : batch.removed) budget_.add(*engine_.at(name));
}

absl::Status EngineLink::take_refused(const engine::Refused& refused) {
  const Batch batch = std::move(*in_flight_);
  in_flight_.reset();
  loop_.cancel(answer_timer_);
  undo(batch);
  need_full_ = need_full_ || batch.full;
  gateway_dirty_ = gateway_dirty_ || batch.gateway.has_value();
  denied_dirty_ = denied_dirty_ || !batch.denied.empty();
  for (const auto& [name, entry] : batch.entries) dirty_.insert(name);
  dirty_.insert(batch.removed.begin(), batch.removed.end());
  const auto entry = batch.entries.find(refused.entry());
  if (entry != batch.entries.end()) {
    refusals_[refused.entry()] = {entry->second->frame, refused.field(), refused.why(), false, refused.later()};
    if (refused.later()) loop_.call_after(kLater, [this, name = refused.entry()] { try_again(name); });
    // Its last applied form is refused as well: nothing is left to fall back to.
    if (const auto old = engine_.find(refused.entry());
        old != engine_.end() && old->second == entry->second && batch.full)
      engine_.erase(old);
  } else if (refused.entry() == kGateway && batch.gateway) {
    refusals_[kGateway] = {*batch.gateway, refused.field(), refused.why(), false};
    if (applied_gateway_ == *batch.gateway) applied_gateway_.clear();
  } else if (refused.entry() == kDenied && !batch.denied.empty()) {
    refusals_[kDenied] = {batch.denied_version, refused.field(), refused.why(), false};
    if (batch.full) applied_denied_.clear();  // or what the engine doesn't take would be sent again and again
  } else {
    // Nothing to leave out: wait for a change rather than send the same again and again.
    refusals_[refused.entry()] = {{}, refused.field(), refused.why(), false};
    stalled_ = true;
  }
  send_pending();
  on_change_();
  return absl::OkStatus();
}

void EngineLink::try_again(const std::string& name) {
  const auto refusal = refusals_.find(name);
  if (refusal == refusals_.end() || !refusal->second.later) return;
  refusals_.erase(refusal);
  dirty_.insert(name);
  send_pending();
}

engine::Generation EngineLink::desired() const {
  if (hello_ && applied_generation_ && !in_flight_ && !pending() && refusals_.empty()) return *applied_generation_;
  engine::Generation g;
  g.set_instance(instance_);
  g.set_counter(counter_ + (pending() ? 1 : 0));
  return g;
}

bool EngineLink::has_taken(uint64_t counter) const {
  if (!hello_) return false;
  return (!in_flight_ && !pending()) || (applied_generation_ && applied_generation_->instance() == instance_ &&
                                         applied_generation_->counter() >= counter);
}

EngineLink::EntryState EngineLink::state_of(const Entry& entry) const {
  if (const auto r = refusals_.find(entry.name); r != refusals_.end() && r->second.frame == entry.frame)
    return EntryState::kRefused;
  // Who knows what becomes of an engine that is gone, and what another one has.
  if (!hello_ || !engine_known_) return EntryState::kPending;
  const auto it = engine_.find(entry.name);
  const bool same = it != engine_.end() && (it->second.get() == &entry || it->second->frame == entry.frame);
  return same ? EntryState::kApplied : EntryState::kPending;
}

bool EngineLink::denied_applied() const {
  const auto same_part = [](const auto& a, const auto& b) {
    return a.first == b.first && (a.second == b.second || *a.second == *b.second);
  };
  return hello_ && engine_known_ && std::ranges::equal(applied_denied_, compiler_.denied().frames, same_part);
}

}  // namespace guideway::mgmt
