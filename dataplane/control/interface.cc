// Questions to the kernel about an interface: SIOCGIF* and ethtool's ioctls, which need no library.
#include "dataplane/control/interface.h"

#include <absl/strings/str_cat.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "log/trouble.h"
#include "xdp/fd.h"

namespace guideway::control {
namespace {

class Requests {
 public:
  explicit Requests(const std::string& name) : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::memcpy(request_.ifr_name, name.data(), std::min<size_t>(name.size(), IFNAMSIZ - 1));
  }
  // Nothing if the kernel refuses; errno says why.
  const ifreq* ask(unsigned long what) { return ioctl(socket_.get(), what, &request_) == 0 ? &request_ : nullptr; }
  template <typename Command>
  bool ethtool(Command& command) {
    request_.ifr_data = reinterpret_cast<char*>(&command);
    return ioctl(socket_.get(), SIOCETHTOOL, &request_) == 0;
  }
  bool is_on(uint32_t feature) {
    ethtool_value value{feature, 0};
    return ethtool(value) && value.data != 0;
  }

 private:
  xdp::Fd socket_;
  ifreq request_{};
};

unsigned queues_in_sysfs(const std::string& name) {
  std::error_code ignored;
  unsigned n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net/" + name + "/queues", ignored))
    n += entry.path().filename().string().starts_with("rx-");
  return std::max(n, 1U);
}

unsigned receive_queues(Requests& requests, const std::string& name) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  const unsigned n = requests.ethtool(channels) ? channels.rx_count + channels.combined_count : 0;
  return n != 0 ? n : queues_in_sysfs(name);
}

}  // namespace

absl::StatusOr<Interface> find_interface(const std::string& name) {
  Interface i;
  i.name = name;
  i.ifindex = static_cast<int>(if_nametoindex(name.c_str()));
  if (i.ifindex == 0)
    return log::failure(absl::StatusCode::kNotFound, absl::StrCat("there is no interface ", name), "see `ip link`");
  Requests requests{name};
  if (const ifreq* r = requests.ask(SIOCGIFHWADDR)) {
    if (r->ifr_hwaddr.sa_family != 1)  // ARPHRD_ETHER
      return log::failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(name, " isn't an Ethernet interface"),
                          "choose one that is");
    std::memcpy(i.mac.bytes.data(), r->ifr_hwaddr.sa_data, i.mac.bytes.size());
  }
  if (const ifreq* r = requests.ask(SIOCGIFMTU)) i.mtu = static_cast<unsigned>(r->ifr_mtu);
  if (const ifreq* r = requests.ask(SIOCGIFFLAGS)) i.up = (r->ifr_flags & IFF_UP) != 0;
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (requests.ethtool(driver)) i.driver = driver.driver;
  i.receive_queues = receive_queues(requests, name);
  for (const uint32_t feature : {ETHTOOL_GTXCSUM, ETHTOOL_GTSO, ETHTOOL_GGSO})
    i.transmit_offload = i.transmit_offload || requests.is_on(feature);
  return i;
}

absl::Status set_receive_queues(const std::string& name, unsigned queues) {
  Requests requests{name};
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  bool set = requests.ethtool(channels);
  if (const unsigned most = std::max(channels.max_combined, channels.max_rx); set && queues > most)
    return log::failure(absl::StatusCode::kInvalidArgument,
                        absl::StrCat(name, " can have at most ", most, " receive queues, not ", queues),
                        "ask for fewer");
  if (set) {
    channels.cmd = ETHTOOL_SCHANNELS;
    if (channels.max_combined != 0) {
      channels.combined_count = queues;
      channels.rx_count = 0;
    } else {
      channels.rx_count = queues;
      channels.tx_count = std::max(channels.tx_count, queues);  // a socket sends by the queue of its own number
    }
    set = requests.ethtool(channels);
  }
  if (set) return absl::OkStatus();
  return log::failure(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat(name, " can't be set to ", queues, " receive queues (", std::strerror(errno), ")"),
      absl::StrCat("run `ethtool -L ", name, channels.max_combined != 0 || channels.max_rx == 0 ? " combined " : " rx ",
                   queues, "`, or start without a number of queues to take all that it has"));
}

}  // namespace guideway::control
