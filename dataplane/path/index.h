// Indices are types: a real's can't be taken for a service's. Each has a value that means "none".
#pragma once

#include <cstdint>

namespace guideway::path {

enum class ServiceIndex : uint32_t {};
enum class RealIndex : uint32_t {};
enum class RouteIndex : uint32_t {};
enum class NextHopIndex : uint32_t {};

template <typename Index>
inline constexpr Index kNone = static_cast<Index>(0xffffffffU);

// The row that every table of routes begins with: no way leads there.
inline constexpr RouteIndex kNoRoute{0};

}  // namespace guideway::path
