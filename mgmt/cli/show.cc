#include "mgmt/cli/show.h"

#include "mgmt/cli/table.h"

namespace guideway::mgmt {
namespace {

std::string number(uint64_t n) { return std::to_string(n); }

std::string duration(uint64_t seconds) {
  if (seconds < 120) return number(seconds) + "s";
  if (seconds < 7200) return number(seconds / 60) + "m";
  if (seconds < 172800) return number(seconds / 3600) + "h";
  return number(seconds / 86400) + "d";
}

const char* show(v1::Protocol p) {
  if (p == v1::PROTOCOL_SCTP) return "SCTP";
  return p == v1::PROTOCOL_UDP ? "UDP" : "TCP";
}

const char* show(v1::ForwardingMode m) {
  switch (m) {
    case v1::FORWARDING_MODE_DSR_L2:
      return "dsr-l2";
    case v1::FORWARDING_MODE_DSR_IPIP:
      return "dsr-ipip";
    case v1::FORWARDING_MODE_DSR_GUE:
      return "dsr-gue";
    case v1::FORWARDING_MODE_NAT:
      return "nat";
    default:
      return "?";
  }
}

const char* show(v1::VipRow::State s) {
  switch (s) {
    case v1::VipRow::STATE_PROGRAMMED:
      return "Programmed";
    case v1::VipRow::STATE_NO_BACKEND:
      return "NoBackend";
    case v1::VipRow::STATE_REFUSED:
      return "Refused";
    case v1::VipRow::STATE_PENDING:
      return "Pending";
    default:
      return "?";
  }
}

const char* show(v1::BackendRow::State s) {
  switch (s) {
    case v1::BackendRow::STATE_READY:
      return "ready";
    case v1::BackendRow::STATE_DRAINING:
      return "draining";
    case v1::BackendRow::STATE_TERMINATING:
      return "terminating";
    case v1::BackendRow::STATE_NOT_READY:
      return "not-ready";
    default:
      return "?";
  }
}

const char* show(v1::ConnectionRow::State s) {
  switch (s) {
    case v1::ConnectionRow::STATE_UDP:
      return "udp";
    case v1::ConnectionRow::STATE_SETUP:
      return "setup";
    case v1::ConnectionRow::STATE_ESTABLISHED:
      return "established";
    case v1::ConnectionRow::STATE_CLOSING:
      return "closing";
    case v1::ConnectionRow::STATE_CLOSED:
      return "closed";
    default:
      return "?";
  }
}

const char* show(v1::AppliedObject::Action a) {
  switch (a) {
    case v1::AppliedObject::ACTION_CREATED:
      return "created";
    case v1::AppliedObject::ACTION_CONFIGURED:
      return "configured";
    case v1::AppliedObject::ACTION_UNCHANGED:
      return "unchanged";
    case v1::AppliedObject::ACTION_DELETED:
      return "deleted";
    default:
      return "?";
  }
}

// "Service demo/web".
std::string show(const v1::ObjectRef& r) {
  return r.kind() + " " + (r.namespace_().empty() ? "" : r.namespace_() + "/") + r.name();
}

std::string endpoint(const std::string& address, uint32_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + (port == 0 ? "*" : number(port));
}

std::string show_problems(const v1::GetStatusResponse& r) {
  if (r.problems().empty()) return "Problems:    none\n";
  std::string out = "PROBLEMS (" + number(static_cast<uint64_t>(r.problems_size())) + "):\n";
  for (const auto& p : r.problems()) {
    std::string where = p.file();
    if (p.line() != 0) where += ":" + number(p.line());
    if (p.document() != 0) where += " (document " + number(p.document()) + ")";
    std::string what = p.object();
    if (!p.field().empty()) what += (what.empty() ? "" : ": ") + p.field();
    out += "  ! " + where + (where.empty() || what.empty() ? "" : "\n    ") + what + "\n      " + p.text() + "\n";
  }
  return out;
}

std::string show_limits(const v1::Engine& e) {
  Table limits({"LIMIT", "USED", "AT-MOST", "OF"});
  for (const auto& l : e.limits())
    limits.add({l.name(), l.has_used() ? number(l.used()) : "", number(l.limit()), l.text()});
  return e.limits().empty() ? "" : "\n" + limits.str();
}

// What the engine has none of shows as "-".
std::vector<std::string> show(bool known, const v1::Counters& c) {
  if (!known) return {"", "", "", ""};
  return {number(c.connections()), number(c.live_connections()), number(c.packets()), number(c.bytes())};
}

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string show_engine(const v1::Engine& e) {
  if (!e.connected()) return "Engine:      NOT CONNECTED: " + e.trouble() + "\n";
  std::string out = "Engine:      " + e.version() + " at " + e.socket();
  if (!e.has_status()) return out + ", no status\n";
  const auto& s = e.status();
  out += ", up " + duration(s.uptime_seconds()) + ", " + (s.hugepages() ? "hugepages" : "plain memory") + "\n";
  out += "In force:    " + number(s.services()) + " VIPs, " + number(s.reals()) + " backends, " +
         number(s.exceptions()) + " connections off their slot\n";
  for (const auto& w : s.warnings()) out += "  ! " + w.subject() + ": " + w.text() + "\n";
  Table ports({"PORT", "KIND", "MODE", "QUEUES", "MTU", "UP"});
  for (const auto& p : s.ports())
    ports.add({p.name(), p.kind(), p.mode(), number(p.queues()), number(p.mtu()), p.up() ? "yes" : "NO"});
  Table workers({"WORKER", "CORE", "RECEIVED", "SENT", "DROPPED", "HANDED-OVER", "CONN-IPV4", "CONN-IPV6", "LIMIT"});
  for (int i = 0; i < s.workers_size(); ++i) {
    const auto& w = s.workers(i);
    workers.add({number(static_cast<uint64_t>(i)), number(w.core()), number(w.received()), number(w.sent()),
                 number(w.dropped()), number(w.handed_over()), number(w.connections_ipv4()),
                 number(w.connections_ipv6()), number(w.connection_limit())});
  }
  Table drops({"DROPPED", "REASON", "MEANING"});
  for (const auto& d : s.drops()) drops.add({number(d.packets()), d.reason(), d.text()});
  out += "\n" + ports.str() + "\n" + workers.str();
  if (!s.drops().empty()) out += "\n" + drops.str();
  return out + show_limits(e);
}

}  // namespace

std::string show(const v1::GetStatusResponse& r) {
  std::string out = show_problems(r);
  out += "Daemon:      " + r.version() + ", up " + duration(r.uptime_seconds()) + "\n";
  out += "Manifests:   " + number(static_cast<uint64_t>(r.files_size())) + " files in " + r.manifest_directory() +
         ": " + number(r.services()) + " services, " + number(r.vips()) + " VIPs, " + number(r.endpoint_slices()) +
         " endpoint slices";
  if (r.services_left_out() != 0) out += "; " + number(r.services_left_out()) + " services that aren't the gateway's";
  out += "\n";
  for (const auto& f : r.files())
    if (f.broken()) out += "  ! " + f.path() + " can't be read: its last good objects are in force\n";
  if (!r.skipped().empty()) {
    out += "Skipped:     ";
    for (int i = 0; i < r.skipped_size(); ++i)
      out += (i == 0 ? "" : ", ") + number(r.skipped(i).objects()) + " " + r.skipped(i).kind();
    out += "\n";
  }
  out += "Config:      " +
         (r.gateway_config().empty() ? "defaults (no GatewayConfig)" : "GatewayConfig " + r.gateway_config()) + "\n";
  if (r.api_objects() != 0) out += "API:         " + number(r.api_objects()) + " objects\n";
  for (const auto& w : r.backend_weights())
    out += "  ! backend " + w.address() + (w.name().empty() ? "" : " of Service " + w.namespace_() + "/" + w.name()) +
           (w.weight() == 0 ? ": drained" : ": weight " + number(w.weight())) + " since " + w.since() + "\n";
  out += "Generation:  " + number(r.desired().counter()) + " desired, " +
         (r.has_applied() ? number(r.applied().counter()) : "none") + " applied\n";
  return out + show_engine(r.engine());
}

std::string show(const v1::ListServicesResponse& r) {
  Table t({"NAMESPACE", "NAME", "PORT", "VIP", "PROTOCOL", "MODE", "READY", "DRAINING", "TOTAL", "TABLE", "STATE",
           "CONNECTIONS", "LIVE", "PACKETS", "BYTES", "FILE"});
  for (const auto& s : r.services()) {
    auto row = joined({s.namespace_(), s.name(), s.port_name(), endpoint(s.vip(), s.port()), show(s.protocol()),
                       show(s.mode()), number(s.backends_ready()), number(s.backends_draining()),
                       number(s.backends_total()), number(s.table_size()), show(s.state())},
                      show(s.has_counters(), s.counters()));
    t.add(joined(std::move(row), {s.file()}));
  }
  return t.str();
}

std::string show(const v1::ListBackendsResponse& r) {
  Table t({"NAMESPACE", "NAME", "VIP", "PROTOCOL", "BACKEND", "STATE", "WEIGHT", "CONNECTIONS", "LIVE", "PACKETS",
           "BYTES", "SLICE", "POD", "NODE"});
  for (const auto& b : r.backends()) {
    auto row = joined(
        {b.namespace_(), b.name(), endpoint(b.vip(), b.vip_port()), show(b.protocol()), endpoint(b.address(), b.port()),
         show(b.state()), number(b.weight()) + (b.weight_set() ? " (set)" : "")},
        show(b.has_counters(), b.counters()));
    t.add(joined(std::move(row), {b.slice(), b.pod(), b.node()}));
  }
  return t.str();
}

std::string show(const v1::ListDropsResponse& r) {
  const int workers = r.drops().empty() ? 0 : r.drops(0).packets_by_worker_size();
  std::vector<std::string> header = {"REASON", "PACKETS"};
  for (int i = 0; i < workers; ++i) header.push_back("WORKER-" + number(static_cast<uint64_t>(i)));
  Table t(joined(std::move(header), {"XDP", "MEANING"}));
  bool any = false;
  for (const auto& d : r.drops()) {
    if (d.packets() == 0) continue;
    any = true;
    std::vector<std::string> row = {d.reason(), number(d.packets())};
    for (const uint64_t n : d.packets_by_worker()) row.push_back(number(n));
    t.add(joined(std::move(row), {number(d.packets_by_xdp()), d.text()}));
  }
  return any ? t.str() : "No packet was dropped.\n";
}

std::string show(const v1::ListConnectionsResponse& r) {
  if (r.connections().empty()) return "No connections.\n";
  Table t({"PROTOCOL", "CLIENT", "VIP", "SERVICE", "BACKEND", "MODE", "SNAT", "STATE", "IDLE", "WORKER"});
  for (const auto& c : r.connections()) {
    const std::string service = c.name().empty() ? "" : c.namespace_() + "/" + c.name();
    t.add({show(c.protocol()), endpoint(c.client(), c.client_port()), endpoint(c.vip(), c.vip_port()), service,
           endpoint(c.backend(), c.backend_port()), show(c.mode()),
           c.snat().empty() ? "" : endpoint(c.snat(), c.snat_port()), show(c.state()), duration(c.idle_seconds()),
           number(c.worker())});
  }
  return t.str();
}

std::string show(const v1::CountConnectionsResponse& r) { return number(r.connections()) + "\n"; }

std::string show(const v1::ApplyObjectsResponse& r) {
  std::string out;
  for (const auto& a : r.objects()) out += show(a.object()) + " " + show(a.action()) + "\n";
  for (const auto& s : r.skipped()) out += number(s.objects()) + " " + s.kind() + " left out: not for the gateway\n";
  return out;
}

std::string show(const v1::DeleteObjectsResponse& r) {
  std::string out;
  for (const auto& a : r.objects()) out += show(a.object()) + " " + show(a.action()) + "\n";
  return out;
}

std::string show(const v1::SetBackendWeightResponse& r) {
  std::string out = "in force for ";
  for (int i = 0; i < r.services_size(); ++i) out += (i == 0 ? "" : ", ") + show(r.services(i));
  return out + "\n";
}

std::string show(const v1::ResetBackendWeightResponse& r) {
  return "the EndpointSlice's weight is in force again, not " + number(r.weight()) + "\n";
}

}  // namespace guideway::mgmt
