// The model to messages of the contract, incrementally: a change compiles the services that it touches, and those that
// stand in its way or wait for what it held.
//
// Each service has a latest form and, perhaps, a last good one. The form in force is the latest if nothing contradicts
// it, else the last good one, else the latest without what is contradicted. Who wins a contradiction is told by
// precedence, never by the order of arrival, so that all gateways with the same objects come to the same result. An
// SNAT address goes before every VIP: else one Service could end nat for all.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mgmt/compile/build_entry.h"
#include "mgmt/compile/entry.h"
#include "mgmt/model/store.h"

namespace guideway::mgmt {

// The prefixes that all SourceFilters deny, each once, in the parts that the contract has.
struct DeniedSources {
  std::map<uint32_t, std::shared_ptr<const std::string>> frames;  // of those that aren't empty
  uint64_t prefixes = 0;
  uint32_t lengths_ipv4 = 0;  // different ones
  uint32_t lengths_ipv6 = 0;
  uint64_t version = 0;  // counts the changes
};

// What the engine must be told, and what must be kept.
struct Delta {
  bool gateway = false;
  bool denied = false;
  std::vector<EntryPtr> changed;
  std::vector<std::string> removed;  // by Entry::name
  std::set<ObjectKey> reformed;      // whose form_of() or mode_of() is another: not for the engine
  bool empty() const { return !gateway && !denied && changed.empty() && removed.empty(); }
};

class Compiler {
 public:
  explicit Compiler(Store& store);

  // Compiles anew what these objects touch.
  Delta update(std::span<const ObjectKey> changed);

  // engine.Gateway, as a frame.
  const std::string& gateway_frame() const { return gateway_frame_; }
  const GatewayConfig& gateway() const { return gateway_; }
  ObjectPtr gateway_object() const { return gateway_object_; }
  const std::map<std::string, EntryPtr>& entries() const { return entries_; }
  const DeniedSources& denied() const { return denied_; }
  // VIPs that are asked for and not in force, without their backends.
  std::vector<EntryPtr> refused() const;
  std::vector<Problem> problems() const;
  // What a Service's wish came to in its form in force; nothing for one without.
  std::optional<ForwardingMode> mode_of(const ObjectKey& service) const;
  // Likewise in its latest form, were that in force.
  std::optional<ForwardingMode> asked_mode_of(const ObjectKey& service) const;
  // Services and EndpointSlices that serve in their last good form, as something contradicts the latest.
  std::vector<ObjectKey> former() const;
  // The Services that an override concerns: those in force that have the backend.
  std::vector<ObjectKey> served_by(const OverrideKey& override) const;
  // The form in force, for keeping; the latest if there is none.
  ObjectPtr form_of(const ObjectKey& key) const;

 private:
  struct Unit {  // one Service
    Precedence precedence;
    ObjectPtr form;  // in force
    ForwardingMode mode = ForwardingMode::kNat;
    std::optional<ForwardingMode> good_mode;  // of the last good form
    std::vector<EntryPtr> entries;
    std::vector<EntryPtr> refused;
    std::vector<VipKey> interests;  // that its latest or last good form would hold
    std::vector<Problem> problems;
    std::vector<ObjectKey> former;  // it and its slices, where their last good form serves
  };
  struct Attempt {
    std::vector<EntryPtr> entries;
    std::vector<EntryPtr> refused;
    std::vector<Problem> problems;
    bool contradicted = false;
  };
  using ServiceName = std::pair<std::string, std::string>;

  void compile_all(const std::set<ObjectKey>& services);
  void tell_difference(Delta& delta);
  bool update_gateway();
  bool update_denied();
  bool update_source_rate();
  void index_slice(const ObjectKey& key, std::set<ObjectKey>& services);
  void declare_interests(const ObjectKey& key, std::set<Precedence>& dirty);
  void compile(const ObjectKey& key, std::set<Precedence>& dirty);
  Attempt attempt(const ObjectKey& key, const ObjectPtr& form, ForwardingMode mode, const Precedence& precedence,
                  bool keep_slices);
  std::optional<Problem> contradiction(const ObjectKey& key, const Object& form, const Vip& vip,
                                       const ServicePort& port, ForwardingMode mode,
                                       const Precedence& precedence) const;
  Problem too_large(const Object& form, const Entry& entry, const Entry& without_backends) const;
  BuiltEntry build(const ObjectKey& key, const ObjectPtr& form, const Vip& vip, const ServicePort& port,
                   ForwardingMode mode, std::vector<Problem>& problems);
  void reform(const ObjectKey& key, Unit& unit, const ObjectPtr& form, ForwardingMode mode);
  void accept(const ObjectKey& key, const ObjectPtr& form);
  void install(const ObjectKey& key, Unit& unit, Attempt attempt, std::set<Precedence>& dirty);
  void forget(const ObjectKey& key, std::set<Precedence>& dirty);
  ForwardingMode resolve(ModeWish wish) const;
  bool has_snat(bool v4) const;
  Problem problem(const Object& object, uint32_t line, std::string field, std::string text) const;

  Store& store_;
  GatewayConfig gateway_;
  ObjectPtr gateway_object_;
  std::optional<SourceRate> source_rate_;
  std::string gateway_frame_;
  std::vector<Problem> gateway_problems_;
  std::vector<Problem> filter_problems_;
  DeniedSources denied_;
  std::map<ObjectKey, Unit> units_;
  std::map<VipKey, std::set<Precedence>> interests_;
  std::map<VipKey, ObjectKey> holders_;
  std::map<ServiceName, std::set<ObjectKey>> slices_;
  std::map<ObjectKey, ServiceName> service_of_slice_;
  std::map<std::string, EntryPtr> entries_;
  std::map<std::string, EntryPtr> touched_;  // by the update that runs: what each was before, null if it wasn't there
  std::set<ObjectKey> reformed_;             // likewise
};

// The seed of a group that names none: the same at every gateway, whatever its version.
uint64_t seed_of_group(std::string_view group);
// With the defaults of what it leaves out: what the engine is told, and the operator shown.
GatewayConfig with_defaults(GatewayConfig g);

}  // namespace guideway::mgmt
