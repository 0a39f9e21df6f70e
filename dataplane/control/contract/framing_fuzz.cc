// Whatever a peer sends, or the saved state's file holds: frames, messages, decoded entries, batches, and packets that
// a trace asks for.
#include <cstdint>
#include <string>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/state.h"
#include "dataplane/control/synthetic_packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway::control;
  const std::string stream(reinterpret_cast<const char*>(bytes), size);
  ContractState state("/nonexistent", [](const Batch& batch) -> std::optional<Refusal> {
    for (const ServiceSpec& s : batch.services)
      if (s.name.empty() || !guideway::lb::is_table_size(s.table_size)) __builtin_trap();
    return std::nullopt;
  });
  for (size_t at = 0;;) {
    const size_t before = at;
    const auto message = take_frame(stream, &at);
    if (!message.ok() || !*message) return 0;
    if (at <= before || at > size) __builtin_trap();
    if ((*message)->has_trace_request()) {
      constexpr uint32_t kMtu = 1'500;
      const auto packet = synthetic_packet((*message)->trace_request(), {}, kMtu);
      if (packet.ok() && (packet->size() < 14 || packet->size() > kMtu + 14)) __builtin_trap();
    }
    if (!state.take(**message).ok()) state.abandon();
  }
}
