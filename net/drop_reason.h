/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * The one list of reasons for which a packet doesn't arrive. C, so that BPF counts with the same numbers.
 * The name is what metrics, the contract and `guideway status` show; the text says what it means. Append only.
 */
#pragma once

/* clang-format off */
#define GW_DROP_REASONS(X)                                                                       \
  X(NONE,                 "none",                 "not dropped")                                 \
  X(TRUNCATED,            "truncated",            "shorter than its headers say")                \
  X(NOT_IP,               "not_ip",               "neither IPv4 nor IPv6")                       \
  X(BAD_IP_HEADER,        "bad_ip_header",        "version, header length or total length is wrong") \
  X(BAD_IP_CHECKSUM,      "bad_ip_checksum",      "the IPv4 header checksum is wrong")           \
  X(BAD_L4_HEADER,        "bad_l4_header",        "a TCP, UDP or SCTP header with a wrong length")     \
  X(BAD_ADDRESS,          "bad_address",          "an address that no packet may have: a source of multicast, loopback or zero; ::ffff:0:0/96") \
  X(FRAGMENT,             "fragment",             "a fragment of what has no ports, of SCTP in nat, or a later one quoted by an ICMP error")     \
  X(ICMP_UNSUPPORTED,     "icmp_unsupported",     "an ICMP message that is neither an error of a flow nor an echo request")    \
  X(PROTOCOL_UNSUPPORTED, "protocol_unsupported", "neither TCP, UDP nor SCTP")                         \
  X(LOOP,                 "loop",                 "our own encapsulated or translated packet came back") \
  X(NO_VIP,               "no_vip",               "its destination is no VIP")                   \
  X(NO_BACKEND,           "no_backend",           "the service has no backend to send it to")    \
  X(NO_CONNECTION,        "no_connection",        "belongs to no known connection and can't begin one") \
  X(CONNECTIONS_FULL,     "connections_full",     "nat needs a connection entry and the table is full") \
  X(NO_SNAT_ADDRESS,      "no_snat_address",      "nat without an SNAT address of this family")  \
  X(NO_SNAT_PORT,         "no_snat_port",         "no free SNAT port towards this real")         \
  X(HANDOVER_FULL,        "handover_full",        "the ring to the worker that owns the flow is full") \
  X(TTL_EXCEEDED,         "ttl_exceeded",         "its TTL or hop limit ended here")             \
  X(MTU_EXCEEDED,         "mtu_exceeded",         "too large for the next link once it is encapsulated") \
  X(NO_HEADROOM,          "no_headroom",          "no room in the buffer for the outer headers") \
  X(NO_ENCAP_SOURCE,      "no_encap_source",      "no address of ours to encapsulate from")      \
  X(NO_ROUTE,             "no_route",             "no route to where it goes")                   \
  X(NO_NEIGHBOR,          "no_neighbor",          "the next hop's MAC address isn't known (yet)") \
  X(FOREIGN_PORT,         "foreign_port",         "would leave by an interface that isn't the engine's") \
  X(NOT_ON_LINK,          "not_on_link",          "dsr-l2 to a real that isn't on a link of ours") \
  X(TX_FULL,              "tx_full",              "the port's transmit queue is full")           \
  X(NO_SOCKET,            "no_socket",            "only the engine can serve it, and none listens (counted by XDP)") \
  X(BAD_ICMP,             "bad_icmp",             "an ICMP error that doesn't quote its receiver, or an echo request with a wrong checksum") \
  X(EXTENSION_HEADERS,    "extension_headers",    "more IPv6 extension headers than 8") \
  X(NO_BUFFER,            "no_buffer",            "no free packet buffer for a piece of it") \
  X(SOURCE_DENIED,        "source_denied",        "the service's source ranges leave this client out") \
  X(FLOOD_GUARD,          "flood_guard",          "more new flows than the flood guard admits, and nat needs an entry") \
  X(FRAGMENT_TIMEOUT,     "fragment_timeout",     "a fragment whose datagram's first one didn't come in time") \
  X(FRAGMENTS_FULL,       "fragments_full",       "too many fragmented datagrams at once, or too many fragments before their first") \
  X(NOT_ANNOUNCED,        "not_announced",        "asked on the link for an address that isn't announced, or has no backend") \
  X(BAD_QUESTION,         "bad_question",         "ARP or neighbour discovery that is malformed, or asks nothing") \
  X(RX_FULL,              "rx_full",              "the port's receive ring is full (counted by the kernel)") \
  X(SOURCE_FILTERED,      "source_filtered",      "a SourceFilter denies its source (counted by XDP)") \
  X(SOURCE_RATE,          "source_rate",          "more packets a second from its source's prefix than a SourceFilter admits (counted by XDP)") \
  X(VIP_RATE,             "vip_rate",             "more packets a second to the VIP than its Service admits (counted by XDP)")
/* clang-format on */

#define GW_DROP_ENUM(symbol, name, text) GW_DROP_##symbol,
enum gw_drop_reason { GW_DROP_REASONS(GW_DROP_ENUM) GW_DROP_COUNT };
#undef GW_DROP_ENUM

#ifdef __cplusplus
#include <array>
#include <cstdint>
#include <string_view>

namespace guideway::net {

#define GW_DROP_ENUM(symbol, name, text) symbol = GW_DROP_##symbol,
enum class DropReason : uint8_t { GW_DROP_REASONS(GW_DROP_ENUM) };
#undef GW_DROP_ENUM
inline constexpr size_t kDropReasons = GW_DROP_COUNT;

struct DropReasonText {
  std::string_view name;
  std::string_view text;
};
#define GW_DROP_TEXT(symbol, name, text) DropReasonText{name, text},
inline constexpr std::array<DropReasonText, kDropReasons> kDropReasonTexts{{GW_DROP_REASONS(GW_DROP_TEXT)}};
#undef GW_DROP_TEXT

constexpr std::string_view to_string(DropReason r) { return kDropReasonTexts[static_cast<size_t>(r)].name; }

}  // namespace guideway::net
#endif
