#include "mgmt/cli/show.h"

#include <catch2/catch.hpp>

#include "mgmt/cli/printable.h"
#include "mgmt/cli/table.h"

namespace guideway::mgmt {
namespace {

TEST_CASE("tables: columns, wide ones, and colours that change no width", "[show]") {
  const auto shown = [](Style style) {
    Table t(style, {"NAME", wide("TABLE"), "STATE", "LIVE"});
    t.add({"web", "251", Cell("Refused", Colour::kRed), "1"});
    t.add({"a-long-name", "", Cell("?", Colour::kYellow), ""});
    return t.str();
  };
  CHECK(shown({}) ==
        "NAME          STATE     LIVE\n"
        "web           Refused   1\n"
        "a-long-name   ?         -\n");
  CHECK(shown({.wide = true}) ==
        "NAME          TABLE   STATE     LIVE\n"
        "web           251     Refused   1\n"
        "a-long-name   -       ?         -\n");
  CHECK(shown({.colours = true}) ==
        "NAME          STATE     LIVE\n"
        "web           \x1b[31mRefused\x1b[0m   1\n"
        "a-long-name   \x1b[33m?\x1b[0m         -\n");
}

TEST_CASE("what isn't as it should be has a colour, and nothing else", "[show]") {
  const Style coloured{.wide = true, .colours = true};
  v1::ListServicesResponse services;
  services.add_services()->set_state(v1::VipRow::STATE_PROGRAMMED);
  v1::ListBackendsResponse backends;
  backends.add_backends()->set_state(v1::BackendRow::STATE_DRAINING);
  v1::GetStatusResponse status;
  status.mutable_engine()->set_connected(true);
  CHECK(show(services, coloured).find('\x1b') == std::string::npos);
  CHECK(show(backends, coloured).find('\x1b') == std::string::npos);
  CHECK(show(status, coloured).find('\x1b') == std::string::npos);

  services.mutable_services(0)->set_state(v1::VipRow::STATE_REFUSED);
  backends.mutable_backends(0)->set_state(v1::BackendRow::STATE_NOT_READY);
  status.add_problems()->set_text("mend it");
  CHECK(show(services, coloured).find("\x1b[31mRefused\x1b[0m") != std::string::npos);
  CHECK(show(backends, coloured).find("\x1b[33mnot-ready\x1b[0m") != std::string::npos);
  CHECK(show(status, coloured).find("\x1b[31mPROBLEMS (1):\x1b[0m") != std::string::npos);
  status.mutable_engine()->set_trouble("it hangs");
  CHECK(show(status, coloured).find("\x1b[31m, DOESN'T ANSWER\x1b[0m") != std::string::npos);
  status.mutable_engine()->set_connected(false);
  CHECK(show(status, coloured).find("\x1b[31mEngine:      NOT CONNECTED") != std::string::npos);
}

TEST_CASE("nothing that an answer holds commands the terminal, or begins a line", "[show]") {
  v1::GetStatusResponse status;
  auto& p = *status.add_problems();
  p.set_file("a\x1b[2J.yaml");
  p.set_field("metadata.annotations[\"a\nb\"]");
  p.set_text("isn't known");
  status.add_skipped()->set_kind("De\x1b[31mployment\nDaemon: all is well");
  status.mutable_engine()->set_trouble("\x7f");
  const std::string text = show(printable(status), {});
  INFO(text);
  CHECK(text.find_first_of("\x1b\x7f") == std::string::npos);
  CHECK(text.find("  ! a\\x1b[2J.yaml\n    metadata.annotations[\"a\\nb\"]\n      isn't known\n") != std::string::npos);
  CHECK(text.find("0 De\\x1b[31mployment\\nDaemon: all is well\n") != std::string::npos);

  v1::ListServicesResponse services;
  services.add_services()->set_name("web\x1b[2J");
  services.mutable_services(0)->set_port_name("\u009b");
  CHECK(show(printable(services), {.wide = true}).find("web\\x1b[2J   \\x9b   ") != std::string::npos);
  v1::TraceFrame bytes;
  bytes.set_frame("\n\x1b");
  CHECK(printable(bytes).frame() == "\n\x1b");
  CHECK(printable_lines("a\x1b\nb\n") == "a\\x1b\nb\n");
}

TEST_CASE("status: the wide form has more: files, memory and whose generations", "[show]") {
  v1::GetStatusResponse status;
  status.mutable_desired()->set_instance(17);
  status.mutable_desired()->set_counter(8);
  status.mutable_applied()->set_instance(16);
  status.mutable_applied()->set_counter(7);
  auto& f = *status.add_files();
  f.set_path("m/web.yaml");
  f.set_objects(2);
  f.set_problems(1);
  status.mutable_engine()->set_connected(true);
  status.mutable_engine()->mutable_status()->set_memory_bytes(300 << 20);
  const std::string text = show(status, {});
  CHECK(text.find("Generation:  8 desired, 7 applied\n") != std::string::npos);
  CHECK(text.find("plain memory\n") != std::string::npos);
  CHECK(text.find("web.yaml") == std::string::npos);
  const std::string all = show(status, {.wide = true});
  CHECK(all.find("Generation:  8 (instance 17) desired, 7 (instance 16) applied\n") != std::string::npos);
  CHECK(all.find("plain memory, 300 MB\n") != std::string::npos);
  CHECK(all.ends_with("\n\nFILE         OBJECTS   PROBLEMS\nm/web.yaml   2         1\n"));
  CHECK(show(status, {.wide = true, .colours = true}).find("\x1b[31m1\x1b[0m") != std::string::npos);
}

// IPv4 and names of usual length fit what a terminal of 120 columns shows.
TEST_CASE("tables without wide columns fit a terminal", "[show]") {
  v1::ListServicesResponse services;
  auto& s = *services.add_services();
  s.set_namespace_("production");
  s.set_name("checkout");
  s.set_vip("198.51.100.123");
  s.set_port(443);
  s.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
  s.set_backends_ready(100);
  s.set_backends_total(100);
  s.set_state(v1::VipRow::STATE_PROGRAMMED);
  s.mutable_counters()->set_live_connections(12'345);
  s.mutable_counters()->set_packets(1'234'567'890);
  v1::ListBackendsResponse backends;
  auto& b = *backends.add_backends();
  b.set_namespace_("production");
  b.set_name("checkout");
  b.set_vip("198.51.100.123");
  b.set_vip_port(443);
  b.set_address("10.123.100.200");
  b.set_port(8443);
  b.set_state(v1::BackendRow::STATE_TERMINATING);
  b.set_weight(1);
  *b.mutable_counters() = s.counters();
  v1::ListConnectionsResponse connections;
  auto& c = *connections.add_connections();
  c.set_namespace_("production");
  c.set_name("checkout");
  for (auto* address : {c.mutable_client(), c.mutable_vip(), c.mutable_backend()}) *address = "198.51.100.1";
  c.set_client_port(40'000);
  c.set_vip_port(443);
  c.set_mode(v1::FORWARDING_MODE_NAT);
  c.set_backend_port(8443);
  c.set_state(v1::ConnectionRow::STATE_ESTABLISHED);
  for (const std::string& text : {show(services, {}), show(backends, {}), show(connections, {})}) {
    INFO(text);
    CHECK(text.find('\n') <= 120);
    CHECK(text.size() - text.find('\n') <= 122);  // the row, and two newlines
  }
}

}  // namespace
}  // namespace guideway::mgmt
