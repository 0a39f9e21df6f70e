// Whatever a peer sends, or the saved state's file holds: frames, messages, decoded entries, batches.
#include <cstdint>
#include <string>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/contract/state.h"

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
    if (!state.take(**message).ok()) state.abandon();
  }
}
