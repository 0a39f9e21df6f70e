// The API's numbers and names as people read them. Pure.
#pragma once

#include <string>
#include <vector>

#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {

inline std::string number(uint64_t n) { return std::to_string(n); }
// "90s", "90m", "47h", "3d".
std::string duration(uint64_t seconds);
// "192.0.2.10:80", "[2001:db8::10]:80"; port 0 is "*".
std::string endpoint(const std::string& address, uint32_t port);
// "demo/web"; empty if it has no name.
std::string service_name(const std::string& ns, const std::string& name);
// "2", and whether it was set beside what the EndpointSlice says.
std::string weight(const v1::BackendRow& r);
// Where a file, a document of it and a line are, as far as they are known: "web.yaml:61 (document 3)".
std::string place(const std::string& file, uint32_t document, uint32_t line);

// What tells a row from all others, as people read it: namespace, name, port, VIP, protocol, and of a backend itself.
using RowKey = std::vector<std::string>;
RowKey key_of(const v1::VipRow& r);
RowKey key_of(const v1::BackendRow& r);
RowKey vip_key_of(const v1::BackendRow& r);  // of the VIP that it serves

// "UDP", as enumerators are written.
std::string upper(std::string text);

const char* word(v1::Protocol p);              // "TCP"
const char* word(v1::ForwardingMode m);        // "dsr-ipip"
const char* word(v1::VipRow::State s);         // "Programmed"
const char* word(v1::BackendRow::State s);     // "not-ready"
const char* word(v1::ConnectionRow::State s);  // "established"
const char* word(v1::Program p);               // "daemon"
const char* word(v1::LogLevel l);              // "info"

}  // namespace guideway::mgmt
