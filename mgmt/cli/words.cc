#include "mgmt/cli/words.h"

#include <cctype>

namespace guideway::mgmt {

std::string duration(uint64_t seconds) {
  if (seconds < 120) return number(seconds) + "s";
  if (seconds < 7200) return number(seconds / 60) + "m";
  if (seconds < 172800) return number(seconds / 3600) + "h";
  return number(seconds / 86400) + "d";
}

const char* word(v1::Protocol p) {
  if (p == v1::PROTOCOL_SCTP) return "SCTP";
  return p == v1::PROTOCOL_UDP ? "UDP" : "TCP";
}

const char* word(v1::ForwardingMode m) {
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

const char* word(v1::VipRow::State s) {
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

const char* word(v1::BackendRow::State s) {
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

const char* word(v1::ConnectionRow::State s) {
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

const char* word(v1::Program p) { return p == v1::PROGRAM_ENGINE ? "engine" : "daemon"; }

const char* word(v1::LogLevel l) {
  switch (l) {
    case v1::LOG_LEVEL_TRACE:
      return "trace";
    case v1::LOG_LEVEL_DEBUG:
      return "debug";
    case v1::LOG_LEVEL_INFO:
      return "info";
    case v1::LOG_LEVEL_WARN:
      return "warn";
    case v1::LOG_LEVEL_ERROR:
      return "error";
    case v1::LOG_LEVEL_OFF:
      return "off";
    default:
      return "?";
  }
}

std::string upper(std::string text) {
  for (char& l : text) l = static_cast<char>(std::toupper(static_cast<unsigned char>(l)));
  return text;
}

std::string endpoint(const std::string& address, uint32_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + (port == 0 ? "*" : number(port));
}

std::string service_name(const std::string& ns, const std::string& name) {
  return name.empty() ? std::string() : ns + "/" + name;
}

std::string weight(const v1::BackendRow& r) { return number(r.weight()) + (r.weight_set() ? " (set)" : ""); }

std::string place(const std::string& file, uint32_t document, uint32_t line) {
  std::string out = file;
  if (line != 0) out += ":" + number(line);
  if (document != 0) out += " (document " + number(document) + ")";
  return out;
}

RowKey key_of(const v1::VipRow& r) {
  return {r.namespace_(), r.name(), r.port_name(), endpoint(r.vip(), r.port()), word(r.protocol())};
}

RowKey vip_key_of(const v1::BackendRow& r) {
  return {r.namespace_(), r.name(), r.port_name(), endpoint(r.vip(), r.vip_port()), word(r.protocol())};
}

RowKey key_of(const v1::BackendRow& r) {
  RowKey key = vip_key_of(r);
  key.push_back(endpoint(r.address(), r.port()));
  return key;
}

}  // namespace guideway::mgmt
