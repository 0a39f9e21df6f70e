// The compiler's part for SourceFilters: what they deny together, and its messages.

#include <algorithm>
#include <array>
#include <bitset>

#include "dataplane/engine.pb.h"
#include "mgmt/compile/compiler.h"
#include "mgmt/engine_link/frame.h"
#include "net/prefix.h"

namespace guideway::mgmt {
namespace {

using Parts = std::array<std::vector<net::Prefix>, net::kPrefixParts>;

std::string message(uint32_t part, const std::vector<net::Prefix>& prefixes) {
  engine::Envelope envelope;
  engine::DeniedSources& m = *envelope.mutable_denied_sources();
  m.set_part(part);
  for (const net::Prefix& p : prefixes) {
    std::string& bytes = p.address.is_v4() ? *m.mutable_ipv4() : *m.mutable_ipv6();
    bytes += net::bytes_of(p.address);
    bytes += static_cast<char>(p.length);
  }
  return frame_of(envelope);
}

}  // namespace

// True if a message is another than before.
bool Compiler::update_denied() {
  Parts parts;
  for (const ObjectKey& key : store_.keys(Kind::kSourceFilter)) {
    const ObjectPtr latest = store_.latest(key);
    for (const net::Prefix& p : std::get<SourceFilter>(latest->body).denied) parts[net::part_of(p)].push_back(p);
    accept(key, latest);
  }
  DeniedSources now{.frames = {}, .version = denied_.version};
  std::bitset<33> ipv4;
  std::bitset<129> ipv6;
  bool differs = false;
  for (uint32_t n = 0; n < net::kPrefixParts; ++n) {
    std::vector<net::Prefix>& part = parts[n];
    std::sort(part.begin(), part.end());
    part.erase(std::unique(part.begin(), part.end()), part.end());
    now.prefixes += part.size();
    for (const net::Prefix& p : part)
      if (p.address.is_v4())
        ipv4.set(p.length);
      else
        ipv6.set(p.length);
    const auto before = denied_.frames.find(n);
    if (part.empty()) {
      differs |= before != denied_.frames.end();
      continue;
    }
    std::string frame = message(n, part);
    const bool same = before != denied_.frames.end() && *before->second == frame;
    differs |= !same;
    now.frames[n] = same ? before->second : std::make_shared<const std::string>(std::move(frame));
  }
  if (!differs) return false;
  now.lengths_ipv4 = static_cast<uint32_t>(ipv4.count());
  now.lengths_ipv6 = static_cast<uint32_t>(ipv6.count());
  ++now.version;
  denied_ = std::move(now);
  return true;
}

}  // namespace guideway::mgmt
