#include "dataplane/control/comeback.h"

namespace guideway::control {

namespace {

// While workers hear of the first, the kernel begins some more.
constexpr unsigned kRounds = 2;

}  // namespace

bool Comeback::is_anybody_away() const {
  for (unsigned i = 0; i < workers_.count(); ++i)
    if (workers_[i].is_away()) return true;
  return false;
}

bool Comeback::have_all_heard() const {
  for (unsigned i = 0; i < workers_.count(); ++i)
    if (!workers_[i].has_heard()) return false;
  return true;
}

void Comeback::tell_all(path::Tick now) {
  begun_.take_in();
  const auto flows = begun_.take_untold();
  for (unsigned i = 0; i < workers_.count(); ++i) workers_[i].make_way(flows, now);
  begun_.told(flows);
}

bool Comeback::step() {
  if (!have_all_heard()) return true;
  begun_.told(telling_);
  if (rounds_ == 0 && is_anybody_away()) {
    rounds_ = kRounds;
  } else if (rounds_ > 0 && --rounds_ == 0) {
    for (unsigned i = 0; i < workers_.count(); ++i)
      if (workers_[i].is_away()) workers_[i].welcome();
  }
  if (rounds_ > 0) begun_.take_in();
  telling_ = begun_.take_untold();
  if (telling_.empty()) return rounds_ > 0;
  for (unsigned i = 0; i < workers_.count(); ++i) workers_[i].tell(telling_);
  return true;
}

}  // namespace guideway::control
