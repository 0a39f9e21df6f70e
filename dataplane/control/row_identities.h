// Which service and which real each row stands for, in memory that outlives the engine: entries of connection tables
// name rows, and the next engine gives the same rows to the same services and reals.
#pragma once

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/control/table_directory.h"
#include "dataplane/path/index.h"
#include "dataplane/path/vip_table.h"
#include "lb/selection.h"

namespace guideway::control {

class RowIdentities {
 public:
  struct Service {
    path::VipKey vip;
    uint32_t epoch = 0;
    bool present = false;  // or removed, and connections may still name it
  };
  struct Real {
    net::IpAddress address;
    uint16_t port = 0;
    path::ServiceIndex service = path::kNone<path::ServiceIndex>;
  };
  static constexpr uint32_t kServices = 1U << 16;  // those beyond aren't kept
  static constexpr uint32_t kReals = 1U << 20;

  // Without a directory they end with the engine.
  static absl::StatusOr<RowIdentities> open(TableDirectory* directory);

  // Before anything names the row.
  void set(path::ServiceIndex i, const Service& service);
  void set(path::RealIndex i, const Real& real);
  // Once nothing does.
  void clear(path::ServiceIndex i);
  void clear(path::RealIndex i);

  // What an earlier engine left; what is damaged there isn't seen.
  template <typename Visit>
  void for_each_service(Visit visit) const {
    for (uint32_t i = 0; i < std::min(head().services, kServices); ++i)
      if (const auto s = service_at(i)) visit(static_cast<path::ServiceIndex>(i), *s);
  }
  template <typename Visit>
  void for_each_real(Visit visit) const {
    for (uint32_t i = 0; i < std::min(head().reals, kReals); ++i)
      if (const auto r = real_at(i)) visit(static_cast<path::RealIndex>(i), *r);
  }
  // False once there was no room for a row: connections that name it will be lost with this engine.
  bool whole() const { return whole_; }

 private:
  // As it stands in memory: 32 bytes.
  struct Row {
    net::IpAddress address;
    uint16_t port = 0;
    uint8_t protocol = 0;
    uint8_t kind = 0;     // 0: free
    uint32_t number = 0;  // a service's epoch, or a real's service
    uint64_t check = 0;
  };
  static_assert(sizeof(Row) == 32);
  struct Head {
    char magic[16];
    uint32_t services;  // up to the last that was ever set
    uint32_t reals;
    uint64_t zero;
  };
  static_assert(sizeof(Head) == sizeof(Row));

  static uint64_t check_of(const Row& row, uint32_t at);
  std::optional<Row> row_at(uint32_t at) const;
  std::optional<Service> service_at(uint32_t i) const;
  std::optional<Real> real_at(uint32_t i) const;
  bool write(uint32_t at, Row row);
  bool provide(uint32_t at);
  Head& head() const { return *static_cast<Head*>(memory_.base()); }
  Row* rows() const { return static_cast<Row*>(memory_.base()) + 1; }  // services, then reals

  Mapping memory_;
  std::vector<bool> provided_;  // by step
  bool whole_ = true;
};

}  // namespace guideway::control
