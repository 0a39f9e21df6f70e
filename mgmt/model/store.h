// The one store of the desired state: which object comes from which file, its latest form and its last good one, what
// is wrong with the files, and the weights that the API set. Knows neither YAML nor inotify nor the engine: sources put
// files in, compile reads objects and tells which forms are good.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mgmt/model/objects.h"
#include "mgmt/model/overrides.h"
#include "mgmt/model/problem.h"

namespace guideway::mgmt {

struct OwnedObject {
  ObjectPtr object;
  std::string file;
};

// What a source found in one file.
struct FileContents {
  std::vector<ObjectPtr> objects;
  std::vector<ObjectKey> refused;  // there, but bad: the form it had stays
  bool unnamed = false;            // something there can't be told: nothing is taken for removed
  std::vector<Problem> problems;
  std::map<std::string, uint32_t> skipped;
};

class Store {
 public:
  struct File {
    std::set<ObjectKey> keys;    // also those that another file has first
    std::set<ObjectKey> unread;  // of those: stay in the form that they had
    std::vector<Problem> problems;
    std::map<std::string, uint32_t> skipped;
    bool broken = false;  // not read as a whole
  };

  // Each returns the objects that are other than before.
  std::vector<ObjectKey> put_file(const std::string& file, FileContents contents);
  std::vector<ObjectKey> remove_file(const std::string& file);
  // The file can't be read as a whole: its objects stay as they are.
  void fail_file(const std::string& file, const Problem& problem);
  // At start, before the file is read: the forms that were good when the daemon last ran.
  std::vector<ObjectKey> restore_file(const std::string& file, const std::vector<ObjectPtr>& last_good);

  // Null: there is no such object.
  ObjectPtr latest(const ObjectKey& key) const;
  ObjectPtr good(const ObjectKey& key) const;
  // Empty: there is no such object.
  std::string owner(const ObjectKey& key) const;
  // Compile found no fault with this form.
  void accept(const ObjectKey& key, ObjectPtr form);

  Overrides& overrides() { return overrides_; }
  const Overrides& overrides() const { return overrides_; }

  const std::map<std::string, File>& files() const { return files_; }
  std::vector<ObjectKey> keys(Kind kind) const;
  // Their latest forms, each with its owner.
  std::vector<OwnedObject> objects(Kind kind) const;
  // Those of the files, and objects that two files claim.
  std::vector<Problem> problems() const;

 private:
  struct Claim {
    std::string file;
    ObjectPtr latest;
  };
  struct Slot {
    std::vector<Claim> claims;  // in the order of arrival: the first file's object is in force
    ObjectPtr good;             // of the first
  };
  bool put(const std::string& file, const ObjectPtr& object);
  bool drop(const std::string& file, const ObjectKey& key);

  std::map<std::string, File> files_;
  std::map<ObjectKey, Slot> slots_;
  std::set<ObjectKey> contested_;
  Overrides overrides_;
};

}  // namespace guideway::mgmt
