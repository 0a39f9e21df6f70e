#include "mgmt/source/manifests/directory.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

using Names = std::set<std::string>;
using std::filesystem::perms;

// Root may read everything: its rights are put aside meanwhile, those of all threads.
struct Unprivileged {
  Unprivileged() { REQUIRE((!root || ::seteuid(65'534) == 0)); }
  ~Unprivileged() {
    if (root) CHECK(::seteuid(0) == 0);
  }
  const bool root = ::geteuid() == 0;
};

}  // namespace

TEST_CASE("directory: a link is news at once, and a new file once it is closed") {
  const TemporaryDirectory elsewhere;
  const TemporaryDirectory dir;
  auto d = ManifestDirectory::open(dir / "");
  REQUIRE(d.ok());
  write_file(elsewhere / "a", "kind: Service\n");
  std::filesystem::create_symlink(elsewhere / "a", dir / "a.yaml");
  CHECK(d->changes().files == Names{"a.yaml"});
  std::filesystem::create_hard_link(elsewhere / "a", dir / "b.yaml");
  CHECK(d->changes().files == Names{"b.yaml"});
  std::filesystem::create_symlink(elsewhere / "a", dir / "c.txt");
  std::filesystem::create_directory(dir / "d.yaml");
  CHECK(d->changes().files.empty());
  std::ofstream file(dir / "e.yaml");
  file << "kind: " << std::flush;
  std::filesystem::permissions(dir / "e.yaml", perms::owner_all);
  CHECK(d->changes().files.empty());
  file << "Service\n";
  file.close();
  CHECK(d->changes().files == Names{"e.yaml"});
}

TEST_CASE("directory: a file that may be read now is news, and no other attribute of any") {
  const Unprivileged unprivileged;
  const TemporaryDirectory dir;
  const auto give = [&](const std::string& name) { std::filesystem::permissions(dir / name, perms::owner_all); };
  const auto take = [&](const std::string& name) { std::filesystem::permissions(dir / name, perms::none); };
  write_file(dir / "a.yaml", "");
  take("a.yaml");
  auto d = ManifestDirectory::open(dir / "");
  REQUIRE(d.ok());
  CHECK(*d->list() == Names{"a.yaml"});
  write_file(dir / "b.yaml", "");
  write_file(dir / "new", "");
  take("new");
  std::filesystem::rename(dir / "new", dir / "c.yaml");
  CHECK(d->changes().files == Names{"b.yaml", "c.yaml"});
  for (const char* name : {"a.yaml", "b.yaml", "c.yaml"}) give(name);
  CHECK(d->changes().files == Names{"a.yaml", "c.yaml"});
  for (const char* name : {"a.yaml", "b.yaml", "c.yaml"}) {
    give(name);
    std::filesystem::last_write_time(dir / name, std::filesystem::file_time_type::clock::now());
    std::filesystem::create_hard_link(dir / name, dir / "link");
    std::filesystem::remove(dir / "link");
  }
  CHECK(d->changes().files.empty());
}

}  // namespace guideway::mgmt
