// Lists that come page by page, up to a limit that the user gives.
#pragma once

#include <algorithm>
#include <string>

#include "mgmt/cli/client.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {

inline constexpr uint32_t kMaxLimit = 1'000'000;  // rows

inline CLI::Option* add_limit(CLI::App& sub, uint32_t& limit) {
  return sub.add_option("--limit", limit, "Show at most so many")
      ->check(whole_number(1, kMaxLimit))
      ->capture_default_str()
      ->type_name("N");
}

// How to see what is beyond the limit.
inline std::string show_more(uint32_t limit) {
  if (limit == kMaxLimit) return "other options show them in parts";
  return "--limit " + number(std::min(uint64_t{limit} * 10, uint64_t{kMaxLimit})) + " shows more";
}

// `rows` gives a response's. There are more where the last page has a token still.
template <typename Request, typename Response, typename Rows>
grpc::Status ask_pages(Client& client, Client::Method<Request, Response> method, Request request, uint32_t limit,
                       Rows rows, Response& all) {
  do {
    Response page;
    request.set_page_size(limit - static_cast<uint32_t>(rows(all)->size()));  // guidewayd gives what it can of these
    request.set_page_token(all.next_page_token());
    if (grpc::Status s = client.ask(method, request, &page); !s.ok()) return s;
    all.set_next_page_token(page.next_page_token());
    rows(all)->MergeFrom(*rows(page));
  } while (!all.next_page_token().empty() && static_cast<uint32_t>(rows(all)->size()) < limit);
  return grpc::Status::OK;
}

}  // namespace guideway::mgmt
