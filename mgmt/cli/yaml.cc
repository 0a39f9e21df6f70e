#include "mgmt/cli/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string_view>

namespace guideway::mgmt {
namespace {

// Plain, a string must not look like another type: IPv6 addresses are numbers of base 60 to YAML 1.1.
bool reads_as_string(std::string_view s) {
  constexpr std::array kWords = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  const auto same = [s](std::string_view word) {
    return std::ranges::equal(s, word, [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  };
  return !s.empty() && (std::isalpha(static_cast<unsigned char>(s[0])) != 0 || s[0] == '/') &&
         s.find('\n') == std::string_view::npos && std::ranges::none_of(kWords, same);
}

void use_block_style(yaml_event_t& e) {
  if (e.type == YAML_DOCUMENT_START_EVENT || e.type == YAML_DOCUMENT_END_EVENT) {
    (e.type == YAML_DOCUMENT_START_EVENT ? e.data.document_start.implicit : e.data.document_end.implicit) = 1;
  } else if (e.type == YAML_MAPPING_START_EVENT) {
    e.data.mapping_start.style = YAML_BLOCK_MAPPING_STYLE;
  } else if (e.type == YAML_SEQUENCE_START_EVENT) {
    e.data.sequence_start.style = YAML_BLOCK_SEQUENCE_STYLE;
  } else if (e.type == YAML_SCALAR_EVENT) {
    auto& s = e.data.scalar;
    const bool plain =
        s.style == YAML_PLAIN_SCALAR_STYLE || reads_as_string({reinterpret_cast<const char*>(s.value), s.length});
    s.style = plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    s.plain_implicit = s.quoted_implicit = 1;
  }
}

int append(void* out, unsigned char* bytes, size_t n) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), n);
  return 1;
}

}  // namespace

std::optional<std::string> yaml_of_json(const std::string& json) {
  yaml_parser_t parser;
  yaml_emitter_t emitter;
  if (yaml_parser_initialize(&parser) == 0) return std::nullopt;
  const std::unique_ptr<yaml_parser_t, decltype(&yaml_parser_delete)> parser_end(&parser, yaml_parser_delete);
  if (yaml_emitter_initialize(&emitter) == 0) return std::nullopt;
  const std::unique_ptr<yaml_emitter_t, decltype(&yaml_emitter_delete)> emitter_end(&emitter, yaml_emitter_delete);
  std::string out;
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(json.data()), json.size());
  yaml_emitter_set_output(&emitter, append, &out);
  yaml_emitter_set_unicode(&emitter, 1);
  yaml_emitter_set_width(&emitter, -1);  // no line is broken
  for (yaml_event_type_t type = YAML_NO_EVENT; type != YAML_STREAM_END_EVENT;) {
    yaml_event_t event;
    if (yaml_parser_parse(&parser, &event) == 0) return std::nullopt;
    type = event.type;
    use_block_style(event);
    if (yaml_emitter_emit(&emitter, &event) == 0) return std::nullopt;  // which takes the event
  }
  return out;
}

}  // namespace guideway::mgmt
