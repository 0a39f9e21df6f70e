// apply, diff and delete: what kubectl does with manifests, with those that the API keeps.
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <google/protobuf/stubs/common.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "mgmt/cli/commands.h"
#include "mgmt/cli/spawn.h"
#include "mgmt/cli/words.h"

namespace guideway::mgmt {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string kind;
  std::string object;
  bool dry_run = false;
  bool ignore_missing = false;
};

struct File {
  std::string name;
  std::string text;
};

bool read(std::istream& in, const std::string& name, std::vector<File>& files) {
  File& file = files.emplace_back(File{name, ""});
  char bytes[65'536];
  while (in.read(bytes, sizeof bytes), in.gcount() > 0) file.text.append(bytes, static_cast<size_t>(in.gcount()));
  return !in.bad();
}

// The manifests in a directory, in the order of their names.
std::vector<std::string> manifests_of(const std::string& directory, std::error_code& error) {
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (const auto x = it->path().extension(); x == ".yaml" || x == ".yml" || x == ".json")
      paths.push_back(it->path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// For messages.
std::string shown(const std::string& file) { return file == "-" ? "standard input" : file; }

// "-" is standard input. An exit code: unless it is 0, nothing is to be sent.
int read_all(const std::vector<std::string>& names, std::vector<File>& files) {
  for (const std::string& name : names) {
    std::vector<std::string> paths;
    std::error_code ec;
    if (std::filesystem::is_directory(name, ec)) {
      paths = manifests_of(name, ec);
      if (ec) return wrong_usage("-f " + name + " can't be read: " + ec.message());
      if (paths.empty()) return wrong_usage("-f " + name + ": no *.yaml, *.yml or *.json in that directory");
    } else {
      paths.push_back(name);
    }
    for (const std::string& path : paths) {
      std::ifstream file;
      errno = 0;
      if (path != "-") file.open(path);
      if ((path != "-" && !file) || !read(path == "-" ? std::cin : file, path, files))
        return wrong_usage("-f " + path + " can't be read" +
                           (errno != 0 ? std::string(": ") + std::strerror(errno) : ""));
      if (!google::protobuf::internal::IsStructurallyValidUTF8(files.back().text))  // a request's strings are
        return wrong_usage(shown(path) + " isn't UTF-8 text");
    }
  }
  return 0;
}

// "Service demo/web: spec: document 2, line 61: is wrong", as guidewayd says it of what was sent, is "web.yaml:61:
// Service demo/web: spec: is wrong". Lines count from the file's first; 0 is unknown.
std::string told_of(const std::string& file, std::string said) {
  uint32_t document = 0;
  uint32_t line = 0;
  int length = 0;
  const size_t at = std::min(said.find("document "), said.size());
  std::sscanf(said.c_str() + at, "document %u, line %u: %n", &document, &line, &length);
  if (length == 0) document = line = 0;  // those are no position
  said.erase(at, static_cast<size_t>(length));
  if (said.starts_with("manifests: ")) said.erase(0, said.find(' ') + 1);
  return place(shown(file), line == 0 ? document : 0, line) + ": " + said;
}

int fail(const Client& client, const File& file, const grpc::Status& s) {
  for (const auto line : absl::StrSplit(client.explain(s), '\n'))
    std::cerr << "guideway: " << told_of(file.name, std::string(line)) << "\n";
  return kFailed;
}

// Problems are told beside what was done, and make it a failure: not all of it is in force as it is written.
int tell_problems(const v1::ApplyObjectsResponse& r) {
  for (const auto& problem : r.problems()) {
    const v1::Problem p = printable(problem);
    std::cerr << "guideway: " << p.object() << (p.field().empty() ? "" : ": ") << p.field() << ": " << p.text() << "\n";
  }
  return r.problems().empty() ? 0 : kFailed;
}

void tell_dry_run(const Options& o) {
  if (o.dry_run) std::cerr << "guideway: a dry run: nothing was changed\n";
}

int apply(Client& client, const Options& o) {
  std::vector<File> files;
  int code = read_all(o.files, files);
  if (code != 0) return code;
  for (const File& file : files) {
    v1::ApplyObjectsRequest request;
    request.set_manifests(file.text);
    request.set_dry_run(o.dry_run);
    v1::ApplyObjectsResponse response;
    const grpc::Status s = client.ask(&v1::Appliance::Stub::ApplyObjects, request, &response);
    if (!s.ok()) return fail(client, file, s);
    code = std::max({code, client.print(response), tell_problems(response)});
  }
  tell_dry_run(o);
  return code;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) return;
    ::close(fd);
    std::ofstream file(path_);
    written_ = static_cast<bool>(file << text << std::flush);
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  explicit operator bool() const { return written_; }
  char* path() { return path_.data(); }

 private:
  static std::string directory() {
    const char* set = std::getenv("TMPDIR");
    return set != nullptr && *set != '\0' ? set : "/tmp";
  }
  std::string path_ = directory() + "/guideway-diff-XXXXXX";
  bool written_ = false;
};

constexpr int kDifferent = 1;
constexpr int kDiffFailed = 2;

// As diff says: 0, 1 for differences, more if it can't be run.
int unified_diff(const v1::AppliedObject& a) {
  const auto& ref = a.object();
  const std::string name = ref.kind() + "/" + (ref.namespace_().empty() ? "" : ref.namespace_() + "/") + ref.name();
  TemporaryFile before(a.before());
  TemporaryFile after(a.after());
  if (!before || !after) {
    std::cerr << "guideway: " << (before ? after : before).path() << " can't be written: " << std::strerror(errno)
              << "\n";
    return kDiffFailed;
  }
  const std::string old_label = "in force: " + name;
  const std::string new_label = "written: " + name;
  const auto code = run({"diff", "-u", "--label", old_label, "--label", new_label, before.path(), after.path()});
  if (!code) std::cerr << "guideway: the program diff can't be run: install diffutils\n";
  return code.value_or(kDiffFailed);
}

int diff(Client& client, const Options& o) {
  std::vector<File> files;
  int code = read_all(o.files, files);
  if (code != 0) return code;
  for (const File& file : files) {
    v1::ApplyObjectsRequest request;
    request.set_manifests(file.text);
    request.set_dry_run(true);
    v1::ApplyObjectsResponse response;
    if (const grpc::Status s = client.ask(&v1::Appliance::Stub::ApplyObjects, request, &response); !s.ok()) {
      fail(client, file, s);
      return kDiffFailed;
    }
    if (!client.for_people() && client.print(response) != 0) return kDiffFailed;
    for (const auto& a : response.objects()) {
      const bool differs = a.before() != a.after();
      code = std::max(code, client.for_people() ? unified_diff(a) : differs ? kDifferent : 0);
    }
    code = std::max(code, tell_problems(response));  // what is written already isn't in force as it is
  }
  return code;
}

int remove(Client& client, const Options& o) {
  v1::DeleteObjectsRequest request;
  request.set_ignore_missing(o.ignore_missing);
  request.set_dry_run(o.dry_run);
  if (o.files.empty()) {
    auto& ref = *request.add_objects();
    ref.set_kind(o.kind);
    if (o.kind == "GatewayConfig" || o.kind == "SourceFilter") {
      ref.set_name(o.object);
    } else {
      const auto [ns, name] = split_service(o.object);
      ref.set_namespace_(ns);
      ref.set_name(name);
    }
    const int code = client.call(&v1::Appliance::Stub::DeleteObjects, request,
                                 {{"objects[0].namespace", "object"}, {"objects[0].name", "object"}});
    tell_dry_run(o);
    return code;
  }
  std::vector<File> files;
  int code = read_all(o.files, files);
  if (code != 0) return code;
  for (const File& file : files) {
    request.set_manifests(file.text);
    v1::DeleteObjectsResponse response;
    grpc::Status s = client.ask(&v1::Appliance::Stub::DeleteObjects, request, &response);
    if (s.error_code() == grpc::StatusCode::NOT_FOUND)
      s = {s.error_code(),
           s.error_message() + ", so nothing of the file is deleted: --ignore-not-found deletes the rest"};
    if (!s.ok()) return fail(client, file, s);
    code = std::max(code, client.print(response));
  }
  tell_dry_run(o);
  return code;
}

CLI::Option* take_files(CLI::App* sub, const std::shared_ptr<Options>& o) {
  return sub->add_option("-f,--filename", o->files, "Manifest, directory of manifests, or - for standard input")
      ->allow_extra_args(false)
      ->type_name("FILE");
}

}  // namespace

void add_objects(CLI::App& app, Client& client) {
  const auto o = std::make_shared<Options>();
  CLI::App* sub = client.command(app, "apply", "Create or replace objects; each file as a whole or not at all");
  take_files(sub, o)->required();
  sub->add_flag("--dry-run", o->dry_run, "Say what would be done, and do nothing");
  sub->callback([&client, o] { client.exit_code = apply(client, *o); });

  sub = client.command(app, "diff",
                       "What apply would change, as diff -u; exit code 0: nothing, 1: something, 2: it failed");
  take_files(sub, o)->required();
  sub->callback([&client, o] { client.exit_code = diff(client, *o); });

  sub = client.command(app, "delete", "Delete objects that came by apply");
  CLI::Option* files = take_files(sub, o);
  CLI::Option* kind =
      sub->add_option("kind", o->kind, "Service, EndpointSlice, GatewayConfig or SourceFilter")
          ->transform(CLI::IsMember({"Service", "EndpointSlice", "GatewayConfig", "SourceFilter"}, CLI::ignore_case))
          ->excludes(files)
          ->type_name("KIND");
  CLI::Option* object = sub->add_option("object", o->object, "Its name; namespace default if none is given")
                            ->type_name("[NAMESPACE/]NAME");
  kind->needs(object);
  object->needs(kind);
  sub->add_flag("--ignore-not-found", o->ignore_missing, "What isn't there is no error");
  sub->add_flag("--dry-run", o->dry_run, "Say what would be deleted, and do nothing");
  sub->callback([&client, o] {
    client.exit_code = o->files.empty() && o->kind.empty() ? wrong_usage("delete: name files by -f, or KIND and NAME")
                                                           : remove(client, *o);
  });
}

}  // namespace guideway::mgmt
