// What gRPC tells nobody but its own log: what it complains of, and calls that it refuses without asking us. From here
// on it stands in ours, in its format.
#pragma once

#include <string>
#include <vector>

#include "mgmt/api/peers.h"
#include "mgmt/event_loop.h"

namespace guideway::mgmt {

class GrpcLog {
 public:
  // `loop`: where it is found out whose calls were refused. One at a time.
  explicit GrpcLog(EventLoop& loop);
  ~GrpcLog();

  // Of a call that gRPC says it refuses, on the thread that reads its connection: `why` as it says it. Then it answers,
  // and closes the connection; that is how we learn which one it was.
  void refused(const std::string& why);

 private:
  struct Refusal {
    std::string why;
    std::vector<Peer> connected;  // then
    int looks = 0;
  };
  void look(Refusal refusal);

  EventLoop& loop_;
};

}  // namespace guideway::mgmt
