#include "mgmt/cli/show.h"

#include <algorithm>
#include <iterator>

#include "mgmt/cli/cells.h"
#include "mgmt/cli/table.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

// What stands on a line of its own because something is wrong.
std::string complaint(const Style& style, Colour colour, const std::string& text) {
  return painted(style, colour, "  ! " + text) + "\n";
}

const char* word(v1::AppliedObject::Action a) {
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
std::string name_of(const v1::ObjectRef& r) {
  return r.kind() + " " + (r.namespace_().empty() ? "" : r.namespace_() + "/") + r.name();
}

std::string show_limits(const v1::Engine& e, const Style& style) {
  Table limits(style, {"LIMIT", "USED", "AT-MOST", "OF"});
  for (const auto& l : e.limits())
    limits.add({l.name(), l.has_used() ? number(l.used()) : "", number(l.limit()), l.text()});
  return e.limits().empty() ? "" : "\n" + limits.str();
}

std::string show_engine(const v1::Engine& e, const Style& style) {
  if (!e.connected()) return painted(style, Colour::kRed, "Engine:      NOT CONNECTED: " + e.trouble()) + "\n";
  std::string out = "Engine:      " + e.version() + " at " + e.socket();
  if (!e.trouble().empty()) out += painted(style, Colour::kRed, ", DOESN'T ANSWER");
  if (!e.has_status()) return out + ", no status\n";
  const auto& s = e.status();
  out += ", up " + duration(s.uptime_seconds()) + ", " + (s.hugepages() ? "hugepages" : "plain memory") +
         (style.wide ? ", " + number(s.memory_bytes() >> 20) + " MB" : "") + "\n";
  out += "In force:    " + number(s.services()) + " VIPs, " + number(s.reals()) + " backends, " +
         number(s.exceptions()) + " connections off their slot\n";
  for (const auto& w : s.warnings())
    out += complaint(style, Colour::kYellow,
                     w.subject() + ": " + w.text() + (w.remedy().empty() ? "" : "; " + w.remedy()));
  Table ports(style, {"PORT", "KIND", "MODE", "QUEUES", "MTU", "UP", "BY-KERNEL"});
  for (const auto& p : s.ports())
    ports.add({p.name(), p.kind(), p.mode(), number(p.queues()), number(p.mtu()),
               p.up() ? Cell("yes") : Cell("NO", Colour::kRed), number(p.balanced())});
  Table workers(style,
                {"WORKER", "CORE", "RECEIVED", "SENT", "DROPPED", "HANDED-OVER", "CONN-IPV4", "CONN-IPV6", "LIMIT"});
  for (int i = 0; i < s.workers_size(); ++i) {
    const auto& w = s.workers(i);
    workers.add({number(static_cast<uint64_t>(i)), number(w.core()), number(w.received()), number(w.sent()),
                 number(w.dropped()), number(w.handed_over()), number(w.connections_ipv4()),
                 number(w.connections_ipv6()), number(w.connection_limit())});
  }
  Table drops(style, {"DROPPED", "REASON", "MEANING"});
  for (const auto& d : s.drops()) drops.add({number(d.packets()), d.reason(), d.text()});
  out += "\n" + ports.str() + "\n" + workers.str();
  if (!s.drops().empty()) out += "\n" + drops.str();
  return out + show_limits(e, style);
}

std::string show_files(const google::protobuf::RepeatedPtrField<v1::ManifestFile>& files, const Style& style) {
  Table t(style, {"FILE", "OBJECTS", "PROBLEMS"});
  for (const auto& f : files)
    t.add({f.path(), number(f.objects()), {number(f.problems()), f.problems() == 0 ? Colour::kNone : Colour::kRed}});
  return files.empty() ? "" : "\n" + t.str();
}

// "7", and in the wide form whose it is.
std::string counter_of(const v1::Generation& g, const Style& style) {
  return number(g.counter()) + (style.wide ? " (instance " + number(g.instance()) + ")" : "");
}

// Of a write that the engine doesn't have, and why.
std::string names_of(const google::protobuf::RepeatedPtrField<v1::ObjectRef>& objects) {
  std::string out;
  for (const v1::ObjectRef& o : objects) out += (out.empty() ? "" : ", ") + name_of(o);
  return out;
}

std::string not_yet(const std::string& pending) {
  return pending.empty() ? "" : "kept, but not in force yet: " + pending + "\n";
}

}  // namespace

std::string show(const google::protobuf::RepeatedPtrField<v1::Problem>& problems, const Style& style) {
  if (problems.empty()) return "Problems:    none\n";
  std::string out =
      painted(style, Colour::kRed, "PROBLEMS (" + number(static_cast<uint64_t>(problems.size())) + "):") + "\n";
  for (const auto& p : problems) {
    std::string where = place(p.file(), p.document(), p.line());
    std::string what = p.object();
    if (!p.field().empty()) what += (what.empty() ? "" : ": ") + p.field();
    if (where.empty()) std::swap(where, what);
    out += complaint(style, Colour::kRed, where);
    if (!what.empty()) out += "    " + what + "\n";
    out += "      " + p.text() + "\n";
  }
  return out;
}

std::string show(const v1::GetStatusResponse& r, const Style& style) {
  std::string out = show(r.problems(), style);
  out += "Daemon:      " + r.version() + ", up " + duration(r.uptime_seconds()) + "\n";
  out += "Manifests:   " + number(static_cast<uint64_t>(r.files_size())) + " files in " + r.manifest_directory() +
         ": " + number(r.services()) + " services, " + number(r.vips()) + " VIPs, " + number(r.endpoint_slices()) +
         " endpoint slices";
  if (r.services_left_out() != 0) out += "; " + number(r.services_left_out()) + " services that aren't the gateway's";
  out += "\n";
  for (const auto& f : r.files())
    if (f.broken())
      out += complaint(style, Colour::kRed, f.path() + " can't be read: its last good objects are in force");
  if (!r.skipped().empty()) {
    out += "Skipped:     ";
    for (int i = 0; i < r.skipped_size(); ++i)
      out += (i == 0 ? "" : ", ") + number(r.skipped(i).objects()) + " " + r.skipped(i).kind();
    out += "\n";
  }
  out += "Config:      " +
         (r.gateway_config().empty() ? "defaults (no GatewayConfig)" : "GatewayConfig " + r.gateway_config()) + "\n";
  if (r.source_filters() != 0) {
    const v1::EngineStatus& e = r.engine().status();
    out += "Filters:     " + number(r.denied_prefixes()) + " denied prefixes of " + number(r.source_filters()) +
           " SourceFilters";
    if (r.engine().has_status())
      out += "; the engine has " + number(e.denied_prefixes()) + ", of " + number(e.denied_lengths_ipv4()) +
             " lengths (IPv4) and " + number(e.denied_lengths_ipv6()) + " (IPv6)";
    out += "\n";
  }
  if (r.api_objects() != 0) out += "API:         " + number(r.api_objects()) + " objects\n";
  for (const auto& w : r.backend_weights())
    out += complaint(style, Colour::kNone,
                     "backend " + w.address() +
                         (w.name().empty() ? "" : " of Service " + w.namespace_() + "/" + w.name()) +
                         (w.weight() == 0 ? ": drained" : ": weight " + number(w.weight())) + " since " + w.since());
  out += "Generation:  " + counter_of(r.desired(), style) + " desired, " +
         (r.has_applied() ? counter_of(r.applied(), style) : "none") + " applied\n";
  return out + show_engine(r.engine(), style) + (style.wide ? show_files(r.files(), style) : "");
}

std::string show(const v1::ListServicesResponse& r, const Style& style) {
  Table t(style, {"NAMESPACE", "NAME", wide("PORT"), "VIP", "PROTOCOL", "MODE", "READY", wide("DRAINING"), "TOTAL",
                  wide("TABLE"), "STATE", wide("CONNECTIONS"), "LIVE", "PACKETS", wide("BYTES"), wide("FILE")});
  for (const auto& s : r.services()) {
    const bool known = s.has_counters();
    const v1::Counters& c = s.counters();
    t.add({s.namespace_(), s.name(), s.port_name(), endpoint(s.vip(), s.port()), word(s.protocol()), word(s.mode()),
           number(s.backends_ready()), number(s.backends_draining()), number(s.backends_total()),
           number(s.table_size()), state_cell(s.state()), counter(known, c.connections()),
           counter(known, c.live_connections()), counter(known, c.packets()), counter(known, c.bytes()), s.file()});
  }
  return t.str();
}

std::string show(const v1::ListBackendsResponse& r, const Style& style) {
  Table t(style, {"NAMESPACE", "NAME", "VIP", "PROTOCOL", "BACKEND", "STATE", "WEIGHT", wide("CONNECTIONS"), "LIVE",
                  "PACKETS", wide("BYTES"), wide("SLICE"), wide("POD"), wide("NODE")});
  for (const auto& b : r.backends()) {
    std::vector<Cell> row = {b.namespace_(), b.name(), endpoint(b.vip(), b.vip_port()), word(b.protocol())};
    std::ranges::move(backend_cells(b), std::back_inserter(row));
    t.add(std::move(row));
  }
  return t.str();
}

std::string show(const v1::ListDropsResponse& r, const Style& style) {
  const int workers = r.drops().empty() ? 0 : r.drops(0).packets_by_worker_size();
  std::vector<Column> columns = {"REASON", "PACKETS"};
  for (int i = 0; i < workers; ++i) columns.push_back(wide("WORKER-" + number(static_cast<uint64_t>(i))));
  columns.push_back(wide("XDP"));
  columns.emplace_back("MEANING");
  Table t(style, std::move(columns));
  bool any = false;
  for (const auto& d : r.drops()) {
    if (d.packets() == 0) continue;
    any = true;
    std::vector<Cell> row = {d.reason(), number(d.packets())};
    for (const uint64_t n : d.packets_by_worker()) row.emplace_back(number(n));
    row.emplace_back(number(d.packets_by_xdp()));
    row.emplace_back(d.text());
    t.add(std::move(row));
  }
  return any ? t.str() : "No packet was dropped.\n";
}

namespace {

// "/24 /32"
std::string lengths(const google::protobuf::RepeatedField<uint32_t>& all) {
  std::string text;
  for (const uint32_t n : all) text += (text.empty() ? "/" : " /") + number(n);
  return text;
}

}  // namespace

std::string show(const v1::ListSourceFiltersResponse& r, const Style& style) {
  if (r.filters().empty()) return "No SourceFilter.\n";
  Table t(style, {"NAME", "IPV4", "IPV6", "STATE", wide("IPV4-LENGTHS"), wide("IPV6-LENGTHS"), wide("FILE")});
  for (const auto& f : r.filters())
    t.add({f.name(), number(f.prefixes_ipv4()), number(f.prefixes_ipv6()),
           f.applied() ? Cell("Programmed") : Cell("Pending", Colour::kYellow), lengths(f.lengths_ipv4()),
           lengths(f.lengths_ipv6()), f.file()});
  return t.str();
}

std::string show(const v1::ListDeniedPrefixesResponse& r, const Style& style) {
  if (r.prefixes().empty()) return "No denied prefix.\n";
  Table t(style, {"PREFIX", "FILTER"});
  for (const auto& p : r.prefixes()) t.add({p.prefix(), p.filter()});
  return t.str();
}

std::string show(const v1::ListConnectionsResponse& r, const Style& style) {
  if (r.connections().empty()) return "No connections.\n";
  Table t(style,
          {"PROTOCOL", "CLIENT", "VIP", "SERVICE", "BACKEND", "MODE", wide("SNAT"), "STATE", "IDLE", wide("WORKER")});
  for (const auto& c : r.connections())
    t.add({word(c.protocol()), endpoint(c.client(), c.client_port()), endpoint(c.vip(), c.vip_port()),
           service_name(c.namespace_(), c.name()), endpoint(c.backend(), c.backend_port()), word(c.mode()),
           c.snat().empty() ? "" : endpoint(c.snat(), c.snat_port()), word(c.state()), duration(c.idle_seconds()),
           number(c.worker())});
  return t.str();
}

std::string show(const v1::GetGatewayConfigResponse& r, const Style& style) {
  const std::string from = r.name().empty() ? "there is no GatewayConfig: these are the defaults"
                           : r.from_api()   ? "came over the API"
                                            : "from " + r.file();
  return "# " + from + "\n" + r.manifest() + (r.problems().empty() ? "" : "\n" + show(r.problems(), style));
}

std::string show(const v1::GetLogLevelsResponse& r, const Style& style) {
  Table t(style, {"PROGRAM", "LEVEL"});
  for (const auto& p : r.programs())
    t.add({word(p.program()),
           p.trouble().empty() ? Cell(word(p.level())) : Cell("unknown: " + p.trouble(), Colour::kYellow)});
  return t.str();
}

std::string show(const v1::CountConnectionsResponse& r, const Style&) { return number(r.connections()) + "\n"; }

std::string show(const v1::ApplyObjectsResponse& r, const Style&) {
  std::string out;
  for (const auto& a : r.objects()) out += name_of(a.object()) + " " + word(a.action()) + "\n";
  if (!r.objects().empty()) out += not_yet(r.pending());
  for (const auto& s : r.skipped()) out += number(s.objects()) + " " + s.kind() + " left out: not for the gateway\n";
  return out;
}

std::string show(const v1::DeleteObjectsResponse& r, const Style&) {
  std::string out;
  for (const auto& a : r.objects()) out += name_of(a.object()) + " " + word(a.action()) + "\n";
  return r.objects().empty() ? "" : out + not_yet(r.pending());
}

std::string show(const v1::SetBackendWeightResponse& r, const Style&) {
  std::string out;
  if (!r.services().empty())
    out += (r.pending().empty() ? "in force for " : "kept for ") + names_of(r.services()) + "\n";
  if (!r.except().empty())
    out += "not for " + names_of(r.except()) +
           ", where a weight of its own goes before: guideway weight --reset --service takes that back\n";
  return out + not_yet(r.pending());
}

std::string show(const v1::ResetBackendWeightResponse& r, const Style&) {
  return (r.has_instead() ? "weight " + number(r.instead()) + ", that for every Service, holds again"
                          : std::string("the EndpointSlice's weight holds again")) +
         (r.has_weight() ? " instead of " + number(r.weight()) : "") +
         (r.services().empty() ? "" : " for " + names_of(r.services())) + "\n" + not_yet(r.pending());
}

}  // namespace guideway::mgmt
