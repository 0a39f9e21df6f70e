// Typed reading of one object's fields, for the decoders of each kind. A field that is wrong is reported with its line
// and path, and the object is refused; reading goes on, so that one look shows all that is wrong.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "mgmt/model/objects.h"
#include "mgmt/model/problem.h"
#include "mgmt/source/decode.h"
#include "mgmt/source/tree.h"

namespace guideway::mgmt {

class ObjectReader {
 public:
  ObjectReader(Field root, std::string_view file, uint32_t document, std::vector<Problem>& problems)
      : root_(root), file_(file), document_(document), problems_(problems) {}

  Field root() const { return root_; }
  void name(const ObjectKey& key) { object_ = to_string(key); }
  bool bad() const { return bad_; }

  // Refuses the object.
  void error(Field at, std::string text) {
    bad_ = true;
    note(at, std::move(text));
  }
  // Reports, but the object stays good.
  void note(Field at, std::string text) {
    problems_.push_back({std::string(file_), document_, at.line(), object_, at.path(root_.index()), std::move(text)});
  }

  // What a limit of the engine's, which is known only later, may be too low for. `field`: that Lack names, if it isn't
  // the one that it is read from.
  void limited(Field at, std::string field = {});
  std::map<std::string, FieldPlace> take_limited() { return std::exchange(limited_, {}); }

  // Absent or null gives the fallback, as it does in Kubernetes.
  std::string text(Field f, std::string_view fallback = {});
  bool boolean(Field f, bool fallback);
  std::optional<uint64_t> number(Field f, uint64_t min, uint64_t max);
  // An address that a packet may be sent to.
  std::optional<net::IpAddress> address(Field f) { return address(f, f.value()); }
  // Likewise, of a text within the field.
  std::optional<net::IpAddress> address(Field f, std::string_view text);
  // "192.0.2.0/24", or an address alone; bits below the length are dropped.
  std::optional<net::Prefix> prefix(Field f, std::string_view text);
  // "30s", "2h", "1h30m", in seconds, at most as long as the engine remembers anything; 0 if absent.
  uint32_t duration(Field f);
  // "l2" or "none".
  std::optional<bool> announce(Field f);
  net::Protocol protocol(Field f);
  // Names are shown in tables and logs, and become parts of the engine's names: no other characters than Kubernetes
  // allows.
  bool valid_name(Field f, std::string_view value, size_t longest);
  // A point in time, as Kubernetes writes it: its text, which sorts by itself.
  std::string time(Field f);
  void expect_map(Field f);
  // Of what is our own: a field that isn't known is an error.
  void only(Field map, std::initializer_list<std::string_view> known);
  // Of what is Kubernetes': a field that isn't known is ignored, and that is told, each name once and ten at most: a
  // later version may have more, at each of many endpoints.
  void known(Field map, std::initializer_list<std::string_view> known);
  // Of annotations, which anybody may add: one that has our prefix and isn't known is an error.
  void only_of_ours(Field annotations, std::initializer_list<std::string_view> known);
  template <typename F>
  void list(Field f, F&& each) {
    if (f.empty()) return;
    if (!f.is_list()) return error(f, "must be a list");
    uint32_t index = 0;
    f.each([&](Field item) { each(item, index++); });
  }
  // "a, b": each part without the spaces around it; none of an empty text.
  template <typename F>
  void comma_list(Field f, F&& each) {
    const std::string all = text(f);
    for (size_t begin = 0; begin < all.size();) {
      const size_t end = std::min(all.find(',', begin), all.size());
      each(trimmed(std::string_view(all).substr(begin, end - begin)));
      begin = end + 1;
    }
  }

 private:
  void expect_known(Field f, std::initializer_list<std::string_view> known);
  static std::string_view trimmed(std::string_view s);

  Field root_;
  std::string_view file_;
  uint32_t document_;
  std::vector<Problem>& problems_;
  std::string object_;
  std::map<std::string, FieldPlace> limited_;
  std::set<std::string> ignored_;  // fields of Kubernetes' objects that it isn't known to have
  bool bad_ = false;
};

// Each fills the body; the reader tells whether it is good.
Service decode_service(ObjectReader& r);
std::vector<Vip> decode_vips(ObjectReader& r);
void decode_service_options(ObjectReader& r, Service& s);
EndpointSlice decode_endpoint_slice(ObjectReader& r);
GatewayConfig decode_gateway_config(ObjectReader& r, const HostPorts& host);
SourceFilter decode_source_filter(ObjectReader& r);

}  // namespace guideway::mgmt
