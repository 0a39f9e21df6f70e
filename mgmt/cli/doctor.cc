#include "mgmt/cli/doctor.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <linux/capability.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "mgmt/cli/printable.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

using Severity = Finding::Severity;

constexpr uint64_t kFewPages = 64;  // with fewer the engine doesn't begin

class Examination {
 public:
  Examination(const HostFacts& host, const v1::GetStatusResponse& status, const v1::ListServicesResponse& services)
      : host_(host), status_(status), engine_(status.engine().status()), services_(services) {}

  void daemon(const std::string& trouble) {
    if (!trouble.empty()) return problem("daemon", trouble, "");
    if (status_.problems().empty())
      fine("desired state", "all of it is in force");
    else
      problem("desired state", number(static_cast<uint64_t>(status_.problems_size())) + " parts of it aren't in force",
              "guideway status names them, each with its remedy");
    if (!status_.engine().connected())
      return problem("engine", "guidewayd isn't connected to it: " + status_.engine().trouble(),
                     "systemctl start guideway-engine");
    fine("engine", "version " + status_.engine().version() + " is connected");
    for (const auto& w : engine_.warnings())
      if (w.subject() != "memory") hint(w.subject(), w.text(), w.remedy());
  }

  void kernel() {
    unsigned major = 0;
    unsigned minor = 0;
    const char* end = host_.kernel.data() + host_.kernel.size();
    const auto [dot, error] = std::from_chars(host_.kernel.data(), end, major);
    if (error == std::errc{} && dot != end) std::from_chars(dot + 1, end, minor);
    if (major < 5 || (major == 5 && minor < 12))
      problem("kernel", host_.kernel + " is older than 5.12, which ports af_xdp:… need",
              "install a newer kernel; Debian 12's is tested");
    else if (major == 5 && minor < 16)
      hint("kernel", host_.kernel + " doesn't keep neighbours resolved by itself: the engine asks for each again",
           "a kernel of 5.16 or later");
    else
      fine("kernel", host_.kernel);
    if (!host_.af_xdp)
      hint("AF_XDP", "this kernel has no such sockets: ports af_xdp:… can't be opened",
           "a kernel with CONFIG_XDP_SOCKETS");
    if (!host_.bpffs && !status_.engine().connected())
      hint("bpffs", "no BPF file system is mounted where an engine would pin its XDP program",
           "systemctl start run-guideway-bpf.mount, which the package's unit uses; or mount -t bpf bpf /sys/fs/bpf");
    if (!host_.bpf_jit)
      hint("BPF", "programs are interpreted, which makes XDP some ten times slower",
           "sysctl net.core.bpf_jit_enable=1, then restart the engine");
    if (host_.clock_synchronized && !*host_.clock_synchronized)
      hint("clock", "it isn't synchronised: times in logs and metrics can't be compared with those of other hosts",
           "timedatectl set-ntp true");
    else if (host_.clock_synchronized)
      fine("clock", "it is synchronised");
  }

  void neighbors() {
    if (!host_.neighbors_kept || host_.neighbors < *host_.neighbors_kept) return;
    hint(
        "neighbours",
        "the kernel knows " + number(host_.neighbors) + " of IPv4, and forgets those beyond " +
            number(*host_.neighbors_kept) + " that only the engine talks to (no_neighbor, every few minutes)",
        "sysctl net.ipv4.neigh.default.gc_thresh1=" + number(host_.neighbors * 2) + " (and gc_thresh2 and 3 above it)");
  }

  void memory() {
    if (status_.engine().has_status() && engine_.hugepages())
      return fine("hugepages", "the engine's tables are on 2 MB pages");
    if (status_.engine().has_status())
      return hint(
          "hugepages",
          "the engine's tables are on plain memory, which costs with a million connections some ten ns a packet",
          more_pages() + ", then restart guideway-engine");
    if (host_.engine) return;  // it may hold those that aren't free
    if (host_.hugepages_2mb_free < kFewPages)
      return hint("hugepages",
                  number(host_.hugepages_2mb_free) + " of " + number(host_.hugepages_2mb) +
                      " pages of 2 MB are free: an engine would use plain memory",
                  more_pages());
    fine("hugepages", number(host_.hugepages_2mb_free) + " pages of 2 MB are free");
  }

  void privileges() {
    if (!host_.engine) return privileges_here();
    const std::string missing = missing_in(host_.engine->capabilities, false);
    if (!missing.empty())
      return problem("privileges", "the engine runs without " + missing,
                     "start it as root: it keeps these, and drops the others");
    if (!host_.engine->seccomp)
      return hint("privileges", "the engine's system calls aren't filtered",
                  "restart guideway-engine without --no-seccomp");
    fine("privileges", "the engine has what it needs, and its system calls are filtered");
  }

  void workers() {
    std::set<uint32_t> cores;
    for (const auto& w : engine_.workers()) cores.insert(w.core());
    for (const auto& [core, facts] : host_.cores) {
      for (const uint32_t other : facts.siblings)
        if (other > core && cores.contains(other))
          hint("workers", "cores " + number(core) + " and " + number(other) + " share their execution units",
               "give workers cores of their own by guideway-engine --cores: lscpu -e tells which share");
      if (!facts.governor.empty() && facts.governor != "performance")
        hint("core " + number(core), "its frequency follows its load (" + facts.governor + ")",
             "cpupower -c " + number(core) + " frequency-set -g performance");
    }
    uint64_t most = 0;
    uint64_t all = 0;
    for (const auto& w : engine_.workers()) {
      most = std::max(most, w.received());
      all += w.received();
    }
    const auto n = static_cast<uint64_t>(engine_.workers_size());
    if (n > 1 && all > 100'000 && 2 * most * n > 3 * all)
      hint("workers",
           "one worker took " + number(most * 100 / all) +
               " % of all packets: the interfaces' queues are filled unevenly",
           "ethtool -X PORT equal QUEUES; ethtool -N PORT rx-flow-hash tcp4 sdfn (and udp4, tcp6, udp6)");
    else if (n > 1 && all > 100'000)
      fine("workers", "packets are spread over them");
  }

  void port(const v1::Port& p) {
    const std::string subject = "port " + p.name();
    if (!p.up()) problem(subject, "it has no link", "ip link set dev " + p.name() + " up, and look at the cable");
    if (p.kind() != "af_xdp") return;
    const auto found = host_.interfaces.find(p.name());
    if (found == host_.interfaces.end() || !found->second.present)
      return problem(subject, "there is no such interface here: this isn't the engine's network namespace",
                     "run guideway doctor where guideway-engine runs");
    const InterfaceFacts& f = found->second;
    if (f.rx_queues && *f.rx_queues > p.queues())
      problem(subject,
              "it has " + number(*f.rx_queues) + " receive queues, the engine serves " + number(p.queues()) +
                  ": what comes by the others is dropped (no_socket)",
              "restart the engine without a number of queues in its --port, or with " + number(*f.rx_queues));
    const auto n = static_cast<uint32_t>(engine_.workers_size());
    if (p.queues() < n)
      hint(subject,
           number(p.queues()) + " queues for " + number(n) +
               " workers: the others get its packets over rings, if at all",
           "as many queues (ethtool -L " + p.name() + "), then restart the engine; or fewer workers");
    for (const char* feature : {"rx-lro", "rx-gro-hw"})
      if (const auto on = f.features.find(feature); on != f.features.end() && on->second && f.driver != "virtio_net")
        problem(subject, std::string(feature) + " is on: packets are merged before XDP sees them, beyond the MTU",
                "ethtool -K " + p.name() + " " + feature + " off");
    if (const auto on = f.features.find("rx-vlan-hw-parse"); on != f.features.end() && on->second && f.driver != "veth")
      hint(subject, "the NIC takes VLAN tags off before XDP sees them: packets of VLANs look untagged",
           "ethtool -K " + p.name() + " rxvlan off, if VLANs come in there");
    if (f.rx_ring && f.rx_ring_max && *f.rx_ring < 1'024 && *f.rx_ring < *f.rx_ring_max)
      hint(subject, "its receive ring has " + number(*f.rx_ring) + " places of " + number(*f.rx_ring_max) + " possible",
           "ethtool -G " + p.name() + " rx " + number(std::min(*f.rx_ring_max, 4'096U)) + ", with the engine stopped");
    if (f.rp_filter == 1)
      hint(subject,
           "the reverse-path filter is strict: the host's own traffic that comes in there and is answered elsewhere is "
           "lost",
           "sysctl net/ipv4/conf/" + p.name() + "/rp_filter=2");
    const auto same = [&](const Finding& other) { return other.subject == subject; };
    if (std::ranges::none_of(findings_, same)) fine(subject, "nothing stands in the way");
  }

  // What the modes in use may put around a packet of 1,500 bytes, whose backends may be of the other family. One port
  // with room will be the one towards them.
  void encapsulation() {
    uint32_t outer = 0;
    for (const auto& s : services_.services()) {
      if (s.mode() == v1::FORWARDING_MODE_DSR_IPIP) outer = std::max(outer, 40U);
      if (s.mode() == v1::FORWARDING_MODE_DSR_GUE) outer = std::max(outer, 48U);
    }
    const auto& ports = engine_.ports();
    if (outer == 0 || ports.empty() ||
        std::any_of(ports.begin(), ports.end(), [&](const v1::Port& p) { return p.mtu() >= 1'500 + outer; }))
      return;
    hint(
        "encapsulation",
        "no port has an MTU with room for it around packets of 1,500 bytes: larger ones are cut, or their senders told",
        "ip link set dev PORT mtu " + number(1'500 + outer) + " towards the backends, and on the whole way there");
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

  std::vector<Finding> take(bool answers) {
    if (answers) addresses();
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    return std::move(findings_);
  }

 private:
  // What an engine would lack that root starts from here.
  void privileges_here() {
    if (!host_.root)
      return hint("privileges", "no engine is seen here, nor what one would lack",
                  "run guideway doctor as root to see");
    const std::string missing = missing_in(host_.bounding, true);
    if (missing.empty()) return fine("privileges", "an engine started here would have what it needs");
    problem("privileges", "an engine started here wouldn't have " + missing,
            "give this container or service these capabilities (for a unit CapabilityBoundingSet=)");
  }
  // Of what the engine keeps, or of what it starts with: dataplane/main.cc asks for the same.
  static std::string missing_in(uint64_t capabilities, bool at_start) {
    std::string missing;
    const auto look = [&](unsigned capability, const char* name) {
      if ((capabilities >> capability & 1) == 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
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
  std::string more_pages() const {
    return "echo " + number(host_.hugepages_2mb + 1'024) +
           " >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, and hugepages=1024 on the kernel's command line";
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
  std::vector<Finding> findings_;
};

const char* name_of(Severity s) {
  if (s == Severity::kProblem) return "problem";
  return s == Severity::kHint ? "hint" : "fine";
}

}  // namespace

std::vector<Finding> examine(const HostFacts& host, const v1::GetStatusResponse& status,
                             const v1::ListServicesResponse& services, const std::string& trouble) {
  Examination e(host, status, services);
  e.daemon(trouble);
  e.kernel();
  e.neighbors();
  e.memory();
  e.privileges();
  e.workers();
  for (const auto& p : status.engine().status().ports()) e.port(p);
  e.encapsulation();
  return e.take(trouble.empty());
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
  google::protobuf::Struct all;
  auto& list = *(*all.mutable_fields())["findings"].mutable_list_value();
  for (const Finding& f : findings) {
    auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
    fields["severity"].set_string_value(name_of(f.severity));
    fields["subject"].set_string_value(f.subject);
    fields["text"].set_string_value(f.text);
    fields["remedy"].set_string_value(f.remedy);
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string text;
  static_cast<void>(google::protobuf::util::MessageToJsonString(all, &text, options));
  return text;
}

}  // namespace guideway::mgmt
