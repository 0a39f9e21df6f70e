#include "mgmt/cli/printable.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "log/printable.h"

namespace guideway::mgmt {

void make_printable(google::protobuf::Message& message) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& access = *message.GetReflection();
  std::vector<const Field*> set;
  access.ListFields(message, &set);
  for (const Field* f : set) {
    const int n = f->is_repeated() ? access.FieldSize(message, f) : 1;
    for (int i = 0; i < n; ++i) {
      if (f->cpp_type() == Field::CPPTYPE_MESSAGE)
        make_printable(f->is_repeated() ? *access.MutableRepeatedMessage(&message, f, i)
                                        : *access.MutableMessage(&message, f));
      else if (f->type() == Field::TYPE_STRING && f->is_repeated())
        access.SetRepeatedString(&message, f, i, log::printable(access.GetRepeatedString(message, f, i)));
      else if (f->type() == Field::TYPE_STRING)
        access.SetString(&message, f, log::printable(access.GetString(message, f)));
    }
  }
}

std::string printable_lines(const std::string& text) {
  std::string out;
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    if (from > 0) out += '\n';
    out += log::printable(std::string_view(text).substr(from, end - from));
    from = end + 1;
  }
  return out;
}

}  // namespace guideway::mgmt
