#include "mgmt/cli/doctor.h"

#include <linux/capability.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "mgmt/cli/printable.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

using Severity = Finding::Severity;

constexpr uint64_t kFewPages = 64;      // with fewer the engine doesn't begin
constexpr uint32_t kShortRing = 1'024;  // descriptors

constexpr uint32_t kPacket = 1'500;  // what a client may send, bytes of IP

constexpr const char* kNoRoom =
    "no room for an outer header around packets of 1,500 bytes: larger ones are cut, or their senders told; it needs ";
constexpr const char* kAllTheWay = ", as does all the way to the backends";
constexpr const char* kNewerKernel = "apt install linux-image-amd64";
constexpr const char* kRestart = "systemctl restart guideway-engine";
constexpr const char* kEngineProblem = "guideway-engine";  // Problem.object where it is about the engine itself
constexpr const char* kOtherOptions = "editor /etc/default/guideway-engine && systemctl restart guideway-engine";

// What is put around packets, in bytes, by the address of the backend that they are sent to.
std::map<net::IpAddress, uint32_t> outer_headers(const v1::ListServicesResponse& services,
                                                 const v1::ListBackendsResponse& backends) {
  std::map<std::tuple<std::string, uint32_t, v1::Protocol>, uint32_t> beyond_ip;
  for (const auto& s : services.services()) {
    const bool gue = s.mode() == v1::FORWARDING_MODE_DSR_GUE;
    if (gue || s.mode() == v1::FORWARDING_MODE_DSR_IPIP) beyond_ip[{s.vip(), s.port(), s.protocol()}] = gue ? 8 : 0;
  }
  std::map<net::IpAddress, uint32_t> bytes;
  for (const auto& b : backends.backends()) {
    const auto service = beyond_ip.find({b.vip(), b.vip_port(), b.protocol()});
    const auto address = net::parse_ip(b.address());
    if (service == beyond_ip.end() || !address) continue;
    uint32_t& n = bytes[*address];
    n = std::max(n, (address->is_v4() ? 20 : 40) + service->second);
  }
  return bytes;
}

class Examination {
 public:
  Examination(const HostFacts& host, const v1::GetStatusResponse& status, const v1::ListServicesResponse& services,
              const v1::ListBackendsResponse& backends, const std::string& guideway)
      : host_(host),
        status_(status),
        engine_(status.engine().status()),
        services_(services),
        backends_(backends),
        guideway_(guideway) {}

  void daemon(const std::string& trouble) {
    if (!trouble.empty()) return away(trouble);
    desired_state();
    without_backend();
    const v1::Engine& e = status_.engine();
    if (!e.connected()) return apart(e.trouble());
    if (!e.trouble().empty()) return problem("engine", e.trouble(), kRestart);
    if (!e.has_status())
      return hint("engine", "it doesn't tell its status now: a large change may keep it busy", guideway_ + " status");
    fine("engine", "version " + e.version() + " is connected");
    // Of what is looked at here the engine tells only how it was when it began.
    std::set<std::string> looked_at;
    for (const auto& [name, facts] : host_.interfaces)
      if (facts.present) looked_at.insert(offloads_off(name));
    for (const auto& w : engine_.warnings())
      if (w.subject() != "memory" && !looked_at.contains(w.remedy())) hint(w.subject(), w.text(), w.remedy());
  }

  void kernel() {
    unsigned major = 0;
    unsigned minor = 0;
    const char* end = host_.kernel.data() + host_.kernel.size();
    const auto [dot, error] = std::from_chars(host_.kernel.data(), end, major);
    if (error == std::errc{} && dot != end) std::from_chars(dot + 1, end, minor);
    if (major < 5 || (major == 5 && minor < 12))
      problem("kernel",
              host_.kernel + " is older than 5.12, which ports af_xdp:… need: boot a newer one; Debian 12's is tested",
              kNewerKernel);
    else if (major == 5 && minor < 16)
      hint("kernel",
           host_.kernel + " doesn't keep neighbours resolved by itself, as 5.16 does: the engine asks for each again",
           kNewerKernel);
    else
      fine("kernel", host_.kernel);
    if (!host_.af_xdp)
      hint("AF_XDP",
           "this kernel has no such sockets (CONFIG_XDP_SOCKETS): ports af_xdp:… can't be opened; boot one of Debian's",
           kNewerKernel);
    if (!host_.bpffs && !host_.engine && !status_.engine().connected())  // one that runs has pinned it somewhere
      hint("bpffs", "no BPF file system is mounted where an engine would pin its XDP program",
           "mount -t bpf bpf /sys/fs/bpf");
    if (!host_.bpf_jit)
      hint("BPF", "programs are interpreted, which makes XDP some ten times slower",
           std::string("sysctl net.core.bpf_jit_enable=1 && ") + kRestart);
    if (host_.clock_synchronized && !*host_.clock_synchronized)
      hint("clock", "it isn't synchronised: times in logs and metrics can't be compared with those of other hosts",
           "timedatectl set-ntp true");
    else if (host_.clock_synchronized)
      fine("clock", "it is synchronised");
  }

  void memory() {
    if (status_.engine().has_status() && engine_.hugepages())
      return fine("hugepages", "the engine's tables are on 2 MB pages");
    if (status_.engine().has_status())
      return hint(
          "hugepages",
          "the engine's tables are on plain memory, which costs with a million connections some ten ns a packet",
          more_pages() + " && " + kRestart);
    if (host_.engine) return;  // it may hold those that aren't free
    if (host_.hugepages_2mb_free < kFewPages)
      return hint("hugepages",
                  number(host_.hugepages_2mb_free) + " of " + number(host_.hugepages_2mb) +
                      " pages of 2 MB are free: an engine would use plain memory",
                  more_pages());
    fine("hugepages", number(host_.hugepages_2mb_free) + " pages of 2 MB are free");
  }

  void workers() {
    std::set<uint32_t> cores;
    for (const auto& w : engine_.workers()) cores.insert(w.core());
    for (const auto& [core, facts] : host_.cores) {
      for (const uint32_t other : facts.siblings)
        if (other > core && cores.contains(other))
          hint("workers",
               "cores " + number(core) + " and " + number(other) +
                   " share their execution units: give workers cores of their own by --cores; lscpu tells which share",
               std::string("lscpu -e && ") + kOtherOptions);
      if (!facts.governor.empty() && facts.governor != "performance")
        hint("core " + number(core), "its frequency follows its load (" + facts.governor + ")",
             "echo performance >/sys/devices/system/cpu/cpu" + number(core) + "/cpufreq/scaling_governor");
    }
    uint64_t most = 0;
    uint64_t all = 0;
    for (const auto& w : engine_.workers()) {
      most = std::max(most, w.received());
      all += w.received();
    }
    const auto n = static_cast<uint64_t>(engine_.workers_size());
    if (n > 1 && all > 100'000 && 2 * most * n > 3 * all)
      uneven(most * 100 / all);
    else if (n > 1 && all > 100'000)
      fine("workers", "packets are spread over them");
  }

  // What another network namespace than the engine's would tell nothing of.
  void network() {
    const auto absent =
        std::ranges::find_if(host_.interfaces, [](const auto& interface) { return !interface.second.present; });
    if (!host_.engine && absent != host_.interfaces.end())
      return problem("network",
                     "the engine's interface " + absent->first + " isn't here: this isn't its network namespace",
                     "nsenter --net --target $(pgrep -ox guideway-engine) " + guideway_ + " doctor");
    neighbors();
    privileges();
    for (const auto& p : engine_.ports()) port(p);
    encapsulation();
    addresses();
  }

  std::vector<Finding> take() {
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    drop_repeated();
    return std::move(findings_);
  }

 private:
  // The engine hints at some of what is a problem here, with the same remedy.
  void drop_repeated() {
    std::set<std::pair<std::string, std::string>> told;
    std::erase_if(findings_, [&](const Finding& f) {
      if (f.severity == Severity::kProblem) told.emplace(f.subject, f.remedy);
      return f.severity == Severity::kHint && told.contains({f.subject, f.remedy});
    });
  }
  void neighbors() {
    if (!host_.neighbors_kept || host_.neighbors < *host_.neighbors_kept) return;
    const uint64_t kept = host_.neighbors * 2;
    const std::string sysctl = "net.ipv4.neigh.default.gc_thresh";
    hint("neighbours",
         "the kernel knows " + number(host_.neighbors) + " of IPv4, and forgets those beyond " +
             number(*host_.neighbors_kept) + " that only the engine talks to (no_neighbor, every few minutes)",
         "sysctl " + sysctl + "1=" + number(kept) + " " + sysctl +
             "2=" + number(std::max(host_.neighbors_soft_limit, kept * 2)) + " " + sysctl +
             "3=" + number(std::max(host_.neighbors_limit, kept * 4)));
  }

  void privileges() {
    if (!host_.engine) return privileges_here();
    const auto missing = missing_in(host_.engine->capabilities, false);
    if (!missing.empty())
      return problem(
          "privileges",
          "the engine runs without " + joined(missing) + ": as root, by its unit, it starts with them and keeps them",
          kRestart);
    if (!host_.engine->seccomp)
      return hint("privileges", "the engine's system calls aren't filtered",
                  std::string("sed -i 's/ *--no-seccomp//' /etc/default/guideway-engine && ") + kRestart);
    fine("privileges", "the engine has what it needs, and its system calls are filtered");
  }

  void port(const v1::Port& p) {
    const std::string subject = "port " + p.name();
    if (p.kind() != "af_xdp") {
      if (!p.up()) problem(subject, "it has no link", "start the program at its other end");
      return;
    }
    const auto found = host_.interfaces.find(p.name());
    if (found == host_.interfaces.end() || !found->second.present) {
      if (p.up() && renamed(subject)) return;  // that is said already, with its name
      return problem(subject, "there is no such interface: it is gone, or has another name", "ip link");
    }
    const InterfaceFacts& f = found->second;
    if (!p.up() && f.up) problem(subject, "it has no link: nothing is at its other end", "see to its other end");
    if (!p.up() && !f.up) problem(subject, "it has no link: it is down", "ip link set dev " + p.name() + " up");
    if (f.rx_queues && *f.rx_queues > p.queues())
      problem(subject,
              "it has " + number(*f.rx_queues) + " receive queues, the engine serves " + number(p.queues()) +
                  ": what comes by the others is dropped (no_socket)",
              set_queues(p.name(), f, p.queues()));
    const auto n = static_cast<uint32_t>(engine_.workers_size());
    if (p.queues() < n) few_queues(p, f, n);
    for (const char* feature : {"rx-lro", "rx-gro-hw"})
      if (const auto on = f.features.find(feature); on != f.features.end() && on->second && f.driver != "virtio_net")
        problem(subject, std::string(feature) + " is on: packets are merged before XDP sees them, beyond the MTU",
                "ethtool -K " + p.name() + " " + feature + " off");
    if (const auto on = f.features.find("rx-vlan-hw-parse"); on != f.features.end() && on->second && f.driver != "veth")
      hint(subject, "the NIC takes VLAN tags off before XDP sees them: if VLANs come in there, they look untagged",
           "ethtool -K " + p.name() + " rxvlan off");
    if (f.driver == "veth" && transmit_offloads(f))
      hint(subject,
           "it is a veth that leaves checksums and segments to a NIC: if its other end does so too, packets reach the "
           "engine with unfinished checksums; both ends must have that off",
           offloads_off(p.name()));
    rings(p.name(), f);
    if (f.rp_filter == 1)
      hint(subject,
           "the reverse-path filter is strict: the host's own traffic that comes in there and is answered elsewhere is "
           "lost",
           "sysctl net/ipv4/conf/" + p.name() + "/rp_filter=2");
    const auto same = [&](const Finding& other) { return other.subject == subject; };
    if (std::ranges::none_of(findings_, same)) fine(subject, "nothing stands in the way");
  }

  // A client's packet of 1,500 bytes with its outer header around it, against the link by which the host routes the
  // backend: so does the engine. While a port has no link, the host routes by others than it should.
  void encapsulation() {
    if (std::ranges::any_of(engine_.ports(), [](const auto& p) { return p.kind() == "af_xdp" && !p.up(); })) return;
    std::map<std::string, std::pair<Egress, uint32_t>> needed;  // by interface, and the MTU that it needs
    uint32_t unrouted = 0;                                      // what those need that the host has no route to
    for (const auto& [address, bytes] : outer_headers(services_, backends_)) {
      const auto way = host_.egress.find(address);
      if (way == host_.egress.end()) unrouted = std::max(unrouted, kPacket + bytes);
      // By an interface that is no port nothing leaves at all (foreign_port).
      if (way == host_.egress.end() || port_of(way->second) == nullptr) continue;
      auto& [egress, mtu] = needed[way->second.interface];
      egress = way->second;
      mtu = std::max(mtu, kPacket + bytes);
    }
    for (const auto& [name, need] : needed) {
      const auto& [egress, mtu] = need;
      if (egress.mtu >= mtu) continue;
      // A VLAN's interface can't have more than that below it.
      const bool below = !egress.below.empty() && port_of(egress)->mtu() < mtu;
      hint("encapsulation",
           name + " has an MTU of " + number(egress.mtu) + ", and the host routes backends by it: " + kNoRoom +
               number(mtu) + kAllTheWay,
           (below ? set_mtu(egress.below, mtu) + "; " : "") + set_mtu(name, mtu));
    }
    const auto dpdk = std::ranges::find_if(engine_.ports(), [](const auto& p) { return p.kind() != "af_xdp"; });
    if (dpdk == engine_.ports().end() || dpdk->mtu() >= unrouted) return;
    hint("encapsulation",
         dpdk->name() + " has an MTU of " + number(dpdk->mtu()) +
             ", and backends that the host has no route to are behind it: " + kNoRoom + number(unrouted) + kAllTheWay,
         "give the program at the port's other end, and the engine's --port, that size");
  }

  void addresses() {
    std::set<std::string> vips;
    for (const auto& s : services_.services()) vips.insert(s.vip());
    bool any = false;
    for (const HostAddress& a : host_.addresses) {
      const std::string text = net::to_string(a.address);
      if (!vips.contains(text)) continue;
      any = true;
      problem("VIP " + text, "it is also an address of " + a.interface + ": the host would answer for it by itself",
              "ip address del " + text + "/" + number(a.length) + " dev " + a.interface);
    }
    if (!any && !vips.empty()) fine("VIPs", "none of them is an address of this host");
  }

  void without_backend() {
    std::set<std::string> names;
    for (const auto& s : services_.services())
      if (s.state() == v1::VipRow::STATE_NO_BACKEND) names.insert(s.namespace_() + "/" + s.name());
    if (names.empty()) return;
    const std::string others = names.size() > 1 ? " and " + number(names.size() - 1) + " more" : "";
    hint("backends", "none takes new connections of " + *names.begin() + others, guideway_ + " backends");
  }

  // Of an engine in trouble that is said once, as the engine's.
  void desired_state() {
    const auto parts =
        std::ranges::count_if(status_.problems(), [](const v1::Problem& p) { return p.object() != kEngineProblem; });
    if (parts != 0)
      problem(
          "desired state",
          number(static_cast<uint64_t>(parts)) + " parts of it aren't in force; the status names each, with its remedy",
          guideway_ + " status");
    else if (!status_.engine().has_status() || !status_.engine().trouble().empty())
      return;
    else if (status_.applied().counter() != status_.desired().counter())
      hint("desired state", "the engine hasn't confirmed the last change yet", guideway_ + " status");
    else
      fine("desired state", "all of it is in force");
  }
  // The daemon answers, but has no engine.
  void apart(const std::string& trouble) {
    const auto says = [&](const char* text) { return trouble.find(text) != std::string::npos; };
    const char* remedy = "systemctl start guideway-engine";
    if (says("drives this engine")) remedy = "ps -o pid,args -C guidewayd";
    if (says("of the contract")) remedy = kRestart;  // an upgrade leaves the old one running
    problem("engine", "guidewayd isn't connected to it: " + trouble, remedy);
  }
  // The daemon can't be asked. Why a socket can't be used, gRPC says in the system's words.
  void away(const std::string& trouble) {
    const auto says = [&](const char* text) { return trouble.find(text) != std::string::npos; };
    if (says("Permission denied") && !host_.user.empty())
      return problem("daemon", trouble, "sudo usermod -aG guideway " + host_.user + " && newgrp guideway");
    if (!host_.daemon) return problem("daemon", trouble, "systemctl start guidewayd");
    if (says("No such file or directory") || says("Connection refused"))
      return problem("daemon", trouble + "; guidewayd runs here and serves elsewhere: --server must be as its --listen",
                     "ps -o args -C guidewayd");
    problem("daemon", trouble + "; guidewayd runs here, and its log may say why", "journalctl -n 20 -u guidewayd");
  }
  // A port that is up without an interface of its name: what the engine warns of is the new one.
  bool renamed(const std::string& subject) const {
    return std::ranges::any_of(engine_.warnings(), [&](const auto& w) { return w.subject() == subject; });
  }
  const v1::Port* port_of(const Egress& way) const {
    for (const auto& p : engine_.ports())
      if (p.kind() == "af_xdp" && (p.name() == way.interface || p.name() == way.below)) return &p;
    return nullptr;
  }
  static std::string set_mtu(const std::string& name, uint32_t mtu) {
    return "ip link set dev " + name + " mtu " + number(mtu);
  }
  // What an engine would lack that root starts from here.
  void privileges_here() {
    if (!host_.root)
      return hint("privileges", "no engine is seen here, nor what one would lack; root sees it",
                  "sudo " + guideway_ + " doctor");
    const auto missing = missing_in(host_.bounding, true);
    if (missing.empty()) return fine("privileges", "an engine started here would have what it needs");
    std::string options;
    for (const std::string& name : missing) options += " --cap-add=" + name;
    problem("privileges", "an engine started here wouldn't have " + joined(missing),
            "start the container with" + options);
  }

  // One worker took this part of all packets.
  void uneven(uint64_t percent) {
    std::string remedy;
    for (const auto& p : engine_.ports())
      if (p.kind() == "af_xdp" && p.queues() > 1)
        remedy += "ethtool -X " + p.name() + " equal " + number(p.queues()) +
                  "; for type in tcp4 tcp6 udp4 udp6; do ethtool -N " + p.name() + " rx-flow-hash $type sdfn; done; ";
    const std::string text = "one worker took " + number(percent) + " % of all packets: ";
    if (!remedy.empty())
      return hint("workers", text + "the interfaces' queues are filled unevenly", remedy.substr(0, remedy.size() - 2));
    hint("workers", text + "no port has several queues; fewer workers would do", kOtherOptions);
  }
  void few_queues(const v1::Port& p, const InterfaceFacts& f, uint32_t workers) {
    const std::string text = number(p.queues()) + " queues for " + number(workers) +
                             " workers: the others get its packets over rings, if at all";
    const uint32_t most = std::min(workers, f.rx_queues_max.value_or(workers));
    if (most <= p.queues())
      hint("port " + p.name(), text + "; it can't have more, so --workers " + number(most) + " would do",
           kOtherOptions);
    else
      hint("port " + p.name(), text + " (a number of queues in --port is set again at each start)",
           set_queues(p.name(), f, most) + " && " + kRestart);
  }
  void rings(const std::string& name, const InterfaceFacts& f) {
    std::string text;
    std::string sizes;
    const auto look = [&](const char* direction, const char* option, const std::optional<RingFacts>& ring) {
      if (!ring || ring->size >= kShortRing || ring->size >= ring->max) return;
      text += std::string(text.empty() ? "its " : ", its ") + direction + " ring has " + number(ring->size) +
              " places of " + number(ring->max) + " possible";
      sizes += std::string(" ") + option + " " + number(std::min(ring->max, 4'096U));
    };
    look("receive", "rx", f.rx_ring);
    look("transmit", "tx", f.tx_ring);
    if (!text.empty())
      hint("port " + name, text,
           "systemctl stop guideway-engine; ethtool -G " + name + sizes + "; systemctl start guideway-engine");
  }
  static std::string set_queues(const std::string& name, const InterfaceFacts& f, uint32_t queues) {
    const std::string n = number(queues);
    return "ethtool -L " + name + (f.combined_queues ? " combined " + n : " rx " + n + " tx " + n);
  }
  // As the engine writes it in its own warning.
  static std::string offloads_off(const std::string& name) { return "ethtool -K " + name + " tx off tso off gso off"; }
  static bool transmit_offloads(const InterfaceFacts& f) {
    return std::ranges::any_of(f.features, [](const auto& feature) {
      const auto& [name, on] = feature;
      return on &&
             (name.starts_with("tx-checksum-") || name.starts_with("tx-tcp") || name == "tx-generic-segmentation");
    });
  }

  // Of what the engine keeps, or of what it starts with: dataplane/main.cc asks for the same.
  static std::vector<std::string> missing_in(uint64_t capabilities, bool at_start) {
    std::vector<std::string> missing;
    const auto look = [&](unsigned capability, const char* name) {
      if ((capabilities >> capability & 1) == 0) missing.emplace_back(name);
    };
    look(CAP_NET_ADMIN, "CAP_NET_ADMIN");
    look(CAP_NET_RAW, "CAP_NET_RAW");
    look(CAP_IPC_LOCK, "CAP_IPC_LOCK");
    look(CAP_BPF, "CAP_BPF");
    if (!at_start) return missing;
    look(CAP_PERFMON, "CAP_PERFMON");
    look(CAP_SETPCAP, "CAP_SETPCAP");
    return missing;
  }
  static std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    return all;
  }
  std::string more_pages() const {
    return "echo " + number(host_.hugepages_2mb + 1'024) + " >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
  }
  void add(Severity severity, std::string subject, std::string text, std::string remedy) {
    findings_.push_back({severity, std::move(subject), std::move(text), std::move(remedy)});
  }
  void fine(std::string subject, std::string text) { add(Severity::kFine, std::move(subject), std::move(text), ""); }
  void hint(std::string subject, std::string text, std::string remedy) {
    add(Severity::kHint, std::move(subject), std::move(text), std::move(remedy));
  }
  void problem(std::string subject, std::string text, std::string remedy) {
    add(Severity::kProblem, std::move(subject), std::move(text), std::move(remedy));
  }

  const HostFacts& host_;
  const v1::GetStatusResponse& status_;
  const v1::EngineStatus& engine_;
  const v1::ListServicesResponse& services_;
  const v1::ListBackendsResponse& backends_;
  const std::string& guideway_;
  std::vector<Finding> findings_;
};

const char* name_of(Severity s) {
  if (s == Severity::kProblem) return "problem";
  return s == Severity::kHint ? "hint" : "fine";
}

}  // namespace

std::vector<net::IpAddress> encapsulated(const v1::ListServicesResponse& services,
                                         const v1::ListBackendsResponse& backends) {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, bytes] : outer_headers(services, backends)) addresses.push_back(address);
  return addresses;
}

std::vector<Finding> examine(const HostFacts& host, const v1::GetStatusResponse& status,
                             const v1::ListServicesResponse& services, const v1::ListBackendsResponse& backends,
                             const std::string& trouble, const std::string& guideway) {
  Examination e(host, status, services, backends, guideway);
  e.daemon(trouble);
  e.kernel();
  e.memory();
  e.workers();
  e.network();
  return e.take();
}

std::string show(const std::vector<Finding>& findings, const Style& style) {
  std::string out;
  for (const Finding& f : findings) {
    Colour colour = Colour::kNone;
    if (f.severity != Severity::kFine) colour = f.severity == Severity::kProblem ? Colour::kRed : Colour::kYellow;
    const std::string name = name_of(f.severity);
    out += painted(style, colour, name) + std::string(10 - name.size(), ' ');
    out += printable_lines(f.subject + ": " + f.text) + "\n";
    if (!f.remedy.empty()) out += "          → " + printable_lines(f.remedy) + "\n";
  }
  return out;
}

std::string to_json(const std::vector<Finding>& findings) {
  auto list = nlohmann::ordered_json::array();
  for (const Finding& f : findings)
    list.push_back({{"severity", name_of(f.severity)}, {"subject", f.subject}, {"text", f.text}, {"remedy", f.remedy}});
  return nlohmann::ordered_json{{"findings", list}}.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace guideway::mgmt
