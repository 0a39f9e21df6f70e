// Attaching, adopting and refusing, on interfaces of a network and mount namespace that die with this process.
// Needs root; says so and passes without.
#define CATCH_CONFIG_MAIN
#include "xdp/loader.h"

#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "log/trouble.h"
#include "xdp/pins.h"

namespace guideway::xdp {
namespace {

const std::filesystem::path kBpffs = "/mnt/guideway";

// False without root. Enters the namespaces once.
bool in_namespaces() {
  if (geteuid() != 0) {
    std::cout << "skipped: attaching an XDP program needs root\n";
    return false;
  }
  static const bool entered = [] {
    return unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
           mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("none", "/mnt", "bpf", 0, nullptr) == 0;
  }();
  REQUIRE(entered);
  return true;
}

void shell(const char* command) {
  INFO(command);
  REQUIRE(std::system(command) == 0);  // NOLINT(cert-env33-c)
}

struct Veth {
  Veth() { shell("ip link add gwt0 type veth peer name gwt1 && ip link set gwt0 up && ip link set gwt1 up"); }
  ~Veth() { (void)!std::system("ip link del gwt0 2>/dev/null"); }  // NOLINT(cert-env33-c)
};

std::unique_ptr<KernelTables> tables() {
  auto made = KernelTables::create();
  INFO(made.status().ToString());
  REQUIRE(made.ok());
  return *std::move(made);
}

absl::StatusOr<Program> attached(const std::string& ifname, const std::filesystem::path& directory,
                                 const KernelTables& tables) {
  auto program = Program::load(ifname, directory, tables);
  if (!program.ok()) return program;
  if (absl::Status s = program->attach(); !s.ok()) return s;
  return program;
}

AddressEntry address(uint8_t last, uint32_t flags) {
  AddressEntry e{};
  e.key.bytes[15] = last;
  e.value.flags = flags;
  return e;
}

uint32_t flags_of(uint8_t last) {
  const Fd fd{bpf_obj_get((kBpffs / "gwt0" / "addresses").c_str())};
  const AddressEntry e = address(last, 0);
  gw_address_value value{};
  return bpf_map_lookup_elem(fd.get(), &e.key, &value) == 0 ? value.flags : 0;
}

TEST_CASE("a program is attached in driver mode, pinned, replaced when told, and detached without a trace") {
  if (!in_namespaces()) return;
  const Veth veth;
  {
    const auto first = tables();
    auto program = attached("gwt0", kBpffs, *first);
    INFO(program.status().ToString());
    REQUIRE(program.ok());
    CHECK(program->mode() == Mode::kDriver);
    CHECK_FALSE(program->adopted());
    const AddressEntry addresses[] = {address(1, GW_ADDRESS_VIP), address(2, GW_ADDRESS_VIP)};
    REQUIRE(first->set_addresses(addresses).ok());
    CHECK(flags_of(1) == GW_ADDRESS_VIP);
  }
  CHECK(std::system("ip -d link show gwt0 | grep -q 'prog/xdp'") == 0);  // NOLINT(cert-env33-c)

  const auto second = tables();
  auto program = attached("gwt0", kBpffs / "", *second);
  INFO(program.status().ToString());
  REQUIRE(program.ok());
  CHECK(program->adopted());
  CHECK(program->mode() == Mode::kDriver);
  const AddressEntry addresses[] = {address(2, GW_ADDRESS_DEDICATED), address(3, GW_ADDRESS_VIP)};
  REQUIRE(second->set_addresses(addresses).ok());
  CHECK(flags_of(1) == GW_ADDRESS_VIP);  // the first one's still
  CHECK(flags_of(3) == 0);
  REQUIRE(program->take_over().ok());
  CHECK(flags_of(1) == 0);
  CHECK(flags_of(2) == GW_ADDRESS_DEDICATED);
  CHECK(flags_of(3) == GW_ADDRESS_VIP);
  REQUIRE(second->set_addresses({}).ok());
  CHECK(flags_of(2) == 0);

  REQUIRE(program->detach().ok());
  CHECK_FALSE(std::filesystem::exists(kBpffs));
  CHECK(std::system("ip -d link show gwt0 | grep -q 'prog/xdp'") != 0);  // NOLINT(cert-env33-c)
}

TEST_CASE("a rehearsal is of the queue that a packet comes in by") {
  if (!in_namespaces()) return;
  shell("ip link add gwt0 numrxqueues 2 type veth peer name gwt1 numtxqueues 2 && ip link set gwt0 up");
  const auto maps = tables();
  auto program = attached("gwt0", kBpffs, *maps);
  INFO(program.status().ToString());
  REQUIRE(program.ok());
  const AddressEntry ours[] = {
      {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 3}}, {0, 0, GW_ADDRESS_DEDICATED}}};
  REQUIRE(maps->set_addresses(ours).ok());
  const Fd socket{::socket(AF_XDP, SOCK_RAW, 0)};
  const int entries = 64;
  REQUIRE(setsockopt(socket.get(), SOL_XDP, XDP_RX_RING, &entries, sizeof entries) == 0);
  REQUIRE(program->set_socket(1, socket.get()).ok());
  // 203.0.113.7 -> 192.0.2.3, a protocol without ports.
  const uint8_t packet[] = {2,  0, 0, 0, 0, 1,  2,  0, 0, 0,   0, 2,   8, 0,   0x45, 0, 0,
                            20, 0, 0, 0, 0, 64, 47, 0, 0, 203, 0, 113, 7, 192, 0,    2, 3};
  const auto first = program->ask(packet, 0);
  REQUIRE(first.ok());
  CHECK(first->fate == Verdict::kDropped);
  CHECK(first->reason == net::DropReason::NO_SOCKET);
  const auto second = program->ask(packet, 1);
  REQUIRE(second.ok());
  CHECK(second->fate == Verdict::kEngine);
  CHECK(program->ask(packet, 2).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(program->drops()->at(GW_DROP_NO_SOCKET) == 0);
  REQUIRE(program->detach().ok());
  shell("ip link del gwt0");
}

TEST_CASE("what can't be published changes nothing") {
  if (!in_namespaces()) return;
  const Veth veth;
  const auto maps = tables();
  auto program = attached("gwt0", kBpffs, *maps);
  REQUIRE(program.ok());
  const AddressEntry one[] = {address(1, GW_ADDRESS_VIP)};
  REQUIRE(maps->set_addresses(one).ok());
  const AddressEntry twice[] = {address(1, GW_ADDRESS_VIP), address(1, GW_ADDRESS_SNAT)};
  CHECK(maps->set_addresses(twice).code() == absl::StatusCode::kInvalidArgument);
  const std::vector<AddressEntry> same(GW_MAX_ADDRESSES + 1, one[0]);
  CHECK(maps->set_addresses(same).ok());
  std::vector<AddressEntry> many(GW_MAX_ADDRESSES + 1, address(0, GW_ADDRESS_VIP));
  for (uint32_t i = 0; i < many.size(); ++i) std::memcpy(many[i].key.bytes, &i, sizeof i);
  CHECK(maps->set_addresses(many).code() == absl::StatusCode::kResourceExhausted);
  CHECK(flags_of(1) == GW_ADDRESS_VIP);
  many.pop_back();
  REQUIRE(maps->set_addresses(many).ok());  // full, and none of them stands there yet: removals come first
  CHECK(flags_of(1) == 0);
  REQUIRE(program->detach().ok());
}

TEST_CASE("an array that programs read grows, and keeps what stands in it") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  auto* const rows = maps->reals.as<gw_real>();
  rows[7].route = 4'711;
  REQUIRE(maps->reals.provide(3 * GW_ROW_LINES).ok());
  CHECK(maps->reals.as<gw_real>() == rows);
  CHECK(rows[7].route == 4'711);
  rows[3 * GW_ROW_LINES - 1].route = 1;
  CHECK(maps->reals.provide(size_t{GW_ROW_LINES} * GW_ROW_SEGMENTS + 1).code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a map of another shape is replaced") {
  if (!in_namespaces()) return;
  const Veth veth;
  const auto maps = tables();
  REQUIRE(attached("gwt0", kBpffs, *maps).ok());
  const Fd other{bpf_map_create(BPF_MAP_TYPE_HASH, "drops", 8, 4, 16, nullptr)};
  REQUIRE(pin(other.get(), kBpffs / "gwt0" / "drops").ok());
  auto program = attached("gwt0", kBpffs, *maps);
  REQUIRE(program.ok());
  CHECK(program->adopted());
  REQUIRE(program->take_over().ok());
  CHECK(program->drops().ok());
  REQUIRE(program->detach().ok());
}

TEST_CASE("an engine takes over until what it has is pinned") {
  if (!in_namespaces()) return;
  const Veth veth;
  const auto maps = tables();
  REQUIRE(attached("gwt0", kBpffs, *maps).ok());
  auto program = attached("gwt0", kBpffs, *maps);
  REQUIRE(program.ok());
  const std::filesystem::path in_the_way = kBpffs / "gwt0" / "drops";
  std::filesystem::remove(in_the_way);
  std::filesystem::create_directory(in_the_way);
  for (int i = 0; i < 2; ++i) CHECK_FALSE(program->take_over().ok());
  std::filesystem::remove(in_the_way);
  CHECK(program->take_over().ok());
  CHECK(std::filesystem::is_regular_file(in_the_way));
  REQUIRE(program->detach().ok());
}

TEST_CASE("a program that isn't ours is refused by name") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  const Veth veth;
  auto ours = attached("gwt0", kBpffs, *maps);
  REQUIRE(ours.ok());
  const auto refused = attached("gwt0", "/mnt/other", *maps);  // seen from another directory, ours is foreign too
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(refused.status().message()).find("gwt0 already runs XDP program") == 0);
  CHECK(std::string(refused.status().message()).find("(gw_steer)") != std::string::npos);
  CHECK(log::trouble_of(refused.status()).remedy.find("`guideway-engine detach --bpffs DIR`") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists("/mnt/other"));
  REQUIRE(ours->detach().ok());
}

TEST_CASE("the link of an interface that is gone is no obstacle") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  {
    const Veth veth;
    REQUIRE(attached("gwt0", kBpffs, *maps).ok());
  }
  const Veth again;
  auto program = attached("gwt0", kBpffs, *maps);
  INFO(program.status().ToString());
  REQUIRE(program.ok());
  CHECK_FALSE(program->adopted());
  REQUIRE(program->detach().ok());
}

TEST_CASE("a link that was pinned for another interface isn't taken over") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  const Veth veth;
  auto program = attached("gwt0", kBpffs, *maps);
  REQUIRE(program.ok());
  std::filesystem::create_directory(kBpffs / "gwt1");
  std::filesystem::rename(kBpffs / "gwt0" / "link", kBpffs / "gwt1" / "link");
  const auto refused = attached("gwt1", kBpffs, *maps);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::filesystem::exists(kBpffs / "gwt1" / "link"));
  std::filesystem::remove_all(kBpffs / "gwt1");
  REQUIRE(program->detach().ok());
}

TEST_CASE("an interface that has another name by now is taken over, and one that is gone is known as such") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  shell("ip link add gwt0 type veth peer name gwt1");
  REQUIRE(attached("gwt0", kBpffs, *maps).ok());
  shell("ip link set gwt0 name gwt5");
  const auto renamed = attached("gwt5", kBpffs, *maps);
  INFO(renamed.status().ToString());
  REQUIRE(renamed.ok());
  CHECK(std::filesystem::exists(kBpffs / "gwt5" / "link"));
  CHECK_FALSE(std::filesystem::exists(kBpffs / "gwt0"));
  CHECK_FALSE(is_of_gone_interface(kBpffs / "gwt5"));
  shell("ip link del gwt5");
  CHECK(is_of_gone_interface(kBpffs / "gwt5"));
  CHECK_FALSE(is_of_gone_interface(kBpffs / "gwt0"));
  remove_pins(kBpffs, "gwt5");
}

TEST_CASE("a link of the same name and index in another network namespace isn't taken over") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  const Fd here{open("/proc/self/ns/net", O_RDONLY)};
  shell("ip link add gwt0 index 77 type veth peer name gwt1");
  auto program = attached("gwt0", kBpffs, *maps);
  REQUIRE(program.ok());
  REQUIRE(unshare(CLONE_NEWNET) == 0);
  shell("ip link add gwt0 index 77 type veth peer name gwt1");
  CHECK(attached("gwt0", kBpffs, *maps).status().code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE(setns(here.get(), CLONE_NEWNET) == 0);
  CHECK(std::filesystem::exists(kBpffs / "gwt0" / "link"));
  REQUIRE(program->detach().ok());
  shell("ip link del gwt0");
}

TEST_CASE("the loopback has no driver mode; a dotted name is pinned without its dots") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  shell("ip link add gw.t2 type veth peer name gwt3");
  auto dotted = attached("gw.t2", kBpffs, *maps);
  INFO(dotted.status().ToString());
  REQUIRE(dotted.ok());
  CHECK(std::filesystem::exists(kBpffs / "gw:t2" / "link"));
  auto generic = attached("lo", kBpffs, *maps);
  REQUIRE(generic.ok());
  CHECK(generic->mode() == Mode::kGeneric);
  CHECK_FALSE(generic->driver_refusal().empty());
  auto adopted = attached("lo", kBpffs, *maps);
  REQUIRE(adopted.ok());
  CHECK(adopted->mode() == Mode::kGeneric);
  REQUIRE(generic->detach().ok());
  REQUIRE(dotted->detach().ok());
  shell("ip link del gw.t2");
}

TEST_CASE("no interface, and no BPF file system: the remedy is named") {
  if (!in_namespaces()) return;
  const auto maps = tables();
  CHECK(attached("gwt9", kBpffs, *maps).status().code() == absl::StatusCode::kNotFound);
  const auto refused = attached("lo", "/tmp", *maps);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(refused.status().message()).find("mount -t bpf bpf /tmp") != std::string::npos);
}

}  // namespace
}  // namespace guideway::xdp
