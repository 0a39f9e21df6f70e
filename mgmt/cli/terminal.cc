#include "mgmt/cli/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace guideway::mgmt {
namespace {

// xterm's control sequences, which every terminal of today has: another screen, no cursor, no wrapping of long lines.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

bool Terminal::there() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 && kind != nullptr && kind != std::string("dumb");
}

Terminal::Terminal() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}) sigaddset(&set, s);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  ::tcgetattr(STDIN_FILENO, &before_);
  enter();
}

Terminal::~Terminal() {
  leave();
  ::close(signals_);
}

void Terminal::enter() {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  put(kEnter);
}

void Terminal::leave() {
  put(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

size_t Terminal::rows() const {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

void Terminal::draw(const std::vector<std::string>& lines) {
  std::string out = "\x1b[H";
  const size_t shown = std::min(lines.size(), rows());
  for (size_t i = 0; i < shown; ++i) out += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
  put(out + "\x1b[J");
}

Terminal::Event Terminal::wait(std::chrono::milliseconds timeout) {
  if (!typed_.empty()) return take_key();
  pollfd fds[] = {{signals_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  if (::poll(fds, 2, static_cast<int>(std::max<int64_t>(timeout.count(), 0))) <= 0) return Event::kNothing;
  if (fds[0].revents != 0) return take_signal();
  char bytes[64];
  const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
  if (n <= 0) return Event::kEnd;
  typed_.assign(bytes, static_cast<size_t>(n));
  return take_key();
}

Terminal::Event Terminal::take_signal() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != sizeof info) return Event::kNothing;
  if (info.ssi_signo == SIGWINCH) return Event::kResized;
  if (info.ssi_signo != SIGTSTP) return Event::kEnd;
  leave();
  ::raise(SIGSTOP);
  enter();
  return Event::kResized;
}

// An arrow comes as three bytes at once.
Terminal::Event Terminal::take_key() {
  const bool sequence = typed_.size() > 2 && typed_[0] == '\x1b';
  key_ = typed_[0];
  if (sequence) key_ = typed_[2] == 'C' ? '>' : typed_[2] == 'D' ? '<' : '\0';
  typed_.erase(0, sequence ? 3 : 1);
  return Event::kKey;
}

}  // namespace guideway::mgmt
