#include "mgmt/source/manifests/last_good.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "log/trouble.h"
#include "mgmt/source/whole_file.h"

namespace guideway::mgmt {
namespace {

constexpr std::string_view kSuffix = ".last-good";

std::string header(const std::string& manifest) {
  return "# The last good form of " + manifest + ", kept by guidewayd. Don't edit.\n";
}

absl::Status failure(const std::string& what) {
  return log::failure(absl::StatusCode::kFailedPrecondition,
                      what + "; without it a restart on a broken manifest forgets its objects",
                      "make room in --state-dir, or give it to guidewayd's user");
}

}  // namespace

std::string LastGoodFiles::path_of(const std::string& manifest) const {
  return directory_ + "/" + std::filesystem::path(manifest).filename().string() + std::string(kSuffix);
}

absl::Status LastGoodFiles::prepare() const { return make_state_directory(directory_); }

std::optional<std::string> LastGoodFiles::load(const std::string& manifest) const {
  const auto text = read_whole_file(path_of(manifest));
  if (!text.ok() || !text->starts_with(header(manifest))) return std::nullopt;
  return *text;
}

absl::Status LastGoodFiles::save(const std::string& manifest, const std::string& documents) const {
  const std::string path = path_of(manifest);
  const std::string draft = path + ".new";
  if (const absl::Status s = write_whole_file(draft, header(manifest) + documents, Flush::kNo); !s.ok())
    return failure(log::trouble_of(s).text);
  if (::rename(draft.c_str(), path.c_str()) != 0) return failure(path + " can't be replaced: " + std::strerror(errno));
  return absl::OkStatus();
}

void LastGoodFiles::remove(const std::string& manifest) const { ::unlink(path_of(manifest).c_str()); }

void LastGoodFiles::keep_only(const std::set<std::string>& manifests) const {
  std::set<std::string> wanted;
  for (const std::string& m : manifests) wanted.insert(path_of(m));
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(directory_, ec)) {
    const std::string path = e.path().string();
    if (path.ends_with(kSuffix) && !wanted.contains(path)) ::unlink(path.c_str());
  }
}

}  // namespace guideway::mgmt
