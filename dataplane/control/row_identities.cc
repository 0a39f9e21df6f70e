#include "dataplane/control/row_identities.h"

#include <cstring>

#include "net/flow_hash.h"

namespace guideway::control {

namespace {

constexpr char kMagic[16] = "guideway-rows-1";
constexpr uint32_t kStep = 4'096;  // rows that are provided at once: 128 kB

enum Kind : uint8_t { kFree, kPresent, kRemoved, kReal };

}  // namespace

absl::StatusOr<RowIdentities> RowIdentities::open(TableDirectory* directory) {
  constexpr size_t kBytes = sizeof(Head) + size_t{kServices + kReals} * sizeof(Row);
  bool kept = false;
  RowIdentities r;
  r.provided_.resize((kServices + kReals) / kStep);
  if (directory != nullptr) {
    auto memory = directory->map_sparse("rows", kBytes, &kept);
    r.whole_ = memory.ok();
    if (memory.ok()) {
      r.memory_ = *std::move(memory);
      r.whole_ = r.memory_.populate(0, sizeof(Head));
    }
  }
  if (directory == nullptr || !r.whole_) {
    auto memory = reserve_memory(kBytes, "rows");
    if (!memory.ok()) return memory.status();
    r.memory_ = *std::move(memory);
    kept = false;
  }
  if (kept && std::memcmp(r.head().magic, kMagic, sizeof kMagic) == 0) return r;
  if (kept) directory->set_aside("rows", "its header is damaged, or another version's");
  r.head() = {};
  std::memcpy(r.head().magic, kMagic, sizeof kMagic);
  return r;
}

uint64_t RowIdentities::check_of(const Row& row, uint32_t at) {
  uint64_t words[3];
  std::memcpy(words, &row, sizeof words);
  return gw_mix(gw_mix(gw_mix(words[0] ^ at) ^ words[1]) ^ words[2]) | 1;  // never that of zeros
}

std::optional<RowIdentities::Row> RowIdentities::row_at(uint32_t at) const {
  const Row& row = rows()[at];
  if (row.kind == kFree || row.check != check_of(row, at)) return std::nullopt;
  return row;
}

std::optional<RowIdentities::Service> RowIdentities::service_at(uint32_t i) const {
  const auto row = row_at(i);
  if (!row || (row->kind != kPresent && row->kind != kRemoved)) return std::nullopt;
  return Service{.vip = {row->address, net::Be16{row->port}, row->protocol, 0},
                 .epoch = row->number,
                 .present = row->kind == kPresent};
}

std::optional<RowIdentities::Real> RowIdentities::real_at(uint32_t i) const {
  const auto row = row_at(kServices + i);
  if (!row || row->kind != kReal) return std::nullopt;
  return Real{.address = row->address, .port = row->port, .service = static_cast<path::ServiceIndex>(row->number)};
}

bool RowIdentities::provide(uint32_t at) {
  const uint32_t step = at / kStep;
  if (provided_[step]) return true;
  const bool there = memory_.populate(sizeof(Head) + size_t{step} * kStep * sizeof(Row), kStep * sizeof(Row));
  provided_[step] = there;
  whole_ &= there;
  return there;
}

bool RowIdentities::write(uint32_t at, Row row) {
  if (!provide(at)) return false;
  row.check = check_of(row, at);
  rows()[at] = row;
  return true;
}

void RowIdentities::set(path::ServiceIndex i, const Service& s) {
  const auto n = static_cast<uint32_t>(i);
  if (n >= kServices) return;
  const bool written = write(n, {.address = s.vip.address,
                                 .port = s.vip.port.host(),
                                 .protocol = s.vip.protocol,
                                 .kind = s.present ? kPresent : kRemoved,
                                 .number = s.epoch});
  if (written) head().services = std::max(head().services, n + 1);
}

void RowIdentities::set(path::RealIndex i, const Real& r) {
  const auto n = static_cast<uint32_t>(i);
  if (n >= kReals) return;
  const bool written = write(
      kServices + n,
      {.address = r.address, .port = r.port, .protocol = 0, .kind = kReal, .number = static_cast<uint32_t>(r.service)});
  if (written) head().reals = std::max(head().reals, n + 1);
}

void RowIdentities::clear(path::ServiceIndex i) {
  if (const auto n = static_cast<uint32_t>(i); n < head().services && n < kServices) write(n, {});
}

void RowIdentities::clear(path::RealIndex i) {
  if (const auto n = static_cast<uint32_t>(i); n < head().reals && n < kReals) write(kServices + n, {});
}

}  // namespace guideway::control
