// The prefixes whose sources are denied: the XDP programs' set of them follows what is desired in short steps, for
// there may be a million. Belongs to the control thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/control/desired.h"
#include "xdp/kernel_tables.h"

namespace guideway::control {

inline constexpr uint32_t kMaxDeniedPrefixes = 1'000'000;
inline constexpr uint32_t kMaxDeniedLengths = GW_MAX_DENIED_LENGTHS;  // of a family

class DeniedSources {
 public:
  // Null tables: no port has a program, and nothing is dropped.
  explicit DeniedSources(xdp::KernelTables* tables);

  // Of a batch, those parts that it names; if it is full, it has no others. Why they would be too many:
  std::optional<Refusal> check(bool full, const std::vector<DeniedPart>& parts) const;
  // What is desired from now on.
  void take(bool full, std::vector<DeniedPart> parts);
  // Brings a part that has changed into the programs' set, some thousand prefixes; true if there are more. After a
  // failure it rests until the next take() or try_again().
  bool step();
  void try_again() { rests_ = false; }

  // As desired.
  bool denies(const net::IpAddress& source) const;
  uint32_t prefixes() const { return prefixes_; }
  uint32_t lengths(bool v4) const { return lengths(counts_, v4); }
  // Why the programs don't have it all; OK: they do, or will in a moment.
  absl::Status trouble() const;

 private:
  using Prefixes = std::shared_ptr<const std::vector<net::Prefix>>;
  struct Part {
    Prefixes wanted = std::make_shared<const std::vector<net::Prefix>>();
    Prefixes stands = wanted;  // in the programs' set
  };
  // Of each family, IPv4 first, and each length.
  using Counts = std::array<std::array<uint32_t, 129>, 2>;

  static uint32_t lengths(const Counts& counts, bool v4);
  static void count(Counts& counts, const std::vector<net::Prefix>& prefixes, uint32_t by);
  absl::Status bring(Part& part);
  uint64_t seed(bool v4, unsigned length) const;
  uint64_t hash(const net::Prefix& p) const;
  void tell_lengths();

  xdp::KernelTables* tables_;
  uint64_t secret_;
  std::array<Part, net::kPrefixParts> parts_;
  std::set<uint32_t> changed_;
  Counts counts_{};
  uint32_t prefixes_ = 0;
  absl::Status failure_;
  bool rests_ = false;
};

}  // namespace guideway::control
