#include "mgmt/source/api/state_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "log/trouble.h"
#include "mgmt/event_loop.h"
#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {
namespace {

constexpr std::string_view kSuffix = ".yaml";
constexpr std::string_view kDraft = ".draft-";

absl::Status failure(const std::string& path, const char* what) {
  const int error = errno;
  return log::failure(absl::StatusCode::kInternal, path + " " + what + ": " + std::strerror(error),
                      "give --state-dir to guidewayd's user, on a file system that can be written");
}

}  // namespace

absl::Status StateFiles::prepare() const {
  if (absl::Status s = make_state_directory(directory_); !s.ok()) return s;
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(directory_, ec))
    if (e.path().filename().string().starts_with(kDraft)) discard(e.path().string());
  return absl::OkStatus();
}

std::vector<std::string> StateFiles::list() const {
  std::vector<std::string> paths;
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(directory_, ec))
    if (e.path().filename().string().ends_with(kSuffix)) paths.push_back(e.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::StatusOr<std::string> StateFiles::draft(const std::string& text) {
  std::string path = path_of(std::string(kDraft) + std::to_string(drafts_.fetch_add(1)));
  if (const absl::Status s = write_whole_file(path, text, Flush::kYes); !s.ok()) {
    discard(path);
    const log::Trouble t = log::trouble_of(s);
    return log::failure(absl::StatusCode::kInternal,
                        t.text + "; what the API is told must survive a restart, so nothing was changed", t.remedy);
  }
  return path;
}

absl::Status StateFiles::accept(const std::string& draft, const std::string& name) const {
  const std::string path = path_of(name);
  return ::rename(draft.c_str(), path.c_str()) == 0 ? absl::OkStatus() : failure(path, "can't be replaced");
}

void StateFiles::discard(const std::string& draft) const { ::unlink(draft.c_str()); }

absl::Status StateFiles::remove(const std::string& name) const {
  const std::string path = path_of(name);
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? absl::OkStatus() : failure(path, "can't be removed");
}

absl::Status StateFiles::flush() const {
  const Fd fd{::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (fd.get() >= 0 && ::fsync(fd.get()) == 0) return absl::OkStatus();
  return absl::DataLossError(directory_ + " can't be flushed to the disk: " + std::strerror(errno) +
                             "; the change is in force, and may be lost if the host loses power now");
}

}  // namespace guideway::mgmt
