#include "mgmt/api/filters.h"

#include <absl/strings/numbers.h>

#include <bitset>
#include <optional>

#include "mgmt/api/fields.h"
#include "mgmt/bad_request.h"

namespace guideway::mgmt {
namespace {

const SourceFilter& body(const OwnedObject& o) { return std::get<SourceFilter>(o.object->body); }

// "FILTER/INDEX": where the next page begins. Names have no slash.
struct Position {
  std::string filter;
  uint64_t index = 0;
};

Position read_position(const std::string& token, Violations& wrong) {
  Position p;
  const size_t slash = token.find('/');
  if (token.empty()) return p;
  p.filter = token.substr(0, slash);
  if (slash != std::string::npos && absl::SimpleAtoi(token.substr(slash + 1), &p.index)) return p;
  wrong.push_back({"page_token", kWrongPageToken});
  return {};
}

}  // namespace

void fill(const Snapshot& s, v1::ListSourceFiltersResponse& out) {
  for (const OwnedObject& o : s.filter_objects) {
    v1::SourceFilterRow& row = *out.add_filters();
    row.set_name(o.object->key.name);
    row.set_file(o.file);
    row.set_applied(s.denied_applied);
    std::bitset<33> ipv4;
    std::bitset<129> ipv6;
    for (const net::Prefix& p : body(o).denied) {
      if (p.address.is_v4()) {
        row.set_prefixes_ipv4(row.prefixes_ipv4() + 1);
        ipv4.set(p.length);
      } else {
        row.set_prefixes_ipv6(row.prefixes_ipv6() + 1);
        ipv6.set(p.length);
      }
    }
    for (uint32_t n = 0; n < ipv4.size(); ++n)
      if (ipv4[n]) row.add_lengths_ipv4(n);
    for (uint32_t n = 0; n < ipv6.size(); ++n)
      if (ipv6[n]) row.add_lengths_ipv6(n);
  }
}

absl::Status fill(const Snapshot& s, const v1::ListDeniedPrefixesRequest& q, v1::ListDeniedPrefixesResponse& out) {
  Violations wrong;
  check_name(q.filter(), kMaxName, "filter", wrong);
  std::optional<net::IpAddress> address;
  if (!q.address().empty()) address = read_address(q.address(), "address", wrong);
  const Position from = read_position(q.page_token(), wrong);
  if (!wrong.empty()) return bad_request(wrong);
  const uint32_t page = rows_of_page(q.page_size());
  bool found = false;
  for (const OwnedObject& o : s.filter_objects) {  // sorted by name
    const std::string& name = o.object->key.name;
    if (!q.filter().empty() && q.filter() != name) continue;
    found = true;
    if (name < from.filter) continue;
    const auto& denied = body(o).denied;
    for (size_t i = name == from.filter ? from.index : 0; i < denied.size(); ++i) {
      if (address && !net::contains(denied[i], *address)) continue;
      if (static_cast<uint32_t>(out.prefixes_size()) == page) {
        out.set_next_page_token(name + "/" + std::to_string(i));
        return absl::OkStatus();
      }
      v1::DeniedPrefixRow& row = *out.add_prefixes();
      row.set_prefix(net::to_string(denied[i]));
      row.set_filter(name);
    }
  }
  if (!found && !q.filter().empty()) return absl::NotFoundError("there is no SourceFilter " + q.filter());
  return absl::OkStatus();
}

}  // namespace guideway::mgmt
