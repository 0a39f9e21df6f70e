#include "mgmt/source/whole_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

// NotFound is that it isn't there, which means that its objects are to go; nothing else is.
absl::Status failure(const std::string& path, const char* what) {
  const int error = errno;
  const bool denied = error == EACCES || error == EPERM;
  const absl::Status s =
      log::system_failure(error, path + " " + what, denied ? "give it to guidewayd's user: chown, chmod" : "");
  if (error == ENOENT) return s;
  const log::Trouble t = log::trouble_of(s);
  return log::failure(absl::StatusCode::kFailedPrecondition, t.text, t.remedy);
}

absl::Status too_large(const std::string& path) {
  return log::failure(absl::StatusCode::kFailedPrecondition,
                      path + " is larger than " + std::to_string(kMaxFileBytes >> 20) + " MB", "split it");
}

}  // namespace

absl::StatusOr<std::string> read_whole_file(const std::string& path) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (fd.get() < 0) return failure(path, "can't be opened");
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return failure(path, "can't be read");
  if (!S_ISREG(st.st_mode))
    return log::failure(absl::StatusCode::kFailedPrecondition, path + " is not a regular file", "move it away");
  if (static_cast<size_t>(st.st_size) > kMaxFileBytes) return too_large(path);
  std::string bytes(static_cast<size_t>(st.st_size), '\0');
  size_t n = 0;
  while (n <= kMaxFileBytes) {
    if (n == bytes.size()) bytes.resize(n + 4096);
    const ssize_t got = ::read(fd.get(), bytes.data() + n, bytes.size() - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path, "can't be read");
    if (got == 0) {
      bytes.resize(n);
      return bytes;
    }
    n += static_cast<size_t>(got);
  }
  return too_large(path);
}

std::error_code for_each_file(const std::string& directory, const std::function<void(const std::string& name)>& visit) {
  std::error_code ec;
  for (std::filesystem::directory_iterator at(directory, ec); !ec && at != std::filesystem::directory_iterator();
       at.increment(ec))
    visit(at->path().filename().string());
  return ec;
}

absl::Status make_state_directory(const std::string& path) {
  std::error_code ec;
  std::filesystem::create_directories(path, ec);
  if (!ec && ::access(path.c_str(), W_OK) == 0) return absl::OkStatus();
  return log::failure(
      absl::StatusCode::kFailedPrecondition,
      "the state directory " + path + " can't be used: " + (ec ? ec.message() : std::string(std::strerror(errno))),
      "name another with --state-dir");
}

absl::StatusOr<Fd> take_state_directory(const std::string& path) {
  if (absl::Status s = make_state_directory(path); !s.ok()) return s;
  Fd fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (fd.get() < 0) return failure(path, "can't be opened");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return failure(path, "can't be locked");
  return log::failure(absl::StatusCode::kAlreadyExists, "another guidewayd has the state directory " + path,
                      "stop it, or name another with --state-dir");
}

absl::Status write_whole_file(const std::string& path, const std::string& bytes, Flush flush) {
  const Fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
  if (fd.get() < 0) return failure(path, "can't be written");
  for (size_t n = 0; n < bytes.size();) {
    const ssize_t done = ::write(fd.get(), bytes.data() + n, bytes.size() - n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return failure(path, "can't be written");
    n += static_cast<size_t>(done);
  }
  if (flush == Flush::kYes && ::fsync(fd.get()) != 0) return failure(path, "can't be flushed to the disk");
  return absl::OkStatus();
}

}  // namespace guideway::mgmt
