// Where tables stand that outlive the engine: files on a tmpfs, those of connections on a hugetlbfs where one is
// mounted at `huge` in it. The next engine maps them again; one that can't (another version, other workers) reads them.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/control/memory.h"
#include "xdp/fd.h"

namespace guideway::control {

// What a file holds. One of another shape isn't mapped.
struct TableShape {
  uint32_t entry_size = 0;
  uint32_t entries = 0;
  uint32_t buckets = 0;
  uint32_t worker = 0;
  uint32_t workers = 0;
  friend bool operator==(const TableShape&, const TableShape&) = default;
};

// A file begins with it; behind it is what the shape says.
struct alignas(128) TableHeader {
  char magic[16];
  TableShape shape;
  uint32_t zero;
  uint64_t seed;   // of hashes in it
  uint64_t check;  // of all above
  uint64_t alive;  // seconds since boot, when its engine last ran
};
static_assert(sizeof(TableHeader) == 128);  // as entries want to be aligned

// Not for several threads at once.
class TableDirectory {
 public:
  struct Wanted {
    std::string name;
    TableShape shape;
    size_t bytes = 0;  // behind the header
  };
  struct Table {
    Mapping memory;         // header first
    bool kept = false;      // an earlier engine's stands in it, as it was
    uint64_t away = 0;      // seconds since that engine ran
    std::string complaint;  // why it isn't on 2 MB pages, or in no file; empty: it is as was asked
    TableHeader* header() const { return static_cast<TableHeader*>(memory.base()); }
    void* body() const { return header() + 1; }
  };
  // An earlier engine's table that isn't mapped again.
  struct Former {
    std::string name;
    TableShape shape;
    uint64_t seed = 0;
    uint64_t away = 0;
    Mapping body;
    size_t bytes = 0;
  };

  // Makes it, and locks it for this process. FailedPrecondition: it can't serve, and why.
  static absl::StatusOr<std::unique_ptr<TableDirectory>> open(const std::string& path);

  // Before maps: of what stands there, keeps what is wanted as it is and where it is to be (`huge`: on 2 MB pages, if
  // there are such), reads the rest and takes it away. Gives the seed that is kept, if any is.
  std::optional<uint64_t> take_stock(std::span<const Wanted> wanted, bool huge);
  std::vector<Former> take_former() { return std::exchange(former_, {}); }
  void give_up(const std::string& file, const char* why);
  // What was no table: damaged, or of a version that we don't read. A sentence each.
  const std::vector<std::string>& damaged() const { return damaged_; }

  // `huge`: on 2 MB pages if there are enough. Where there is no room for a file, memory that ends with the engine.
  absl::StatusOr<Table> map(const Wanted& wanted, uint64_t seed, bool huge);
  // A file of so many bytes, of which memory is taken as it is populated. False in `*kept`: zero.
  absl::StatusOr<Mapping> map_sparse(const std::string& name, size_t bytes, bool* kept);
  // What stood in such a file isn't used.
  void set_aside(const std::string& name, const char* why);

  // Every second: our engine runs.
  void stamp();
  int lock() const { return lock_.get(); }  // what flock(2) is about
  std::string huge_path() const { return path_ + "/huge"; }
  bool has_huge() const { return has_huge_; }

 private:
  explicit TableDirectory(std::string path) : path_(std::move(path)) {}
  // Where a table is to stand, the best place first.
  std::vector<std::string> places(bool huge) const;
  void look_at(const std::string& file, const Wanted* wanted, std::optional<uint64_t>* seed);
  absl::StatusOr<Table> map_file(const std::string& place, const Wanted& wanted, uint64_t seed);

  std::string path_;
  bool has_huge_ = false;
  size_t made_ = 0;  // bytes of our files on the tmpfs that weren't there
  xdp::Fd lock_;
  std::vector<Former> former_;
  std::vector<std::string> damaged_;
  std::vector<TableHeader*> mapped_;
};

// Takes the tables away that an engine left. AlreadyExists: one runs by them.
absl::Status remove_tables(const std::string& path);

}  // namespace guideway::control
