// All about one Service.
#include <algorithm>

#include "mgmt/cli/cells.h"
#include "mgmt/cli/show.h"

namespace guideway::mgmt {
namespace {

std::string show_counters(const v1::VipRow& v) {
  if (!v.has_counters()) return "";
  const v1::Counters& c = v.counters();
  std::string out = "Connections: " + number(c.connections()) + " begun, " + number(c.live_connections()) + " live\n";
  out += "Clients:     sent " + number(c.packets()) + " packets, " + number(c.bytes()) + " bytes";
  if (v.mode() == v1::FORWARDING_MODE_NAT)
    out += "; were sent " + number(c.reply_packets()) + " packets, " + number(c.reply_bytes()) + " bytes";
  return out + "\n";
}

std::string show_vip(const v1::GetServiceResponse& r, const v1::VipRow& v, const Style& style) {
  const Cell state = state_cell(v.state());
  std::string out = "\nVIP:         " + endpoint(v.vip(), v.port()) + " " + word(v.protocol());
  if (!v.port_name().empty()) out += ", port " + v.port_name();
  out += "\nState:       " + painted(style, state.colour, state.text);
  out += "\nMode:        " + std::string(word(v.mode())) + ", a Maglev table of " + number(v.table_size()) + " slots\n";
  out += show_counters(v);
  Table t(style, {"BACKEND", "STATE", "WEIGHT", wide("CONNECTIONS"), "LIVE", "PACKETS", wide("BYTES"), "SLICE", "POD",
                  "NODE"});
  bool any = false;
  for (const auto& b : r.backends()) {
    if (b.vip() != v.vip() || b.vip_port() != v.port() || b.protocol() != v.protocol()) continue;
    any = true;
    t.add(backend_cells(b));
  }
  return out + (any ? t.str() : "No backends.\n");
}

}  // namespace

std::string show(const v1::GetServiceResponse& r, const Style& style) {
  std::string out = show(r.problems(), style);
  const bool known = std::ranges::any_of(r.objects(), [](const auto& o) { return o.object().starts_with("Service "); });
  if (!known) out += "Service:     none that is well-formed\n";
  for (const auto& o : r.objects())
    out += "Object:      " + o.object() + " in " + place(o.file(), o.document(), o.line()) +
           (o.former_in_force() ? ": in force is a former form of it\n" : "\n");
  if (r.left_out()) out += "Left out:    it isn't the gateway's: it has no VIP, is headless or of another class\n";
  for (const auto& v : r.vips()) out += show_vip(r, v, style);
  return out;
}

}  // namespace guideway::mgmt
