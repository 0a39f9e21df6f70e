// filters: whose packets are dropped first of all.
#include <memory>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/pages.h"

namespace guideway::mgmt {
namespace {

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
  const auto rows = [](auto& r) { return r.mutable_prefixes(); };
  if (const auto s = ask_pages(client, &v1::Appliance::Stub::ListDeniedPrefixes, request, o.limit, rows, all); !s.ok())
    return client.fail(s, kNames);
  const int code = client.print(all);
  if (!all.next_page_token().empty()) std::cerr << "guideway: there are more: " << show_more(o.limit) << "\n";
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
  add_limit(*sub, o->limit);
  filters->callback([&client, filters, sub, o] {
    client.exit_code =
        filters->got_subcommand(sub) ? prefixes(client, *o) : client.call(&v1::Appliance::Stub::ListSourceFilters);
  });
}

}  // namespace guideway::mgmt
