#include "mgmt/cli/host.h"

#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "mgmt/cli/host_routes.h"

namespace guideway::mgmt {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

uint64_t number_in(const std::string& path, uint64_t otherwise = 0) {
  const std::string line = first_line(path);
  uint64_t n = otherwise;
  std::from_chars(line.data(), line.data() + line.size(), n);
  return n;
}

uint64_t lines_of(const std::string& path) {
  std::ifstream file(path);
  uint64_t n = 0;
  for (std::string line; std::getline(file, line);) ++n;
  return std::max<uint64_t>(n, 1);
}

// "0-1,4": the kernel's way to write sets of cores.
std::vector<uint32_t> cores_of(const std::string& list) {
  std::vector<uint32_t> cores;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    uint32_t first = 0;
    const char* end = part.data() + part.size();
    const auto [rest, error] = std::from_chars(part.data(), end, first);
    if (error != std::errc{}) continue;
    uint32_t last = first;
    if (rest != end) std::from_chars(rest + 1, end, last);
    for (uint32_t c = first; c <= last; ++c) cores.push_back(c);
  }
  return cores;
}

// One interface's ioctls, ethtool's above all.
class Ethtool {
 public:
  explicit Ethtool(const std::string& interface) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    interface.copy(request_.ifr_name, IFNAMSIZ - 1);
  }
  ~Ethtool() {
    if (fd_ >= 0) ::close(fd_);
  }
  Ethtool(const Ethtool&) = delete;
  Ethtool& operator=(const Ethtool&) = delete;

  bool ask(void* command) {
    request_.ifr_data = static_cast<char*>(command);
    return ::ioctl(fd_, SIOCETHTOOL, &request_) == 0;
  }
  bool is_up() { return ::ioctl(fd_, SIOCGIFFLAGS, &request_) == 0 && (request_.ifr_flags & IFF_UP) != 0; }
  // The names of a set of strings, in order.
  std::vector<std::string> strings(uint32_t set) {
    std::vector<char> counted(sizeof(ethtool_sset_info) + sizeof(uint32_t));
    auto* info = reinterpret_cast<ethtool_sset_info*>(counted.data());
    info->cmd = ETHTOOL_GSSET_INFO;
    info->sset_mask = uint64_t{1} << set;
    if (!ask(info) || info->sset_mask == 0) return {};
    uint32_t count;
    std::memcpy(&count, counted.data() + sizeof(ethtool_sset_info), sizeof count);
    std::vector<char> memory(sizeof(ethtool_gstrings) + size_t{count} * ETH_GSTRING_LEN);
    auto* names = reinterpret_cast<ethtool_gstrings*>(memory.data());
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = set;
    names->len = count;
    if (!ask(names)) return {};
    std::vector<std::string> all;
    for (uint32_t i = 0; i < names->len; ++i) {
      const char* name = memory.data() + sizeof(ethtool_gstrings) + size_t{i} * ETH_GSTRING_LEN;
      all.emplace_back(name, ::strnlen(name, ETH_GSTRING_LEN));
    }
    return all;
  }

 private:
  int fd_;
  ifreq request_{};
};

std::map<std::string, bool> features_of(Ethtool& ethtool) {
  const std::vector<std::string> names = ethtool.strings(ETH_SS_FEATURES);
  const size_t blocks = (names.size() + 31) / 32;
  std::vector<char> memory(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
  auto* asked = reinterpret_cast<ethtool_gfeatures*>(memory.data());
  asked->cmd = ETHTOOL_GFEATURES;
  asked->size = static_cast<uint32_t>(blocks);
  std::map<std::string, bool> features;
  if (names.empty() || !ethtool.ask(asked)) return features;
  for (size_t i = 0; i < names.size(); ++i) {
    ethtool_get_features_block block;
    std::memcpy(&block, memory.data() + sizeof(ethtool_gfeatures) + i / 32 * sizeof block, sizeof block);
    features[names[i]] = (block.active >> i % 32 & 1) != 0;
  }
  return features;
}

InterfaceFacts look_at_interface(const std::string& name, const std::string& root) {
  InterfaceFacts f;
  f.present = ::if_nametoindex(name.c_str()) != 0;
  if (!f.present) return f;
  Ethtool ethtool(name);
  f.up = ethtool.is_up();
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (ethtool.ask(&driver)) f.driver = driver.driver;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool.ask(&channels)) {
    f.rx_queues = channels.rx_count + channels.combined_count;
    f.rx_queues_max = std::max(channels.max_rx, channels.max_combined);
    f.combined_queues = channels.max_combined != 0 || channels.max_rx == 0;
  }
  ethtool_ringparam ring{};
  ring.cmd = ETHTOOL_GRINGPARAM;
  if (ethtool.ask(&ring)) {
    if (ring.rx_max_pending != 0) f.rx_ring = {ring.rx_pending, ring.rx_max_pending};
    if (ring.tx_max_pending != 0) f.tx_ring = {ring.tx_pending, ring.tx_max_pending};
  }
  f.features = features_of(ethtool);
  const std::string conf = root + "/proc/sys/net/ipv4/conf/";
  f.rp_filter =
      static_cast<uint32_t>(std::max(number_in(conf + "all/rp_filter"), number_in(conf + name + "/rp_filter")));
  return f;
}

// Of a netmask; 0: there is none.
uint32_t length_of(const sockaddr* mask) {
  if (mask == nullptr) return 0;
  std::vector<uint8_t> bytes;
  if (mask->sa_family == AF_INET6) {
    bytes.resize(sizeof(in6_addr));
    std::memcpy(bytes.data(), reinterpret_cast<const char*>(mask) + offsetof(sockaddr_in6, sin6_addr), bytes.size());
  } else {
    bytes.resize(sizeof(in_addr));
    std::memcpy(bytes.data(), reinterpret_cast<const char*>(mask) + offsetof(sockaddr_in, sin_addr), bytes.size());
  }
  uint32_t length = 0;
  for (const uint8_t b : bytes) length += static_cast<uint32_t>(std::popcount(b));
  return length;
}

std::vector<HostAddress> addresses_of_host() {
  std::vector<HostAddress> all;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return all;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    if (i->ifa_addr->sa_family == AF_INET) {
      sockaddr_in a;
      std::memcpy(&a, i->ifa_addr, sizeof a);
      all.push_back(
          {net::IpAddress::v4(net::Be32::from_wire(a.sin_addr.s_addr)), length_of(i->ifa_netmask), i->ifa_name});
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 a;
      std::memcpy(&a, i->ifa_addr, sizeof a);
      HostAddress h{{}, length_of(i->ifa_netmask), i->ifa_name};
      std::memcpy(h.address.bytes.data(), &a.sin6_addr, sizeof h.address.bytes);
      all.push_back(std::move(h));
    }
  }
  ::freeifaddrs(list);
  return all;
}

CoreFacts look_at_core(uint32_t core, const std::string& root) {
  const std::string cpu = root + "/sys/devices/system/cpu/cpu" + std::to_string(core);
  return {cores_of(first_line(cpu + "/topology/thread_siblings_list")), first_line(cpu + "/cpufreq/scaling_governor")};
}

// "CapEff" and the like, in a process's /proc/…/status.
std::optional<uint64_t> capabilities_in(const std::string& status_file, const std::string& set) {
  std::ifstream status(status_file);
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(set + ":\t")) continue;
    uint64_t bits = 0;
    std::from_chars(line.data() + set.size() + 2, line.data() + line.size(), bits, 16);
    return bits;
  }
  return std::nullopt;
}

// The directories in /proc of a program's processes in this network namespace. Of others' processes not everyone may
// see the namespace: `unknown`, whether these count.
std::vector<std::string> processes_of(const std::string& program, bool unknown, const std::string& root) {
  std::vector<std::string> found;
  std::error_code error;
  const auto ours = std::filesystem::read_symlink(root + "/proc/self/ns/net", error);
  std::filesystem::directory_iterator at(root + "/proc", error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::string path = at->path();
    if (first_line(path + "/comm") != program) continue;
    std::error_code unreadable;
    const auto space = std::filesystem::read_symlink(path + "/ns/net", unreadable);
    if (space.empty() || ours.empty() ? unknown : space == ours) found.push_back(path);
  }
  return found;
}

// Whoever may look at others' /proc finds it; a process of another network namespace isn't this host's gateway.
std::optional<ProcessFacts> look_for_engine(const std::string& root) {
  for (const std::string& path : processes_of("guideway-engine", false, root)) {
    const auto capabilities = capabilities_in(path + "/status", "CapEff");
    if (!capabilities) return std::nullopt;
    ProcessFacts p{*capabilities, false};
    std::ifstream status(path + "/status");
    for (std::string line; std::getline(status, line);)
      if (line == "Seccomp:\t2") p.seccomp = true;
    return p;
  }
  return std::nullopt;
}

std::string name_of_user() {
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_name : "";
}

bool has_bpffs(const std::string& root) {
  const auto is_one = [&](const char* path) {
    struct statfs s{};
    return ::statfs((root + path).c_str(), &s) == 0 && s.f_type == BPF_FS_MAGIC;
  };
  return is_one("/sys/fs/bpf") || is_one("/run/guideway/bpf");
}

bool has_af_xdp() {
  const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd >= 0) ::close(fd);
  return fd >= 0 || errno != EAFNOSUPPORT;
}

std::optional<bool> clock_synchronized() {
  timex t{};
  const int state = ::adjtimex(&t);
  if (state < 0) return std::nullopt;
  return state != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
}

}  // namespace

HostFacts look_at_host(const std::vector<std::string>& interfaces, const std::vector<uint32_t>& cores,
                       const std::vector<net::IpAddress>& destinations, const std::string& root) {
  HostFacts h;
  utsname name{};
  if (::uname(&name) == 0) h.kernel = name.release;
  const std::string pages = root + "/sys/kernel/mm/hugepages/hugepages-2048kB/";
  h.hugepages_2mb = number_in(pages + "nr_hugepages");
  h.hugepages_2mb_free = number_in(pages + "free_hugepages");
  h.bpf_jit = number_in(root + "/proc/sys/net/core/bpf_jit_enable", 1) != 0;
  h.bpffs = has_bpffs(root);
  h.af_xdp = has_af_xdp();
  h.clock_synchronized = clock_synchronized();
  h.neighbors = lines_of(root + "/proc/net/arp") - 1;
  const std::string collected = root + "/proc/sys/net/ipv4/neigh/default/gc_thresh";
  if (const uint64_t kept = number_in(collected + "1"); kept != 0) h.neighbors_kept = kept;
  h.neighbors_soft_limit = number_in(collected + "2");
  h.neighbors_limit = number_in(collected + "3");
  h.addresses = addresses_of_host();
  for (const std::string& i : interfaces) h.interfaces[i] = look_at_interface(i, root);
  for (const uint32_t c : cores) h.cores[c] = look_at_core(c, root);
  h.egress = look_at_routes(destinations);
  h.engine = look_for_engine(root);
  h.daemon = !processes_of("guidewayd", true, root).empty();
  h.user = name_of_user();
  h.root = ::geteuid() == 0;
  h.bounding = capabilities_in(root + "/proc/self/status", "CapBnd").value_or(0);
  return h;
}

}  // namespace guideway::mgmt
