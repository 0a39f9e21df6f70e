#include "dataplane/control/table_directory.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>

#include "dataplane/path/clock.h"
#include "log/trouble.h"
#include "net/flow_hash.h"

namespace guideway::control {

namespace {

// Counted up with what entries, buckets or this header look like.
constexpr char kMagic[16] = "guideway-table1";
constexpr size_t kHugePage = 2 << 20;

uint64_t check_of(const TableHeader& h) {
  uint64_t sum = 0;
  for (size_t at = 0; at < offsetof(TableHeader, check); at += sizeof sum) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&h) + at, sizeof word);
    sum = gw_mix(sum ^ word) + at;
  }
  return sum;
}

bool is_sound(const TableHeader& h) {
  return std::memcmp(h.magic, kMagic, sizeof kMagic) == 0 && h.check == check_of(h);
}

bool is_of_type(const std::string& path, std::initializer_list<long> types) {
  struct statfs fs{};
  if (statfs(path.c_str(), &fs) != 0) return false;
  return std::ranges::any_of(types,
                             [&](long t) { return static_cast<unsigned>(fs.f_type) == static_cast<unsigned>(t); });
}

// Nobody else may have written what we are to believe.
bool is_only_ours(int directory) {
  struct stat s{};
  return fstat(directory, &s) == 0 && s.st_uid == geteuid() && (s.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

constexpr const char* kSuitable = "give a --table-dir that is root's alone, on a tmpfs, as /run is on most hosts";

absl::Status refused(const std::string& what) {
  const bool denied = errno == EACCES || errno == EPERM;
  const std::string text = absl::StrCat(what, ": ", std::strerror(errno));
  return log::failure(denied ? absl::StatusCode::kPermissionDenied : absl::StatusCode::kFailedPrecondition, text,
                      kSuitable);
}

uint64_t away_since(uint64_t alive) {
  const uint64_t now = path::seconds_since_boot();
  return now > alive ? now - alive : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TableDirectory>> TableDirectory::open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return refused(absl::StrCat("can't make ", path));
  std::unique_ptr<TableDirectory> d(new TableDirectory(path));
  d->lock_ = xdp::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!d->lock_) return refused(absl::StrCat("can't open ", path));
  if (flock(d->lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return log::failure(absl::StatusCode::kAlreadyExists,
                        absl::StrCat("another guideway-engine runs here (it holds ", path, ")"),
                        "stop it, or give this one a --table-dir of its own");
  if (!is_only_ours(d->lock_.get()))
    return log::failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(path, " can be written by others than us"),
                        kSuitable);
  if (!is_of_type(path, {TMPFS_MAGIC, RAMFS_MAGIC}))
    return log::failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(path, " isn't on a tmpfs"), kSuitable);
  const xdp::Fd mount(::open(d->huge_path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  d->has_huge_ = mount && is_only_ours(mount.get()) && is_of_type(d->huge_path(), {HUGETLBFS_MAGIC});
  return d;
}

std::vector<std::string> TableDirectory::places(bool huge) const {
  if (has_huge_ && huge) return {huge_path(), path_};
  return {path_};
}

std::optional<uint64_t> TableDirectory::take_stock(std::span<const Wanted> wanted, bool huge) {
  std::optional<uint64_t> seed;
  for (const std::string& place : {huge_path(), path_}) {
    std::error_code error;
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(place, error))
      if (const std::string name = entry.path().filename(); name.starts_with("worker")) names.push_back(name);
    std::ranges::sort(names);
    for (const std::string& name : names) {
      const auto same = std::ranges::find_if(wanted, [&](const Wanted& w) { return w.name == name; });
      const bool stays = same != wanted.end() && place == places(huge).front();
      look_at(absl::StrCat(place, "/", name), stays ? &*same : nullptr, &seed);
    }
  }
  return seed;
}

void TableDirectory::give_up(const std::string& file, const char* why) {
  damaged_.push_back(absl::StrCat("the connections in ", file, " are lost: ", why));
  unlink(file.c_str());
}

void TableDirectory::look_at(const std::string& file, const Wanted* wanted, std::optional<uint64_t>* seed) {
  const xdp::Fd fd(::open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  struct stat s{};
  if (!fd || fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return give_up(file, "it can't be read");
  const auto size = static_cast<size_t>(s.st_size);
  if (size < sizeof(TableHeader)) return give_up(file, "it is cut short");
  // hugetlbfs has no read() everywhere.
  void* base = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) return give_up(file, "it can't be mapped");
  const Mapping memory(base, size, false);
  const TableHeader& h = *static_cast<const TableHeader*>(base);
  if (!is_sound(h)) return give_up(file, "its header is damaged, or another version's");
  if (wanted != nullptr && wanted->shape == h.shape && size >= sizeof h + wanted->bytes &&
      (!*seed || **seed == h.seed)) {
    *seed = h.seed;
    return;
  }
  auto body = map_memory(size, false, "an earlier engine's connections");
  if (!body.ok()) return give_up(file, "there is no memory to read it");
  std::memcpy(body->base(), &h + 1, size - sizeof h);
  former_.push_back({file, h.shape, h.seed, away_since(h.alive), *std::move(body), size - sizeof h});
  unlink(file.c_str());
}

absl::StatusOr<TableDirectory::Table> TableDirectory::map(const Wanted& wanted, uint64_t seed, bool huge) {
  std::string complaint;
  for (const std::string& place : places(huge)) {
    auto table = map_file(place, wanted, seed);
    if (table.ok()) {
      table->complaint = complaint;
      return table;
    }
    if (complaint.empty()) complaint = log::trouble_of(table.status()).text;
  }
  Table table;
  auto memory = map_memory(sizeof(TableHeader) + wanted.bytes, huge, "connection tables");
  if (!memory.ok()) return memory.status();
  table.memory = *std::move(memory);
  table.complaint = complaint;
  return table;
}

absl::StatusOr<TableDirectory::Table> TableDirectory::map_file(const std::string& place, const Wanted& wanted,
                                                               uint64_t seed) {
  const std::string file = absl::StrCat(place, "/", wanted.name);
  const bool huge = place != path_;
  const size_t size = (sizeof(TableHeader) + wanted.bytes + kHugePage - 1) / kHugePage * kHugePage;
  const auto fail = [&](const char* what) {
    const int error = errno;
    unlink(file.c_str());
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat(what, " ", file, ", ", size >> 20, " MB: ", std::strerror(error)),
                        "make room there, or lower --connections");
  };
  const xdp::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail("can't make");
  // A tmpfs such as /run is the host's as well: all our files together leave it half of what it had free.
  struct stat s{};
  struct statfs fs{};
  if (fstat(fd.get(), &s) != 0 || fstatfs(fd.get(), &fs) != 0) return fail("can't look at");
  if (const bool fresh = static_cast<size_t>(s.st_blocks) * 512 < size; fresh && !huge) {
    const size_t free = static_cast<size_t>(fs.f_bavail) * static_cast<size_t>(fs.f_bsize);
    errno = ENOSPC;
    if (made_ + size > (free + made_) / 2) return fail("half of what is free there is less than");
    made_ += size;
  }
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return fail("can't make");
  // Now, for where no room is left the first write would be SIGBUS.
  if (fallocate(fd.get(), 0, 0, static_cast<off_t>(size)) != 0) return fail("no room for");
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (base == MAP_FAILED) return fail("can't map");
  Table table;
  table.memory = Mapping(base, size, huge);
  if (!huge) madvise(base, size, MADV_HUGEPAGE);
  TableHeader& h = *table.header();
  table.kept = is_sound(h);
  if (table.kept) {
    table.away = away_since(h.alive);
  } else {
    TableHeader fresh{};
    std::memcpy(fresh.magic, kMagic, sizeof fresh.magic);
    fresh.shape = wanted.shape;
    fresh.seed = seed;
    fresh.check = check_of(fresh);
    h = fresh;
  }
  mapped_.push_back(&h);
  return table;
}

absl::StatusOr<Mapping> TableDirectory::map_sparse(const std::string& name, size_t bytes, bool* kept) {
  const std::string file = absl::StrCat(path_, "/", name);
  const xdp::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat s{};
  if (!fd || fstat(fd.get(), &s) != 0) return refused(absl::StrCat("can't make ", file));
  *kept = static_cast<size_t>(s.st_size) == bytes;
  if (!*kept && s.st_size != 0) set_aside(name, "it is cut short, or another version's");
  if (!*kept && (ftruncate(fd.get(), 0) != 0 || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0))
    return refused(absl::StrCat("can't make ", file));
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) return refused(absl::StrCat("can't map ", file));
  return Mapping(base, bytes, false);
}

void TableDirectory::set_aside(const std::string& name, const char* why) {
  damaged_.push_back(absl::StrCat("whose connections they were is lost with ", path_, "/", name, ": ", why));
}

void TableDirectory::stamp() {
  const uint64_t now = path::seconds_since_boot();
  for (TableHeader* h : mapped_) h->alive = now;
}

absl::Status remove_tables(const std::string& path) {
  struct stat s{};
  if (stat(path.c_str(), &s) != 0 && errno == ENOENT) return absl::OkStatus();
  auto directory = TableDirectory::open(path);
  if (absl::IsFailedPrecondition(directory.status()))
    return absl::OkStatus();  // nor could any engine keep something there
  if (!directory.ok()) return directory.status();
  std::error_code error;
  for (const std::string& place : {(*directory)->huge_path(), path})
    for (const auto& entry : std::filesystem::directory_iterator(place, error)) {
      const std::string name = entry.path().filename();
      if (name == "rows" || name.starts_with("worker")) unlink(entry.path().c_str());
    }
  rmdir(path.c_str());  // fails, as it should, where something is mounted in it
  return absl::OkStatus();
}

}  // namespace guideway::control
