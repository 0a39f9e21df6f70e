// The maps that the programs of all interfaces steer and balance by. Each engine makes its own: what an earlier one
// left goes on by the tables of its time, until the program is replaced.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <span>

#include "xdp/hash_lines.h"
#include "xdp/shared.h"
#include "xdp/shared_array.h"
#include "xdp/steering_map.h"
#include "xdp/vip_lines.h"

struct bpf_map;
struct steer_bpf;

namespace guideway::xdp {

using AddressEntry = MapEntry<gw_address, gw_address_value>;

// Frees what libbpf has opened and loaded.
struct Unload {
  void operator()(steer_bpf* object) const;
};
using Object = std::unique_ptr<steer_bpf, Unload>;

// Not for several threads at once.
class KernelTables {
 public:
  static absl::StatusOr<std::unique_ptr<KernelTables>> create();

  // A VIP, steered from now on, and what its packets are balanced by, in a row of `services` that none goes by; or no
  // longer by that row, and if it has no other, not at all.
  absl::Status put_vip(uint32_t row, const gw_vip_key& vip, const gw_service& service);
  void remove_vip(uint32_t row) { vips_.erase(row); }
  // A connection off its slot, and the index of its real; or no longer.
  absl::Status put_exception(const gw_flow_key& connection, uint32_t real);
  void remove_exception(const gw_flow_key& connection);
  // All addresses that are steered. Writes only what differs; after an error everything is as it was.
  absl::Status set_addresses(std::span<const AddressEntry> addresses);
  absl::Status set(const gw_settings& settings);
  // A prefix whose sources are dropped, as gw_denied_hash tells it; or no longer. The lengths that are looked for must
  // say its seed. ResourceExhausted: too many stand where it should.
  absl::Status deny(uint64_t hash);
  void admit(uint64_t hash) { denied_.erase(hash); }
  absl::Status set(const gw_filter& filter);
  // Full from now on.
  absl::Status set_bucket(uint32_t bucket, const gw_rate& rate);
  absl::StatusOr<gw_filter> filter() const;

  // Rows, by the indices that others name them by.
  SharedArray services;
  SharedArray slots;
  SharedArray ordinals;
  SharedArray ranges;
  SharedArray reals;
  SharedArray routes;
  SharedArray next_hops;
  // What workers note of connections: all of its lines are there.
  SharedArray recent;

  // What stands in `vips_`: all of its lines are there.
  SharedArray vips;
  // What stands in `denied_`; no line before the first prefix.
  SharedArray denied;

  // Lets a program that is yet to be loaded use these maps: all but those that are an interface's own.
  absl::Status lend(steer_bpf* program) const;

 private:
  KernelTables() = default;
  absl::Status set(const gw_ours& ours);
  Object object_;  // maps alone
  SteeringMap<gw_address, gw_address_value> addresses_;
  gw_ours ours_{};
  VipLines vips_;
  HashLines denied_;
  bool denied_ready_ = false;
};

}  // namespace guideway::xdp
