// One connection to the engine's socket: whole messages in and out, never blocking, however large a state is. Says
// nothing of what the messages mean.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <string_view>

#include "dataplane/engine.pb.h"
#include "mgmt/event_loop.h"

namespace guideway::mgmt {

// Why a connection is to be closed: what it sent breaks the contract; or it didn't send what it owes.
absl::Status unexpected(const std::string& what);
absl::Status late(const std::string& what);

class Connection {
 public:
  // A message that breaks the contract makes this fail, which closes the connection.
  using OnMessage = std::function<absl::Status(const engine::Envelope&)>;
  // The connection is closed by then.
  using OnClosed = std::function<void(const absl::Status& why)>;

  Connection(EventLoop& loop, OnMessage on_message, OnClosed on_closed)
      : loop_(loop), on_message_(std::move(on_message)), on_closed_(std::move(on_closed)) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status connect(const std::string& path);
  bool open() const { return static_cast<bool>(fd_); }
  // Queues whole frames; flush() sends what the socket takes now, the rest goes as it drains.
  void queue(std::string_view frames) { out_.append(frames); }
  void flush();
  void close();
  // Closes, and tells.
  void fail(absl::Status why);

 private:
  void ready(uint32_t events);
  absl::Status receive();
  absl::Status send();

  EventLoop& loop_;
  OnMessage on_message_;
  OnClosed on_closed_;
  Fd fd_;
  std::string in_;
  std::string out_;
  size_t sent_ = 0;  // of out_
  bool waits_for_room_ = false;
};

}  // namespace guideway::mgmt
