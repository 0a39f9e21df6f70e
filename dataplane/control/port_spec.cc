#include "dataplane/control/port_spec.h"

#include <absl/strings/str_cat.h>
#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "dataplane/path/tables.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

constexpr std::string_view kAfXdp = "af_xdp:";
constexpr std::string_view kDpdk = "dpdk:";

absl::Status wrong(const std::string& text, const std::string& remedy) {
  return log::failure(absl::StatusCode::kInvalidArgument, text, remedy);
}

absl::Status bad_port(const std::string& text, const char* why) {
  return wrong(absl::StrCat("--port ", text, ": ", why), "give af_xdp:IFNAME[:QUEUES] or dpdk:DEVARGS@NEXT_HOP_MAC");
}

absl::StatusOr<PortSpec> parse_af_xdp(const std::string& text, std::string_view rest) {
  PortSpec spec{.kind = PortSpec::Kind::kAfXdp, .name = std::string(rest.substr(0, rest.find(':')))};
  if (spec.name.empty()) return bad_port(text, "the interface's name is missing");
  if (spec.name.size() >= IFNAMSIZ) return bad_port(text, "an interface's name has at most 15 characters");
  const size_t colon = rest.find(':');
  if (colon == rest.npos) return spec;
  const std::string_view count = rest.substr(colon + 1);
  unsigned queues = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), queues);
  if (error != std::errc{} || end != count.data() + count.size() || queues == 0)
    return bad_port(text, "QUEUES is a number from 1 on");
  spec.queues = queues;
  return spec;
}

absl::StatusOr<PortSpec> parse_dpdk(const std::string& text, std::string_view rest) {
  const size_t at = rest.rfind('@');
  const auto mac = at == rest.npos ? std::nullopt : net::parse_mac(rest.substr(at + 1));
  if (!mac) return bad_port(text, "its next hop's MAC address is missing");
  if (at == 0) return bad_port(text, "the device is missing");
  return PortSpec{
      .kind = PortSpec::Kind::kDpdk, .name = std::string(rest.substr(0, at)), .queues = {}, .next_hop = *mac};
}

absl::StatusOr<PortSpec> parse_port(const std::string& text) {
  const std::string_view view = text;
  if (view.starts_with(kAfXdp)) return parse_af_xdp(text, view.substr(kAfXdp.size()));
  if (view.starts_with(kDpdk)) return parse_dpdk(text, view.substr(kDpdk.size()));
  return bad_port(text, "not a kind of port");
}

std::string device(const PortSpec& p) { return p.name.substr(0, p.name.find(',')); }

}  // namespace

absl::StatusOr<std::vector<PortSpec>> parse_ports(std::span<const std::string> texts) {
  if (texts.empty()) return wrong("no port", "give at least one --port");
  if (texts.size() > path::kMaxPorts)
    return wrong(absl::StrCat(texts.size(), " ports"), absl::StrCat("give at most ", path::kMaxPorts));
  std::vector<PortSpec> ports;
  for (const std::string& text : texts) {
    absl::StatusOr<PortSpec> p = parse_port(text);
    if (!p.ok()) return p.status();
    if (std::ranges::find(ports, device(*p), device) != ports.end())
      return wrong(absl::StrCat("--port ", text, " names ", device(*p), " again"), "name it once");
    ports.push_back(*std::move(p));
  }
  return ports;
}

}  // namespace guideway::control
