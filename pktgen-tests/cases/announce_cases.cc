// Who asks on the link for an address of ours. Built byte by byte, by other code than the engine's.
#include <initializer_list>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

using rig::Bytes;

constexpr const char* kAsker = "10.0.0.99";
constexpr const char* kAsker6 = "2001:db8:0::99";

void announced(Rig& rig) {
  for (const char* vip : {kVip, kVip6}) {
    auto s = service(vip, 80, Protocol::kTcp, Mode::kNat, {vip == kVip ? "10.0.1.10" : "2001:db8:1::10"});
    s.announce = true;
    rig.service(s);
  }
}

void quiet(Rig& rig) {
  for (const char* vip : {kVip, kVip6})
    rig.service(service(vip, 80, Protocol::kTcp, Mode::kNat, {vip == kVip ? "10.0.1.10" : "2001:db8:1::10"}));
}

// Its only backend goes.
void deserted(Rig& rig) {
  announced(rig);
  auto s = service(kVip, 80, Protocol::kTcp, Mode::kNat, {});
  s.announce = true;
  rig.service(s);
}

void snat_announced(Rig& rig) {
  auto g = snat();
  g.announced = {true, true};
  rig.gateway(g);
}

class Builder {
 public:
  Builder& numbers(std::initializer_list<int> values) {
    for (const int v : values) bytes_.push_back(static_cast<uint8_t>(v));
    return *this;
  }
  Builder& mac(std::string_view text) {
    const auto m = net::parse_mac(text).value();
    bytes_.insert(bytes_.end(), m.bytes.begin(), m.bytes.end());
    return *this;
  }
  Builder& ip(std::string_view text) {
    const auto a = net::parse_ip(text).value();
    bytes_.insert(bytes_.end(), a.bytes.begin() + (a.is_v4() ? 12 : 0), a.bytes.end());
    return *this;
  }
  Builder& add(const Bytes& more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  operator const Bytes&() const { return bytes_; }  // NOLINT: it is what it builds

 private:
  Bytes bytes_;
};

Bytes arp(std::string_view to, std::string_view from, int operation, std::string_view sender_mac,
          std::string_view sender, std::string_view target_mac, std::string_view target, const Bytes& tags = {}) {
  return Builder()
      .mac(to)
      .mac(from)
      .add(tags)
      .numbers({8, 6, 0, 1, 8, 0, 6, 4, 0, operation})
      .mac(sender_mac)
      .ip(sender)
      .mac(target_mac)
      .ip(target);
}

constexpr const char* kBroadcast = "ff:ff:ff:ff:ff:ff";
constexpr const char* kNobody = "00:00:00:00:00:00";

Bytes request(std::string_view target, std::string_view sender = kAsker, const Bytes& tags = {}) {
  return arp(kBroadcast, kClientMac, 1, kClientMac, sender, kNobody, target, tags);
}
Bytes reply(std::string_view target, std::string_view asker = kAsker, const Bytes& tags = {}) {
  return arp(kClientMac, kPort0Mac, 2, kPort0Mac, target, kClientMac, asker, tags);
}

Bytes padded(Bytes b) {
  b.resize(60);
  return b;
}

// RFC 1071, sixteen bits at a time.
uint16_t checksum(const Bytes& b) {
  uint32_t sum = 0;
  for (size_t i = 0; i < b.size(); i += 2) sum += static_cast<uint32_t>(b[i] << 8 | (i + 1 < b.size() ? b[i + 1] : 0));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

struct Discovery {
  std::string_view to_mac, from_mac, source, destination;
  int type;
  int flags;
  std::string_view target;
  Bytes options = {};
  Bytes tags = {};
  int hop_limit = 255;
};

Bytes discovery(const Discovery& d) {
  Bytes message = Builder().numbers({d.type, 0, 0, 0, d.flags, 0, 0, 0}).ip(d.target).add(d.options);
  const Bytes pseudo = Builder()
                           .ip(d.source)
                           .ip(d.destination)
                           .numbers({0, 0, 0, static_cast<int>(message.size()), 0, 0, 0, 58})
                           .add(message);
  const uint16_t sum = checksum(pseudo);
  message[2] = static_cast<uint8_t>(sum >> 8);
  message[3] = static_cast<uint8_t>(sum);
  return Builder()
      .mac(d.to_mac)
      .mac(d.from_mac)
      .add(d.tags)
      .numbers({0x86, 0xdd, 0x60, 0, 0, 0, 0, static_cast<int>(message.size()), 58, d.hop_limit})
      .ip(d.source)
      .ip(d.destination)
      .add(message);
}

Bytes option(int type, std::string_view mac) { return Builder().numbers({type, 1}).mac(mac); }

constexpr const char* kGroupMac = "33:33:ff:00:00:10";
constexpr const char* kGroup = "ff02::1:ff00:10";

Discovery solicitation(std::string_view target) {
  return {kGroupMac, kClientMac, kAsker6, kGroup, 135, 0, target, option(1, kClientMac)};
}
Discovery advertisement(std::string_view target) {
  return {kClientMac, kPort0Mac, target, kAsker6, 136, 0x60, target, option(2, kPort0Mac)};
}

Case asked(const char* description, void (*configure)(Rig&), Bytes in, Bytes out) {
  return {.description = description,
          .configure = configure,
          .out_port = 0,
          .raw = std::move(in),
          .raw_out = std::move(out)};
}
Case refused(const char* description, void (*configure)(Rig&), DropReason why, Bytes in) {
  return {.description = description, .configure = configure, .reason = why, .raw = std::move(in)};
}

Bytes cut(Bytes b, size_t length) {
  b.resize(length);
  return b;
}

Bytes with(Bytes b, size_t at, int value) {
  b.at(at) = static_cast<uint8_t>(value);
  return b;
}

}  // namespace

std::vector<Case> announce_cases() {
  Discovery probe = solicitation(kVip6);
  probe.to_mac = kPort0Mac;
  probe.destination = kVip6;
  probe.options.clear();
  Discovery duplicate = solicitation(kVip6);
  duplicate.source = "::";
  duplicate.options.clear();
  Discovery to_all = advertisement(kVip6);
  to_all.to_mac = "33:33:00:00:00:01";
  to_all.destination = "ff02::1";
  to_all.flags = 0x20;
  Discovery from_afar = solicitation(kVip6);
  from_afar.hop_limit = 254;
  const Bytes whole = discovery(solicitation(kVip6));
  // VLAN 7, with a priority; and that inside VLAN 9 of a provider.
  const Bytes one_tag = Builder().numbers({0x81, 0, 0x60, 7});
  const Bytes two_tags = Builder().numbers({0x88, 0xa8, 0, 9}).add(one_tag);
  const auto tagged = [](Discovery d, const Bytes& tags) {
    d.tags = tags;
    return discovery(d);
  };
  return {
      asked("an ARP request for a VIP", announced, request(kVip), reply(kVip)),
      asked("an ARP request with padding", announced, padded(request(kVip)), padded(reply(kVip))),
      asked("an ARP request to our MAC address", announced,
            arp(kPort0Mac, kClientMac, 1, kClientMac, kAsker, kPort0Mac, kVip), reply(kVip)),
      asked("an ARP probe, from nobody yet", announced, request(kVip, "0.0.0.0"), reply(kVip, "0.0.0.0")),
      asked("an ARP request for a dedicated SNAT address", snat_announced, request("10.0.1.200"), reply("10.0.1.200")),
      asked("a neighbour solicitation for a VIP", announced, whole, discovery(advertisement(kVip6))),
      asked("a neighbour solicitation to the VIP itself, without its sender's MAC address", announced, discovery(probe),
            discovery(advertisement(kVip6))),
      asked("detection of duplicates", announced, discovery(duplicate), discovery(to_all)),
      asked("a neighbour solicitation for a dedicated SNAT address", snat_announced,
            discovery(solicitation("2001:db8:1::200")), discovery(advertisement("2001:db8:1::200"))),
      asked("an ARP request in a VLAN: tagged as it came", announced, request(kVip, kAsker, one_tag),
            reply(kVip, kAsker, one_tag)),
      asked("an ARP request with two tags", announced, request(kVip, kAsker, two_tags), reply(kVip, kAsker, two_tags)),
      asked("a neighbour solicitation in a VLAN: tagged as it came", announced, tagged(solicitation(kVip6), one_tag),
            tagged(advertisement(kVip6), one_tag)),
      asked("a neighbour solicitation with two tags", announced, tagged(solicitation(kVip6), two_tags),
            tagged(advertisement(kVip6), two_tags)),
      asked("detection of duplicates in a VLAN", announced, tagged(duplicate, one_tag), tagged(to_all, one_tag)),
      refused("an ARP request for a VIP that isn't announced", quiet, DropReason::NOT_ANNOUNCED, request(kVip)),
      refused("an ARP request for a VIP without a backend", deserted, DropReason::NOT_ANNOUNCED, request(kVip)),
      refused("an ARP request for the host", announced, DropReason::NOT_ANNOUNCED, request("10.0.0.1")),
      refused(
          "an ARP request for an SNAT address that isn't announced", [](Rig& rig) { rig.gateway(snat()); },
          DropReason::NOT_ANNOUNCED, request("10.0.1.200")),
      refused("a neighbour solicitation for a VIP that isn't announced", quiet, DropReason::NOT_ANNOUNCED, whole),
      refused("an ARP reply", announced, DropReason::BAD_QUESTION, with(request(kVip), 21, 2)),
      refused("ARP for another kind of address", announced, DropReason::BAD_QUESTION, with(request(kVip), 16, 9)),
      refused("an ARP request that is cut", announced, DropReason::TRUNCATED, cut(request(kVip), 14 + 27)),
      refused("a neighbour solicitation from beyond the link", announced, DropReason::BAD_QUESTION,
              discovery(from_afar)),
      refused("a neighbour solicitation with a wrong checksum", announced, DropReason::BAD_QUESTION,
              with(whole, 14 + 40 + 2, whole[14 + 40 + 2] ^ 1)),
      refused("a neighbour solicitation with a code", announced, DropReason::BAD_QUESTION, with(whole, 14 + 40 + 1, 1)),
      refused("a neighbour solicitation without its target", announced, DropReason::TRUNCATED,
              with(Bytes(whole.begin(), whole.begin() + 14 + 40 + 23), 14 + 5, 23)),
  };
}

}  // namespace guideway::cases
