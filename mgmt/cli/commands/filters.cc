// filters: whose packets are dropped first of all.
#include <algorithm>
#include <memory>

#include "mgmt/cli/commands.h"

namespace guideway::mgmt {
namespace {

constexpr uint32_t kMaxPage = 1'000;  // that the daemon gives

const OptionNames kNames{{"filter", "--filter"}, {"address", "--address"}};

struct Options {
  std::string filter;
  std::string address;
  uint32_t limit = 100;
};

int prefixes(Client& client, const Options& o) {
  v1::ListDeniedPrefixesRequest request;
  request.set_filter(o.filter);
  request.set_address(o.address);
  v1::ListDeniedPrefixesResponse all;
  do {
    v1::ListDeniedPrefixesResponse page;
    request.set_page_size(std::min(o.limit - static_cast<uint32_t>(all.prefixes_size()), kMaxPage));
    request.set_page_token(all.next_page_token());
    if (const grpc::Status s = client.ask(&v1::Appliance::Stub::ListDeniedPrefixes, request, &page); !s.ok())
      return client.fail(s, kNames);
    all.set_next_page_token(page.next_page_token());
    all.mutable_prefixes()->MergeFrom(page.prefixes());
  } while (!all.next_page_token().empty() && static_cast<uint32_t>(all.prefixes_size()) < o.limit);
  const int code = client.print(all);
  if (!all.next_page_token().empty())
    std::cerr << "guideway: there are more: --limit " << uint64_t{o.limit} * 10 << " shows more\n";
  return code;
}

}  // namespace

void add_filters(CLI::App& app, Client& client) {
  CLI::App* filters =
      client.command(app, "filters", "SourceFilters, whose packets are dropped first of all: a line each");
  const auto o = std::make_shared<Options>();
  CLI::App* sub = client.command(*filters, "prefixes", "The prefixes that they deny, or that an address is in");
  sub->add_option("--filter", o->filter, "Those of one SourceFilter")->type_name("NAME");
  sub->add_option("--address", o->address, "Those that it is in")->type_name("ADDRESS");
  sub->add_option("--limit", o->limit, "Show at most so many")
      ->check(CLI::Range(1U, 1'000'000U, "1 to 1000000"))
      ->capture_default_str()
      ->type_name("N");
  filters->callback([&client, filters, sub, o] {
    client.exit_code =
        filters->got_subcommand(sub) ? prefixes(client, *o) : client.call(&v1::Appliance::Stub::ListSourceFilters);
  });
}

}  // namespace guideway::mgmt
