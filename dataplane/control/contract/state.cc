#include "dataplane/control/contract/state.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "dataplane/control/contract/framing.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

// The file begins so: what a disk or an editor has changed is found out, also where it still is a message.
std::string seal(std::string_view messages) {
  uint64_t sum = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : messages) sum = (sum ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return absl::StrCat("guideway snapshot 1 ", absl::Hex(sum, absl::kZeroPad16), "\n");
}

}  // namespace

absl::StatusOr<std::optional<engine::Envelope>> ContractState::take(const engine::Envelope& message) {
  if (message.has_begin()) {
    open_.emplace();
    open_->batch.full = message.begin().full();
    return std::nullopt;
  }
  if (!open_) return absl::InvalidArgumentError("an entry or a commit without a Begin");
  const auto keep = [this](auto decoded, auto put) {
    if (auto* r = std::get_if<Refusal>(&decoded)) {
      if (!open_->refusal) open_->refusal = std::move(*r);
    } else {
      put(std::get<0>(std::move(decoded)));
    }
  };
  Batch& batch = open_->batch;
  if (message.has_gateway()) {
    keep(decode(message.gateway()), [&](GatewaySpec g) { batch.gateway = std::move(g); });
    open_->gateway = message.gateway();
  } else if (message.has_service()) {
    keep(decode(message.service()), [&](ServiceSpec s) { batch.services.push_back(std::move(s)); });
    open_->services[message.service().name()] = message.service();
  } else if (message.has_denied_sources()) {
    keep(decode(message.denied_sources()), [&](DeniedPart p) { batch.denied.push_back(std::move(p)); });
    open_->parts[message.denied_sources().part()] = message.denied_sources();
  } else if (message.has_removal()) {
    batch.removals.push_back(message.removal().service());
  } else if (message.has_commit()) {
    return commit(message.commit().generation());
  } else {
    return absl::InvalidArgumentError("a message that doesn't belong into a batch");
  }
  return std::nullopt;
}

engine::Envelope ContractState::commit(const engine::Generation& generation) {
  Open open = std::move(*open_);
  open_.reset();
  const bool full = open.batch.full;
  const std::vector<std::string> removals = open.batch.removals;
  std::optional<Refusal> refusal = open.refusal ? open.refusal : apply_(std::move(open.batch));
  engine::Envelope answer;
  if (refusal) {
    auto* r = answer.mutable_refused();
    *r->mutable_generation() = generation;
    r->set_entry(refusal->entry);
    r->set_field(refusal->field);
    r->set_why(refusal->why);
    r->set_later(refusal->later);
    return answer;
  }
  if (full) services_.clear();
  for (const std::string& name : removals) services_.erase(name);
  for (auto& [name, service] : open.services) services_[name] = std::move(service);
  keep_parts(full, std::move(open.parts));
  if (open.gateway) gateway_ = std::move(open.gateway);
  generation_ = generation;
  unsaved_ = true;
  *answer.mutable_applied()->mutable_generation() = generation;
  return answer;
}

void ContractState::keep_parts(bool full, std::map<uint32_t, engine::DeniedSources> parts) {
  if (full)  // what an earlier engine left goes as well
    for (uint32_t part = 0; part < net::kPrefixParts; ++part) parts.try_emplace(part);
  for (auto& [part, sources] : parts) {
    const bool empty = sources.ipv4().empty() && sources.ipv6().empty();
    const auto old = parts_.find(part);
    std::error_code ignored;
    if (old == parts_.end() && empty && !std::filesystem::exists(part_file(part), ignored)) continue;
    if (old != parts_.end() && old->second.ipv4() == sources.ipv4() && old->second.ipv6() == sources.ipv6()) continue;
    if (empty)
      parts_.erase(part);
    else
      parts_[part] = std::move(sources);
    unsaved_parts_.insert(part);
  }
}

namespace {

absl::Status not_saved(const std::string& doing) {
  return log::failure(absl::StatusCode::kInternal, absl::StrCat("cannot ", doing, ": ", std::strerror(errno)),
                      "see that there is room, and that the engine may write there: it is tried again, and until then "
                      "a restart begins with the state before");
}

absl::Status replace(const std::string& path, const std::string& messages) {
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out << seal(messages) << messages;
  out.close();
  if (out && std::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return not_saved(absl::StrCat("save the state to ", path));
}

}  // namespace

absl::Status ContractState::save(size_t parts) {
  for (; parts > 0 && !unsaved_parts_.empty(); --parts) {
    if (absl::Status s = save_part(*unsaved_parts_.begin()); !s.ok()) return s;
    unsaved_parts_.erase(unsaved_parts_.begin());
  }
  if (!unsaved_) return absl::OkStatus();
  std::string bytes;
  engine::Envelope e;
  e.mutable_begin()->set_full(true);
  append_frame(bytes, e);
  if (gateway_) {
    *e.mutable_gateway() = *gateway_;
    append_frame(bytes, e);
  }
  for (const auto& [name, service] : services_) {
    *e.mutable_service() = service;
    append_frame(bytes, e);
  }
  *e.mutable_commit()->mutable_generation() = generation_.value_or(engine::Generation());
  append_frame(bytes, e);
  if (absl::Status s = replace(file(), bytes); !s.ok()) return s;
  unsaved_ = false;
  return absl::OkStatus();
}

// As a batch that comes after the others'.
absl::Status ContractState::save_part(uint32_t part) const {
  const auto sources = parts_.find(part);
  if (sources == parts_.end()) {
    if (::unlink(part_file(part).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    return not_saved(absl::StrCat("remove ", part_file(part)));
  }
  std::string bytes;
  engine::Envelope e;
  e.mutable_begin()->set_full(false);
  append_frame(bytes, e);
  *e.mutable_denied_sources() = sources->second;
  append_frame(bytes, e);
  *e.mutable_commit()->mutable_generation() = generation_.value_or(engine::Generation());
  append_frame(bytes, e);
  return replace(part_file(part), bytes);
}

absl::Status ContractState::load() {
  absl::Status s = load_file(file());
  if (!s.ok()) return s;
  const auto generation = generation_;
  s = load_parts();
  generation_ = generation;
  unsaved_ = false;
  return s;
}

absl::Status ContractState::load_parts() {
  absl::Status first;
  for (uint32_t part = 0; part < net::kPrefixParts; ++part) {
    const absl::Status s = load_file(part_file(part));
    if (s.ok())
      unsaved_parts_.erase(part);
    else if (!absl::IsNotFound(s))
      first.Update(s);
  }
  return first;
}

absl::Status ContractState::load_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return log::failure(absl::StatusCode::kNotFound, absl::StrCat("no saved state at ", path), "guidewayd brings one");
  std::stringstream bytes;
  bytes << in.rdbuf();
  const absl::Status s = load_from(bytes.str());
  if (s.ok()) return s;
  open_.reset();
  // Whole, but there is no room for it now: nothing is wrong with the file.
  if (absl::IsResourceExhausted(s))
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("the saved state isn't in force (", s.message(), ")"),
                        "the daemon's is awaited: see that guidewayd runs and is connected");
  const std::string aside = path + ".damaged";
  std::rename(path.c_str(), aside.c_str());
  return log::failure(absl::StatusCode::kDataLoss,
                      absl::StrCat("the saved state is damaged (", s.message(), "), and now is ", aside),
                      "the daemon's is awaited: see that guidewayd runs and is connected; the file isn't needed");
}

absl::Status ContractState::load_from(const std::string& file) {
  const size_t sealed = std::min(file.size(), seal("").size());
  const std::string bytes = file.substr(sealed);
  if (file.substr(0, sealed) != seal(bytes)) return absl::DataLossError("its checksum is wrong");
  for (size_t at = 0; at < bytes.size();) {
    auto message = take_frame(bytes, &at);
    if (!message.ok()) return message.status();
    if (!*message) return absl::DataLossError("it ends in the middle of a message");
    auto answer = take(**message);
    if (!answer.ok()) return answer.status();
    if (!*answer) continue;
    if ((*answer)->has_refused()) {
      const engine::Refused& r = (*answer)->refused();
      return r.later() ? absl::ResourceExhaustedError(r.why()) : absl::DataLossError(r.why());
    }
    return absl::OkStatus();
  }
  return absl::DataLossError("it has no commit");
}

}  // namespace guideway::control
