// An address with or without a port, as people write it. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace guideway::mgmt {

// "192.0.2.10", "192.0.2.10:80", "2001:db8::10" or "[2001:db8::10]:80"; what is an address the daemon says. False if
// the port is none.
bool split_endpoint(const std::string& text, std::string* address, uint32_t* port);

}  // namespace guideway::mgmt
