// Two samples of the API's counters as rates, sorted, and as text. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/cli/style.h"
#include "mgmt/cli/top.pb.h"

namespace guideway::mgmt {

// Each answer with the time at which it came: what the daemon and the engine needed for it isn't always the same.
struct Sample {
  template <typename Response>
  struct Timed {
    Response response;
    std::chrono::steady_clock::time_point at;
  };
  Timed<v1::ListServicesResponse> services;
  Timed<v1::ListBackendsResponse> backends;
  Timed<v1::ListDropsResponse> drops;
};

enum class TopSort : uint8_t { kPackets, kBits, kConnections, kLive };
inline constexpr const char* kTopSorts[] = {"packets", "bits", "connections", "live"};

// A counter that fell began anew, with the engine: it counts from zero then.
cli::Top rates_between(const Sample& before, const Sample& now, TopSort sort);

// VIPs, each with its backends below it; one line each.
std::string show_table(const cli::Top& top, const Style& style);
// "Drops/s: no_backend 12".
std::string show_drops(const cli::Top& top, const Style& style);
// Three digits and a unit: "1.23M".
std::string short_number(double n);

}  // namespace guideway::mgmt
