// The terminal as a screen that is drawn anew, with single keys: its other contents and its settings come back however
// the program ends, but for SIGKILL.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>
#include <vector>

namespace guideway::mgmt {

class Terminal {
 public:
  enum class Event : uint8_t { kNothing, kKey, kResized, kEnd };

  // Input and output are one that can do more than print.
  static bool there();

  // Before there is another thread, which could take the signals that this waits for.
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  size_t rows() const;
  // What is too long for the screen is cut off.
  void draw(const std::vector<std::string>& lines);
  // SIGINT and its like are kEnd; after SIGTSTP (Ctrl-Z) it comes back as kResized.
  Event wait(std::chrono::milliseconds timeout);
  // Of kKey: a letter, or '<' and '>' for the arrows to left and right.
  char key() const { return key_; }

 private:
  void enter();
  void leave();
  Event take_signal();
  Event take_key();

  termios before_{};
  int signals_ = -1;
  std::string typed_;  // and not yet taken
  char key_ = 0;
};

}  // namespace guideway::mgmt
