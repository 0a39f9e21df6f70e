// Desired state and the kernel's routes → the tables that workers read. Belongs to one control thread. A batch is taken
// whole or not at all; what it doesn't touch isn't built, copied or judged anew.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dataplane/control/desired.h"
#include "dataplane/control/engine_limits.h"
#include "dataplane/control/exceptions.h"
#include "dataplane/control/kernel_mirror.h"
#include "dataplane/control/maglev_tables.h"
#include "dataplane/control/next_hops.h"
#include "dataplane/control/reclaim.h"
#include "dataplane/control/row_identities.h"
#include "dataplane/control/rows.h"
#include "dataplane/control/tally.h"

namespace guideway::control {

class Publisher {
 public:
  struct Setup {
    unsigned workers = 1;
    Limits limits;
    const Rib* rib = nullptr;
    Tally* tally = nullptr;
    std::vector<PortFacts> ports;
    NextHops::Keep keep;
    KernelMirror* mirror = nullptr;       // where programs are to go by the same tables
    TableDirectory* directory = nullptr;  // where rows' identities outlive us
  };

  static absl::StatusOr<std::unique_ptr<Publisher>> create(Setup setup, Reclaimer& reclaimer);
  ~Publisher();

  // In force when this returns, or refused.
  std::optional<Refusal> apply(Batch batch);
  // After the kernel's routes, addresses or neighbours changed.
  void routes_changed(const Changes& changes);
  // Lookup structure for destinations that are no reals.
  void set_fib(const path::Fib* fib);

  const std::atomic<const path::Tables*>& tables() const { return current_; }
  NextHops& next_hops() { return next_hops_; }
  const NextHops& next_hops() const { return next_hops_; }

  const std::map<std::string, ServiceSpec>& services() const { return desired_; }
  const GatewaySpec& gateway() const { return gateway_; }
  uint32_t reals() const { return desired_reals_; }
  // With those removed that connections may still name.
  uint32_t real_rows() const { return reals_.used(); }
  const MaglevTables& maglev() const { return *maglev_; }
  ExceptionTable& exceptions() { return exceptions_; }
  // What workers tell the kernel of connections that are to be exceptions; null if there is none that balances.
  path::Recent* recent() { return mirror_ != nullptr ? &mirror_->recent() : nullptr; }
  // Counts changes of VIPs, SNAT and own addresses, and of the gateway's configuration: XDP goes by them.
  uint64_t steering_version() const { return steering_version_; }

  // What is to be answered for on the link; the version counts its changes.
  const std::set<net::IpAddress>& announced() const { return announced_; }
  uint64_t announced_version() const { return announced_version_; }

  // For counters: the first service of that name or a later one, with its rows, and what is gone for good.
  struct Counted {
    std::string name;
    std::vector<std::pair<lb::Real, path::RealIndex>> reals;  // those removed that connections still name included
    PerWorker removed;
  };
  std::optional<Counted> counted_from(const std::string& name) const;

  // The service of that VIP, and its real of that address: one that is gone too, if connections may still name it.
  std::optional<std::pair<path::ServiceIndex, path::RealIndex>> find_real(path::VipKey vip,
                                                                          const net::IpAddress& real) const;

  // For lists of connections: what they name. A service that is gone has no name.
  const path::Real& real(path::RealIndex i) const { return reals_[i]; }
  std::string name_of(path::ServiceIndex i) const;
  std::unordered_set<path::ServiceIndex> named_with(const std::string& prefix) const;

  // For the mirror: rows that the next publication changes, and what a service's say.
  const std::vector<path::ServiceIndex>& edited_services() const { return services_.edited(); }
  const std::vector<path::RealIndex>& edited_reals() const { return reals_.edited(); }
  const path::Service& service(path::ServiceIndex i) const { return services_[i]; }
  const std::array<path::AddressRange, 2>& encap_sources() const { return tables_->encap_sources; }
  // The addresses that only we send from.
  const std::set<net::IpAddress>& own_addresses() const { return own_; }
  struct Served {
    path::VipKey vip;
    const BuiltTable& table;
    const BuiltTable* former;  // as former_table()
    uint32_t rate_limit;       // packets a second; 0: none
  };
  Served served(path::ServiceIndex present) const;

  // False once connections of some rows can't outlive us.
  bool identities_whole() const { return identities_.whole(); }

  // For the sweep.
  // True once tables were rebuilt, or rows removed, since the last call.
  bool take_sweep_wish() { return std::exchange(sweep_wish_, false); }
  const path::IdleTimeouts& idle_timeouts() const { return tables_->idle_timeouts; }
  bool has_affinity(path::ServiceIndex service) const { return services_[service].affinity != 0; }
  // The real that Maglev alone picks; none without a table.
  path::RealIndex maglev_pick(path::ServiceIndex service, uint64_t flow_hash) const;
  path::RealIndex maglev_pick(const BuiltTable& table, uint64_t flow_hash) const;
  // The table that the kernel goes by until kernel_may_follow(), if that isn't the one that workers have.
  const BuiltTable* former_table(path::ServiceIndex service) const;
  // Counts changes of tables. Once all connections that one of them or an earlier one has moved are exceptions, the
  // kernel goes by what it has changed.
  uint64_t table_changes() const { return table_changes_; }
  void kernel_may_follow(uint64_t change);
  // Sets the slots' `moved` bits to just those of `flows`, by service.
  void set_moved(const std::unordered_map<path::ServiceIndex, std::vector<uint64_t>>& flow_hashes);
  // Rows removed before the sweep began and seen by it nowhere may be used again; those of reals that came back
  // meanwhile, or came back and went once more, are left as they are.
  struct Retired {
    std::map<path::RealIndex, uint64_t> reals;  // and the how-manieth removal theirs was
    std::map<path::ServiceIndex, uint64_t> services;
  };
  const Retired& retired() const { return retired_; }
  void reuse(const Retired& unseen);

  void publish();

 private:
  using RealKey = std::pair<net::IpAddress, uint16_t>;
  // A service of a batch, and what its slots will mean.
  struct Change {
    const ServiceSpec* spec;
    std::vector<uint32_t> selected;
    lb::TableInput input;          // until the table is built
    MaglevTables::TableRef table;  // none without a backend
  };
  struct ServiceRecord {
    path::ServiceIndex index;
    path::VipKey vip;
    bool announced = false;  // asked for, and it has a backend
    BuiltTable built;
    std::map<RealKey, path::RealIndex> reals;
    std::map<RealKey, path::RealIndex> gone;  // removed; connections may still name them
    std::shared_ptr<const std::vector<lb::SourceRange>> ranges;
    PerWorker removed;  // the sum of reals that are gone for good
  };
  struct RealRecord {
    lb::Real real;
    Resolution resolution;
    net::IpAddress encap_source;  // as the kernel prefers it; zero where it isn't encapsulated or the source configured
    bool gone = false;
  };

  Publisher(Setup setup, Reclaimer& reclaimer, std::unique_ptr<MaglevTables> maglev, ExceptionTable exceptions,
            RowIdentities identities);
  void restore();

  bool reseeds(const Batch& batch) const;
  std::optional<Refusal> settle(Batch& batch) const;
  std::optional<Refusal> check_vips(const Batch& batch) const;
  std::vector<Change> changes_of(const Batch& batch) const;
  std::optional<Refusal> check_room(const Batch& batch, const std::vector<Change>& changes) const;
  std::optional<Refusal> check_real_rows(const Batch& batch) const;
  std::optional<Refusal> build_tables(const Batch& batch, std::vector<Change>& changes);
  void apply_gateway(const GatewaySpec& spec);
  void apply_service(Change change);
  void allocate_service(ServiceRecord& record, const path::VipKey& vip);
  void disown(const path::VipKey& vip, const std::string& service);
  void remove_service(const std::string& name);
  void update_reals(ServiceRecord& record, const ServiceSpec& spec);
  void update_ranges(ServiceRecord& record, const ServiceSpec& spec);
  void update_table(ServiceRecord& record, Change change);
  void keep_former(path::ServiceIndex service, const BuiltTable& before, const BuiltTable& now);
  void drop_former(path::ServiceIndex service);
  uint64_t former_slots() const;
  void change_affinity(const ServiceRecord& record);
  path::Tick longest_affinity() const;
  void mark_moved(const MaglevTables::Table& table);
  void forget_exceptions();
  path::RealIndex real_of(ServiceRecord& record, const lb::Real& real);
  path::RealIndex add_real(const lb::Real& real, path::ServiceIndex service);
  void fill_real(path::RealIndex i, const lb::Real& real, path::ServiceIndex service);
  bool kernel_names(path::RealIndex i) const;
  void release_real(path::RealIndex i);
  void write_real(path::RealIndex i);
  void resolve_real(path::RealIndex i);
  void encapsulate_from(RealRecord& record, const net::IpAddress& source);
  std::set<net::IpAddress> find_own_addresses() const;
  void rebuild_vips();
  void rebuild_addresses();

  Limits limits_;
  KernelMirror* mirror_;
  const Rib& rib_;
  Tally& tally_;
  Reclaimer& reclaimer_;
  std::unique_ptr<MaglevTables> maglev_;
  ExceptionTable exceptions_;
  NextHops next_hops_;
  RowStore<path::ServiceIndex, path::Service> services_;
  RowStore<path::RealIndex, path::Real> reals_;
  RowIdentities identities_;
  // Of an earlier engine: rows of services that no state has named yet, and their reals.
  struct Left {
    path::VipKey vip;
    std::map<RealKey, path::RealIndex> reals;
  };
  std::map<path::ServiceIndex, Left> left_;
  std::map<path::VipKey, path::ServiceIndex> left_vips_;

  std::map<std::string, ServiceSpec> desired_;
  uint32_t desired_reals_ = 0;  // of all of them
  GatewaySpec gateway_;
  std::map<std::string, ServiceRecord> records_;
  std::unordered_map<path::ServiceIndex, std::map<std::string, ServiceRecord>::iterator> by_index_;
  std::unordered_map<path::RealIndex, RealRecord> real_records_;
  std::map<net::IpAddress, uint32_t> encap_sources_;  // of so many reals
  std::map<path::VipKey, std::string> vip_owner_;

  std::unique_ptr<path::Tables> tables_;  // being prepared
  std::shared_ptr<void> vips_;
  bool vips_changed_ = true;
  std::shared_ptr<void> addresses_;
  bool addresses_changed_ = true;
  std::set<net::IpAddress> own_;
  std::set<net::IpAddress> announced_;
  uint64_t announced_version_ = 0;
  uint64_t steering_version_ = 0;
  bool affinity_changed_ = false;
  bool sweep_wish_ = false;
  std::map<uint32_t, uint32_t> marked_;  // offset → size of the tables that have `moved` bits
  struct Former {
    BuiltTable table;
    uint64_t change;  // the last one since
  };
  std::unordered_map<path::ServiceIndex, Former> formers_;
  uint64_t table_changes_ = 0;
  Retired retired_;
  uint64_t removals_ = 0;
  unsigned workers_;
  std::set<int> ports_;  // interfaces
  std::atomic<const path::Tables*> current_{nullptr};
};

}  // namespace guideway::control
