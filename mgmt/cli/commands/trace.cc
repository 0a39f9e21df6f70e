#include <absl/strings/str_split.h>

#include <map>
#include <memory>
#include <vector>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/endpoint.h"

namespace guideway::mgmt {
namespace {

using Request = v1::TraceRequest;

constexpr int kNotForwarded = 3;
constexpr uint32_t kMaxNumber = ~0U;  // of what the daemon has bounds of its own for

const std::map<std::string, Request::TcpFlag> kFlags{{"fin", Request::TCP_FLAG_FIN},
                                                     {"syn", Request::TCP_FLAG_SYN},
                                                     {"rst", Request::TCP_FLAG_RST},
                                                     {"psh", Request::TCP_FLAG_PSH},
                                                     {"ack", Request::TCP_FLAG_ACK}};
const std::map<std::string, Request::SctpChunk> kChunks{{"init", Request::SCTP_CHUNK_INIT},
                                                        {"data", Request::SCTP_CHUNK_DATA},
                                                        {"shutdown", Request::SCTP_CHUNK_SHUTDOWN},
                                                        {"abort", Request::SCTP_CHUNK_ABORT}};
const std::map<std::string, Request::IcmpError> kErrors{{"unreachable", Request::ICMP_ERROR_UNREACHABLE},
                                                        {"too-big", Request::ICMP_ERROR_TOO_BIG},
                                                        {"time-exceeded", Request::ICMP_ERROR_TIME_EXCEEDED},
                                                        {"parameter-problem", Request::ICMP_ERROR_PARAMETER_PROBLEM}};
const std::map<std::string, Request::Fragment> kFragments{{"first", Request::FRAGMENT_FIRST},
                                                          {"later", Request::FRAGMENT_LATER}};
const std::map<std::string, v1::Protocol> kProtocols{{"tcp", v1::PROTOCOL_TCP},
                                                     {"udp", v1::PROTOCOL_UDP},
                                                     {"sctp", v1::PROTOCOL_SCTP},
                                                     {"icmp", v1::PROTOCOL_UNSPECIFIED}};

const OptionNames kNames{{"source", "from"},
                         {"source_port", "from"},
                         {"destination", "to"},
                         {"destination_port", "to"},
                         {"port", "--port"},
                         {"queue", "--queue"},
                         {"tcp_flags", "--flags"},
                         {"sctp_chunk", "--chunk"},
                         {"size", "--size"},
                         {"ttl", "--ttl"},
                         {"may_fragment", "--no-df"},
                         {"fragment", "--fragment"},
                         {"fragment_id", "--id"},
                         {"icmp_error", "--icmp-error"},
                         {"icmp_source", "--icmp-from"}};

struct Options {
  std::string protocol;
  std::string source;
  std::string destination;
  std::vector<std::string> flags;
  std::string chunk;
  std::string icmp_error;
  std::string fragment;
  uint32_t size = 0;
  uint32_t ttl = 0;
  uint32_t queue = 0;
  uint32_t id = 0;
  bool no_df = false;
  std::string port;
  std::string icmp_source;
};

template <typename Value>
Value value_of(const std::map<std::string, Value>& values, const std::string& word) {
  const auto found = values.find(word);
  return found == values.end() ? Value{} : found->second;
}

template <typename Value>
std::vector<std::string> words(const std::map<std::string, Value>& values) {
  std::vector<std::string> all;
  for (const auto& [word, value] : values) all.push_back(word);
  return all;
}

// What is wrong with an end, or nothing. Whether the rest is an address, the daemon says.
std::string read_end(const std::string& text, bool with_port, std::string* address, uint32_t* port) {
  if (!split_endpoint(text, address, port) || (*port != 0) != with_port)
    return text + (with_port ? " isn't ADDRESS:PORT, as 192.0.2.10:80 or [2001:db8::10]:80"
                             : " isn't ADDRESS: an echo request has no ports");
  return "";
}

// "fin,ack" or "fin|ack": what it names.
std::vector<std::string> split_flags(const std::string& text) { return absl::StrSplit(text, absl::ByAnyChar(",|")); }

// Each of them one of TCP's.
std::string check_flags(const std::string& text) {
  const CLI::IsMember one_of_them(words(kFlags), CLI::ignore_case);
  for (std::string flag : split_flags(text))
    if (std::string wrong = one_of_them(flag); !wrong.empty()) return wrong;
  return "";
}

int trace(Client& client, const Options& o) {
  Request q;
  const bool echo = o.protocol == "icmp";
  std::string source;
  std::string destination;
  uint32_t source_port = 0;
  uint32_t destination_port = 0;
  for (const std::string& wrong : {read_end(o.source, !echo, &source, &source_port),
                                   read_end(o.destination, !echo, &destination, &destination_port)})
    if (!wrong.empty()) return wrong_usage(wrong);
  q.set_protocol(value_of(kProtocols, o.protocol));
  q.set_echo(echo);
  q.set_source(source);
  q.set_source_port(source_port);
  q.set_destination(destination);
  q.set_destination_port(destination_port);
  for (const std::string& text : o.flags)
    for (const std::string& flag : split_flags(text)) q.add_tcp_flags(value_of(kFlags, CLI::detail::to_lower(flag)));
  q.set_sctp_chunk(value_of(kChunks, o.chunk));
  q.set_icmp_error(value_of(kErrors, o.icmp_error));
  q.set_icmp_source(o.icmp_source);
  q.set_fragment(value_of(kFragments, o.fragment));
  q.set_fragment_id(o.id);
  q.set_port(o.port);
  q.set_queue(o.queue);
  q.set_size(o.size);
  q.set_ttl(o.ttl);
  q.set_may_fragment(o.no_df);
  v1::TraceResponse r;
  if (const grpc::Status s = client.ask(&v1::Appliance::Stub::Trace, q, &r); !s.ok()) return client.fail(s, kNames);
  const int code = client.print(r);
  const bool leaves =
      r.outcome() == v1::TraceResponse::OUTCOME_FORWARDED || r.outcome() == v1::TraceResponse::OUTCOME_ANSWERED;
  return code == 0 && !leaves ? kNotForwarded : code;
}

}  // namespace

void add_trace(CLI::App& app, Client& client) {
  const auto o = std::make_shared<Options>();
  CLI::App* sub =
      client.command(app, "trace",
                     "What would become of a packet, and why: it is made up, goes the path of real ones, and "
                     "is neither sent nor counted");
  sub->add_option("protocol", o->protocol, "tcp, udp, sctp, or icmp for an echo request")
      ->required()
      ->transform(CLI::IsMember(words(kProtocols), CLI::ignore_case))
      ->type_name("PROTOCOL");
  sub->add_option("from", o->source, "Where it comes from; an IPv6 address in brackets")
      ->required()
      ->type_name("ADDRESS:PORT");
  sub->add_option("to", o->destination, "Where it goes, as a VIP")->required()->type_name("ADDRESS:PORT");
  sub->add_option("--port", o->port, "Port of the engine that it comes in by; by default the first")->type_name("NAME");
  sub->add_option("--queue", o->queue, "Receive queue of that port, which says who looks at it first")
      ->check(whole_number(0, kMaxNumber))
      ->capture_default_str()
      ->type_name("N");
  sub->add_option("--flags", o->flags, "TCP's flags, as syn or fin,ack; by default syn")
      ->check(CLI::Validator(check_flags, CLI::IsMember(words(kFlags)).get_description()))
      ->allow_extra_args(false)
      ->type_name("FLAG[,FLAG...]");
  sub->add_option("--chunk", o->chunk, "SCTP's chunk; by default init")
      ->transform(CLI::IsMember(words(kChunks), CLI::ignore_case))
      ->type_name("CHUNK");
  sub->add_option("--size", o->size, "Bytes of IP; by default the headers alone")
      ->check(whole_number(0, kMaxNumber))
      ->type_name("N");
  sub->add_option("--ttl", o->ttl, "TTL or hop limit; by default 64")->check(whole_number(1, 255))->type_name("N");
  sub->add_flag("--no-df", o->no_df, "IPv4 that may be fragmented");
  CLI::Option* fragment =
      sub->add_option("--fragment", o->fragment, "A fragment of a datagram: the first, or a later one")
          ->transform(CLI::IsMember(words(kFragments), CLI::ignore_case))
          ->type_name("WHICH");
  sub->add_option("--id", o->id, "The datagram's, which all its fragments have")
      ->check(whole_number(0, kMaxNumber))
      ->needs(fragment)
      ->type_name("N");
  CLI::Option* error =
      sub->add_option("--icmp-error", o->icmp_error,
                      "Instead of the packet, an ICMP error about one that came back from where it goes")
          ->transform(CLI::IsMember(words(kErrors), CLI::ignore_case))
          ->type_name("KIND");
  sub->add_option("--icmp-from", o->icmp_source, "Router that the error comes from; by default the packet's source")
      ->needs(error)
      ->type_name("ADDRESS");
  sub->callback([&client, o] { client.exit_code = trace(client, *o); });
}

}  // namespace guideway::mgmt
