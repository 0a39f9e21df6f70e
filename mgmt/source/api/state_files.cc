#include "mgmt/source/api/state_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "log/trouble.h"
#include "mgmt/event_loop.h"
#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {
namespace {

constexpr std::string_view kSuffix = ".yaml";
constexpr std::string_view kDraft = ".draft-";

absl::Status failure(const std::string& path, const char* what, int error = errno) {
  return log::failure(absl::StatusCode::kInternal, path + " " + what + ": " + std::strerror(error),
                      "give --state-dir to guidewayd's user, on a file system that can be written");
}

}  // namespace

absl::Status StateFiles::prepare() const {
  if (absl::Status s = make_state_directory(directory_); !s.ok()) return s;
  for_each_file(directory_, [&](const std::string& name) {
    if (name.starts_with(kDraft)) Draft(path_of(name));
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> StateFiles::list() const {
  std::vector<std::string> paths;
  const std::error_code ec = for_each_file(directory_, [&](const std::string& name) {
    if (name.ends_with(kSuffix)) paths.push_back(path_of(name));
  });
  if (ec && ec != std::errc::no_such_file_or_directory) return failure(directory_, "can't be listed", ec.value());
  std::sort(paths.begin(), paths.end());
  return paths;
}

StateFiles::Draft::~Draft() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

absl::StatusOr<StateFiles::Draft> StateFiles::draft(const std::string& text) {
  const std::string path = path_of(std::string(kDraft) + std::to_string(drafts_.fetch_add(1)));
  Draft draft(path);
  if (const absl::Status s = write_whole_file(path, text, Flush::kYes); !s.ok()) {
    const log::Trouble t = log::trouble_of(s);
    return log::failure(absl::StatusCode::kInternal,
                        t.text + "; what the API is told must survive a restart, so nothing was changed", t.remedy);
  }
  return draft;
}

absl::Status StateFiles::accept(Draft& draft, const std::string& name) const {
  const std::string path = path_of(name);
  if (::rename(draft.path_.c_str(), path.c_str()) != 0) return failure(path, "can't be replaced");
  draft.path_.clear();
  return absl::OkStatus();
}

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
