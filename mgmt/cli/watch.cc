#include "mgmt/cli/watch.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

using Cells = RowKey;  // which are a row's first
using std::chrono::milliseconds;

constexpr milliseconds kFirstWait{100};
constexpr milliseconds kLongestWait{2'000};

// A row's cells after those of its key.
Cells rest_of(const v1::VipRow& r) {
  return {word(r.state()),
          word(r.mode()),
          number(r.backends_ready()),
          number(r.backends_draining()),
          number(r.backends_total()),
          r.file()};
}

Cells rest_of(const v1::BackendRow& r) { return {word(r.state()), weight(r), r.slice(), r.pod(), r.node()}; }

Cells header_of(const v1::VipRow&) {
  return {"NAMESPACE", "NAME", "PORT", "VIP", "PROTOCOL", "STATE", "MODE", "READY", "DRAINING", "TOTAL", "FILE"};
}

Cells header_of(const v1::BackendRow&) {
  return {"NAMESPACE", "NAME", "PORT", "VIP", "PROTOCOL", "BACKEND", "STATE", "WEIGHT", "SLICE", "POD", "NODE"};
}

// Columns that only grow wider, for what is printed before the rest is known.
class Columns {
 public:
  void make_room(const Cells& cells) {
    widths_.resize(std::max(widths_.size(), cells.size()));
    for (size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].size());
  }
  std::string line(const Cells& cells) {
    make_room(cells);
    std::string out;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = cells[i].empty() ? "-" : cells[i];
      out += cell;
      if (i + 1 < cells.size()) out.append(std::max(widths_[i], cell.size()) - cell.size() + 3, ' ');
    }
    return out + "\n";
  }

 private:
  std::vector<size_t> widths_;
};

// What the daemon has told so far: after a reset only what is other than before is shown.
template <typename Response, typename Row>
class Rows {
 public:
  // The lines that a message comes to.
  std::string take(const Response& r) {
    if (r.reset()) {
      resetting_ = true;
      seen_.clear();
    }
    for (const Row& row : r.changed()) {
      const Cells key = key_of(row);
      const Cells rest = rest_of(row);
      if (resetting_) seen_.insert(key);
      Cells& known = rows_[key];
      if (known == rest) continue;
      known = news_[key] = rest;
    }
    for (const Row& row : r.removed()) remove(key_of(row));
    if (resetting_ && !r.last()) return "";
    if (std::exchange(resetting_, false)) remove_unseen();
    return print();
  }

 private:
  void remove(const Cells& key) {
    if (rows_.erase(key) != 0) news_[key] = {"Removed"};
  }
  void remove_unseen() {
    std::vector<Cells> unseen;
    for (const auto& [key, rest] : rows_)
      if (!seen_.contains(key)) unseen.push_back(key);
    for (const Cells& key : unseen) remove(key);
  }
  std::string print() {
    std::vector<Cells> lines;
    if (!std::exchange(headed_, true)) lines.push_back(header_of(Row()));
    for (const auto& [key, rest] : news_) {
      lines.push_back(key);
      lines.back().insert(lines.back().end(), rest.begin(), rest.end());
    }
    news_.clear();
    for (const Cells& cells : lines) columns_.make_room(cells);
    std::string out;
    for (const Cells& cells : lines) out += columns_.line(cells);
    return out;
  }

  std::map<Cells, Cells> rows_;
  std::map<Cells, Cells> news_;  // to be printed
  std::set<Cells> seen_;         // since the reset
  bool resetting_ = false;
  bool headed_ = false;
  Columns columns_;
};

// What a daemon that stops, restarts or has too much to hold, or a network, ends a call with.
bool may_pass(const grpc::Status& s) {
  return s.error_code() == grpc::StatusCode::UNAVAILABLE || s.error_code() == grpc::StatusCode::CANCELLED ||
         s.error_code() == grpc::StatusCode::INTERNAL || s.error_code() == grpc::StatusCode::UNKNOWN ||
         s.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

template <typename Request, typename Response>
using Method = std::unique_ptr<grpc::ClientReader<Response>> (v1::Appliance::Stub::*)(grpc::ClientContext*,
                                                                                      const Request&);

template <typename Row, typename Request, typename Response>
int watch(Client& client, Method<Request, Response> method, const std::string& service) {
  Request request;
  if (!service.empty()) set_service(service, request);
  Response message;
  Rows<Response, Row> rows;
  bool connected = false;  // once
  milliseconds wait = kFirstWait;
  while (true) {
    const grpc::Status s = client.follow(method, request, &message, [&] {
      *request.mutable_since() = message.generation();
      connected = true;
      wait = kFirstWait;
      if (client.for_people()) return client.print_text(rows.take(printable(message))) == 0;
      return client.print_message(message, Client::Layout::kLine) == 0;
    });
    if (s.ok()) return kFailed;  // nobody takes what is printed
    if (!connected || !may_pass(s)) return client.fail(s);
    if (wait == kFirstWait)
      std::cerr << "guideway: guidewayd ended the watch (" << s.error_message() << "): waiting for it\n";
    std::this_thread::sleep_for(wait);
    wait = std::min(wait * 2, kLongestWait);
  }
}

}  // namespace

int watch_services(Client& client, const std::string& service) {
  return watch<v1::VipRow>(client, &v1::Appliance::Stub::WatchServices, service);
}

int watch_backends(Client& client, const std::string& service) {
  return watch<v1::BackendRow>(client, &v1::Appliance::Stub::WatchBackends, service);
}

}  // namespace guideway::mgmt
