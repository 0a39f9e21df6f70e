// A frame as people read it: header by header, each with its bytes. Pure; takes whatever bytes there are.
#pragma once

#include <string>
#include <string_view>

namespace guideway::mgmt {

// A line for each header and one or more with its bytes, in hex; of a long payload the first bytes. Every line begins
// with `indent`.
std::string frame_text(std::string_view frame, const std::string& indent);

// Its headers in one line, without their bytes: "IPv4 203.0.113.7 -> 192.0.2.10, TTL 64, 40 bytes, DF; TCP 40000 -> 80
// SYN".
std::string packet_text(std::string_view frame);

// By the number of the protocol: "TCP".
std::string protocol_text(uint32_t ip_protocol);

}  // namespace guideway::mgmt
