#include "mgmt/source/manifests/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

struct CloseDir {
  void operator()(DIR* d) const { ::closedir(d); }
};

absl::Status failure(const std::string& path, const char* what) {
  const int error = errno;
  const char* remedy = "see that it is a directory that guidewayd's user may read: chmod o+rx";
  if (error == ENOSPC) remedy = "raise it: sysctl fs.inotify.max_user_watches=65536";
  return log::failure(error == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kFailedPrecondition,
                      path + " " + what + ": " + std::strerror(error), remedy);
}

constexpr uint32_t kWatched =
    IN_CLOSE_WRITE | IN_CREATE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

// Another name of what is written elsewhere.
bool is_link(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 && (S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 1));
}

bool is_denied(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0 && errno == EACCES;
}

}  // namespace

bool is_manifest(std::string_view name) {
  // "x.yaml~" and ".x.yaml.swp" don't end so.
  return !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"));
}

absl::StatusOr<ManifestDirectory> ManifestDirectory::open(const std::string& path) {
  Fd fd{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (fd.get() < 0)
    return log::failure(absl::StatusCode::kResourceExhausted,
                        std::string("inotify can't be used: ") + std::strerror(errno),
                        "raise it: sysctl fs.inotify.max_user_instances=512");
  if (::inotify_add_watch(fd.get(), path.c_str(), kWatched | IN_ONLYDIR) < 0) {
    if (errno == ENOENT)
      return log::failure(absl::StatusCode::kNotFound, "the manifest directory " + path + " doesn't exist",
                          "create it, even if it is empty");
    if (errno == ENOTDIR)
      return log::failure(absl::StatusCode::kFailedPrecondition, path + " is not a directory",
                          "name one with --manifests");
    return failure(path, "can't be watched");
  }
  return ManifestDirectory(path, std::move(fd));
}

absl::StatusOr<std::set<std::string>> ManifestDirectory::list() {
  const std::unique_ptr<DIR, CloseDir> dir{::opendir(path_.c_str())};
  if (!dir) return failure(path_, "can't be listed");
  std::set<std::string> names;
  errno = 0;
  while (const dirent* e = ::readdir(dir.get()))
    if (e->d_type != DT_DIR && is_manifest(e->d_name)) names.insert(e->d_name);
  if (errno != 0) return failure(path_, "can't be listed");
  note_denied(names);
  return names;
}

// Before they are read: so none is missed that may be read a moment later.
void ManifestDirectory::note_denied(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (is_denied(path_of(name)))
      denied_.insert(name);
    else
      denied_.erase(name);
  }
}

bool ManifestDirectory::is_news(const inotify_event& e) const {
  if (!is_manifest(e.name)) return false;
  if ((e.mask & IN_CREATE) != 0) return is_link(path_of(e.name));
  return (e.mask & IN_ATTRIB) == 0 || (denied_.contains(e.name) && !is_denied(path_of(e.name)));
}

void ManifestDirectory::take(const inotify_event& e, Changes& changes) const {
  if ((e.mask & IN_Q_OVERFLOW) != 0) changes.all = true;
  if ((e.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) changes.lost = true;
  if (e.len == 0) return;
  // A mounted ConfigMap or Secret swaps the link "..data" to change all its files at once.
  if (std::string_view(e.name) == "..data")
    changes.all = true;
  else if (is_news(e))
    changes.files.insert(e.name);
}

ManifestDirectory::Changes ManifestDirectory::changes() {
  Changes changes;
  alignas(inotify_event) char buffer[16384];
  while (true) {
    const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    for (ssize_t at = 0; at < n;) {
      // The kernel writes whole events, aligned for this struct.
      const auto* e = reinterpret_cast<const inotify_event*>(buffer + at);
      take(*e, changes);
      at += static_cast<ssize_t>(sizeof(inotify_event) + e->len);
    }
  }
  note_denied(changes.files);
  return changes;
}

}  // namespace guideway::mgmt
