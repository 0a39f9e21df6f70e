#include "mgmt/api/connections.h"

#include <charconv>

#include "mgmt/api/enums.h"
#include "mgmt/api/fields.h"
#include "mgmt/bad_request.h"
#include "mgmt/compile/build_entry.h"
#include "net/address.h"
#include "net/headers.h"
#include "net/prefix.h"

namespace guideway::mgmt {

absl::StatusOr<engine::ConnectionFilter> to_engine(const v1::ConnectionFilter& filter) {
  engine::ConnectionFilter out;
  Violations wrong;
  check_name(filter.namespace_(), kMaxNamespace, "filter.namespace", wrong);
  check_name(filter.name(), kMaxName, "filter.name", wrong);
  if (filter.namespace_().empty() && !filter.name().empty())
    wrong.push_back({"filter.name", "needs filter.namespace beside it: names of Services are a namespace's"});
  if (!filter.namespace_().empty()) out.set_service_prefix(entry_name_prefix(filter.namespace_(), filter.name()));
  if (const auto p = net::parse_prefix(filter.client())) {
    out.mutable_client()->set_address(net::bytes_of(p->address));
    out.mutable_client()->set_length(p->length);
  } else if (!filter.client().empty()) {
    wrong.push_back({"filter.client",
                     "'" + shortened(filter.client(), 40) + "' is neither an address nor a prefix, as 203.0.113.0/24"});
  }
  if (!filter.vip().empty()) out.set_vip(net::bytes_of(read_address(filter.vip(), "filter.vip", wrong)));
  out.set_vip_port(read_port(filter.vip_port(), "filter.vip_port", wrong));
  if (!filter.backend().empty()) out.set_real(net::bytes_of(read_address(filter.backend(), "filter.backend", wrong)));
  if (!v1::Protocol_IsValid(filter.protocol()))
    wrong.push_back({"filter.protocol", "must be unset or one of " + choices<v1::Protocol>()});
  out.set_protocol(ip_protocol(filter.protocol()));
  for (const int s : filter.states()) {
    if (s == v1::ConnectionRow::STATE_UNSPECIFIED || !v1::ConnectionRow::State_IsValid(s)) {
      wrong.push_back({"filter.states", "must be of " + choices<v1::ConnectionRow::State>()});
      break;  // a request may hold millions
    }
    out.add_states(static_cast<engine::ConnectionState>(s));
  }
  if (!wrong.empty()) return bad_request(wrong);
  return out;
}

std::string page_token(const engine::ConnectionsPosition& next) {
  return std::to_string(next.table()) + "." + std::to_string(next.bucket()) + "." + std::to_string(next.slot());
}

absl::StatusOr<engine::ConnectionsPosition> position_of(const std::string& page_token) {
  engine::ConnectionsPosition p;
  if (page_token.empty()) return p;
  uint32_t part[3];
  const char* at = page_token.data();
  const char* end = at + page_token.size();
  for (int i = 0; i < 3; ++i) {
    const auto [rest, error] = std::from_chars(at, end, part[i]);
    if (error != std::errc() || (i < 2 ? rest == end || *rest != '.' : rest != end))
      return bad_request("page_token", kWrongPageToken);
    at = rest + 1;
  }
  p.set_table(part[0]);
  p.set_bucket(part[1]);
  p.set_slot(part[2]);
  return p;
}

void fill(const engine::Connection& c, v1::ConnectionRow& out) {
  auto [ns, name, port_name] = parse_entry_name(c.service());
  out.set_namespace_(std::move(ns));
  out.set_name(std::move(name));
  out.set_port_name(std::move(port_name));
  out.set_protocol(to_api(static_cast<net::Protocol>(c.protocol())));
  out.set_client(text_of(c.client()));
  out.set_client_port(c.client_port());
  out.set_vip(text_of(c.vip()));
  out.set_vip_port(c.vip_port());
  out.set_backend(text_of(c.real()));
  out.set_backend_port(c.real_port());
  out.set_mode(static_cast<v1::ForwardingMode>(c.mode()));
  out.set_state(static_cast<v1::ConnectionRow::State>(c.state()));
  out.set_idle_seconds(c.idle_seconds());
  out.set_worker(c.worker());
  out.set_snat(text_of(c.snat()));
  out.set_snat_port(c.snat_port());
}

}  // namespace guideway::mgmt
