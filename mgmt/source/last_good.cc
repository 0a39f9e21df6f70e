#include "mgmt/source/last_good.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "log/trouble.h"
#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {
namespace {

std::string header(const std::string& file) {
  return "# The last good form of " + file + ", kept by guidewayd. Don't edit.\n";
}

absl::Status failure(const std::string& what) {
  return log::failure(absl::StatusCode::kFailedPrecondition,
                      what + "; without it a restart on a broken file forgets its objects",
                      "make room in --state-dir, or give it to guidewayd's user");
}

}  // namespace

std::string LastGoodFiles::path_of(const std::string& file) const {
  return directory_ + "/" + std::filesystem::path(file).filename().string() + suffix_;
}

absl::Status LastGoodFiles::prepare() const { return make_state_directory(directory_); }

std::optional<std::string> LastGoodFiles::load(const std::string& file) const {
  const auto text = read_whole_file(path_of(file));
  if (!text.ok() || !text->starts_with(header(file))) return std::nullopt;
  return *text;
}

absl::Status LastGoodFiles::save(const std::string& file, const std::string& documents) const {
  const std::string path = path_of(file);
  const std::string draft = directory_ + "/.new";
  if (const absl::Status s = write_whole_file(draft, header(file) + documents, Flush::kNo); !s.ok())
    return failure(log::trouble_of(s).text);
  if (::rename(draft.c_str(), path.c_str()) != 0) return failure(path + " can't be replaced: " + std::strerror(errno));
  return absl::OkStatus();
}

void LastGoodFiles::remove(const std::string& file) const { ::unlink(path_of(file).c_str()); }

void LastGoodFiles::keep_only(const std::set<std::string>& files) const {
  std::set<std::string> wanted;
  for (const std::string& f : files) wanted.insert(path_of(f));
  for_each_file(directory_, [&](const std::string& name) {
    const std::string path = directory_ + "/" + name;
    if (path.ends_with(suffix_) && !wanted.contains(path)) ::unlink(path.c_str());
  });
}

}  // namespace guideway::mgmt
