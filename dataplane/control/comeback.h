// How workers come back to what the kernel has balanced meanwhile: those that were away, and all of them at an engine's
// start. An earlier connection of the same addresses and ports may still stand in their tables, where the kernel's is
// another server's; so they hear what the kernel has begun before it leaves packets to them again.
#pragma once

#include <vector>

#include "dataplane/control/begun.h"
#include "dataplane/control/workers.h"

namespace guideway::control {

class Comeback {
 public:
  Comeback(Begun& begun, Workers& workers) : begun_(begun), workers_(workers) {}

  // Before workers run.
  void tell_all(path::Tick now);
  // Between control's other work; true while somebody is on the way back.
  bool step();

 private:
  bool is_anybody_away() const;
  bool have_all_heard() const;

  Begun& begun_;
  Workers& workers_;
  std::vector<path::KernelsFlow> telling_;  // what workers are reading
  unsigned rounds_ = 0;                     // left of those that were away
};

}  // namespace guideway::control
