#include "mgmt/cli/top.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/terminal.h"

namespace guideway::mgmt {
namespace {

using Clock = std::chrono::steady_clock;

struct TopOptions {
  double interval = 1;
  std::string sort = kTopSorts[0];
  std::string service;
  uint32_t samples = 0;  // without end
  bool once = false;
};

TopSort sort_of(const TopOptions& o) {
  return static_cast<TopSort>(std::ranges::find(kTopSorts, o.sort) - std::begin(kTopSorts));
}

const char* name_of(TopSort sort) { return kTopSorts[static_cast<size_t>(sort)]; }

grpc::Status take(Client& client, const std::string& service, Sample& out) {
  using Api = v1::Appliance::Stub;
  grpc::Status s;
  const auto ask = [&](auto method, auto&& request, auto& timed) {
    if (!s.ok()) return;
    if constexpr (requires { request.name(); })
      if (!service.empty()) set_service(service, request);
    s = client.ask(method, request, &timed.response);
    timed.at = Clock::now();
  };
  ask(&Api::ListServices, v1::ListServicesRequest(), out.services);
  ask(&Api::ListBackends, v1::ListBackendsRequest(), out.backends);
  ask(&Api::ListDrops, v1::ListDropsRequest(), out.drops);
  return s;
}

// What a sample missed that took longer than this isn't caught up: nothing happens between two at once.
Clock::time_point after(Clock::time_point sample, Clock::duration interval) {
  const Clock::time_point now = Clock::now();
  return sample + interval > now ? sample + interval : now + interval;
}

int print(Client& client, const cli::Top& top, TopSort sort) {
  if (!client.for_people()) return client.print_message(top, Client::Layout::kLine);
  const cli::Top shown = printable(top);
  char over[32];
  std::snprintf(over, sizeof over, " over %.2f s, by ", top.seconds());
  return client.print_text(top.time() + over + name_of(sort) + "\n" + show_table(shown, client.style()) +
                           show_drops(shown, client.style()) + "\n");
}

// A sample that fails doesn't end it: an engine that is started again is back soon.
int print_samples(Client& client, const TopOptions& o, Clock::duration interval) {
  const TopSort sort = sort_of(o);
  Sample before;
  if (const grpc::Status s = take(client, o.service, before); !s.ok()) return client.fail(s);
  int code = 0;
  Clock::time_point next = Clock::now();
  for (uint32_t n = 0; o.samples == 0 || n < o.samples; ++n) {
    next = after(next, interval);
    std::this_thread::sleep_until(next);
    Sample now;
    if (const grpc::Status s = take(client, o.service, now); !s.ok()) {
      code = client.fail(s);
      continue;
    }
    if (print(client, rates_between(before, now, sort), sort) != 0) return kFailed;
    before = std::move(now);
  }
  return code;
}

// False: it is over.
bool handle(char key, TopSort& sort) {
  constexpr size_t kSorts = std::size(kTopSorts);
  auto index = static_cast<size_t>(sort);
  if (key == '>') index = (index + 1) % kSorts;
  if (key == '<') index = (index + kSorts - 1) % kSorts;
  for (size_t i = 0; i < kSorts; ++i)
    if (key == kTopSorts[i][0]) index = i;
  sort = static_cast<TopSort>(index);
  return key != 'q' && key != 'Q';
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// As many rows as there is room for, between the head and the drops.
std::vector<std::string> screen(const std::optional<cli::Top>& top, const std::string& trouble, TopSort sort,
                                const Style& style, size_t rows) {
  std::vector<std::string> lines = {"guideway top, by " + std::string(name_of(sort)) +
                                    "   (p)ackets (b)its (c)onnections (l)ive, or arrows; (q)uits"};
  if (!trouble.empty()) lines.push_back(painted(style, Colour::kRed, trouble));
  if (!top) {
    if (trouble.empty()) lines.emplace_back("measuring…");
    return lines;
  }
  const std::vector<std::string> table = lines_of(show_table(*top, style));
  const size_t room = rows > lines.size() + 1 ? rows - lines.size() - 1 : 0;
  lines.insert(lines.end(), table.begin(), table.begin() + static_cast<ptrdiff_t>(std::min(table.size(), room)));
  lines.push_back(lines_of(show_drops(*top, style)).front());
  return lines;
}

// Until it is ended: a daemon that doesn't answer may be back soon.
int watch(Client& client, const TopOptions& o, Clock::duration interval) {
  Terminal terminal;
  TopSort sort = sort_of(o);
  std::optional<Sample> before;
  std::optional<Sample> now;
  std::optional<cli::Top> top;
  std::string trouble;
  Clock::time_point next = Clock::now();
  while (true) {
    if (Clock::now() >= next) {
      Sample sample;
      const grpc::Status s = take(client, o.service, sample);
      trouble = s.ok() ? "" : client.explain(s);
      if (s.ok()) {
        before = std::move(now);
        now = std::move(sample);
      }
      next = after(next, interval);
    }
    if (before) top = printable(rates_between(*before, *now, sort));
    terminal.draw(screen(top, trouble, sort, client.style(), terminal.rows()));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    const Terminal::Event event = terminal.wait(left);
    if (event == Terminal::Event::kEnd) return 0;
    if (event == Terminal::Event::kKey && !handle(terminal.key(), sort)) return 0;
  }
}

int top(Client& client, TopOptions& o) {
  if (std::isnan(o.interval)) return wrong_usage("--interval: nan is no number of seconds");  // though in every range
  if (o.once) o.samples = 1;
  tell_unknown_service(client, o.service);
  const auto interval = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(o.interval));
  if (o.samples == 0 && client.for_people() && Terminal::there()) return watch(client, o, interval);
  return print_samples(client, o, interval);
}

}  // namespace

void add_top(CLI::App& app, Client& client) {
  const auto o = std::make_shared<TopOptions>();
  CLI::App* sub = client.command(
      app, "top", "Rates of VIPs and backends, live: packets, bits and new connections a second, and what is dropped");
  sub->add_option("--interval", o->interval, "Seconds between samples")
      ->check(CLI::Range(0.1, 3600.0, "0.1 to 3600"))
      ->capture_default_str()
      ->type_name("SECONDS");
  sub->add_option("--sort", o->sort, "What comes first: the most of these")
      ->check(CLI::IsMember({"packets", "bits", "connections", "live"}))
      ->capture_default_str()
      ->type_name("WHAT");
  sub->add_option("--service", o->service, "VIPs of one Service; namespace default if none is given")
      ->type_name("[NAMESPACE/]NAME");
  CLI::Option* samples = sub->add_option("-n,--samples", o->samples, "Print so many, one below the other, and end")
                             ->check(whole_number(1, 1'000'000))
                             ->type_name("N");
  sub->add_flag("--once", o->once, "The same as -n 1")->excludes(samples);
  sub->callback([&client, o] { client.exit_code = top(client, *o); });
}

}  // namespace guideway::mgmt
