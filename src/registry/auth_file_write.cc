#include "registry/auth_file_write.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/auth_file.h"

#include <tug/error.h>

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

namespace tug::registry {
namespace {

constexpr Json::DumpStyle kGoTabs{1, '\t', true};  // as containers and docker write it
constexpr unsigned kFileMode = 0600;
constexpr unsigned kDirectoryMode = 0700;
constexpr std::chrono::seconds kLockPatience{30};

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void require_writable_form(const AuthFile& file) {
  if (file.format != AuthFile::Format::dockercfg) return;
  throw Error(ErrorKind::usage,
              file.path + " has docker's oldest format, which is read but not written")
      .set_hint("name another file with --authfile");
}

void require_directory_of_named(const AuthFile& file) {
  const std::string directory = directory_of(file.path);
  if (!file.named || is_directory(directory)) return;
  throw Error(ErrorKind::local, "cannot write the auth file " + file.path + ": the directory " +
                                    directory + " does not exist")
      .set_hint("create it, or name another file");
}

// The runtime directory is the system's to make, at the user's login.
void require_runtime_directory(const AuthFile& file) {
  const auto runtime = env_nonempty("XDG_RUNTIME_DIR");
  if (!runtime || file.path != *runtime + "/containers/auth.json" || file.named ||
      is_directory(*runtime))
    return;
  throw Error(ErrorKind::local, "cannot write the auth file " + file.path + ": the directory " +
                                    *runtime + " set by $XDG_RUNTIME_DIR does not exist")
      .set_hint("create it, unset XDG_RUNTIME_DIR, or name a file with --authfile");
}

Json read_document(const AuthFile& file) {
  return parse_auth_file(read_file_if_exists(file.path, kMaxAuthFileBytes).value_or(""), file.path);
}

// Holds an exclusive flock() on a directory. Podman, skopeo and docker take no lock for this file,
// so there is none to agree with; it keeps tug's own logins (a pipeline's, side by side) from
// losing each other's entries. The directory is locked because the file is replaced by each writer
// and a lock file beside it would stay behind. Where directories cannot be locked (NFS), the last
// writer wins, as with the other tools.
class DirectoryLock {
 public:
  DirectoryLock(const std::string& directory, const std::stop_token& stop)
      : directory_(open_directory(directory)) {
    if (!lock_exclusively(directory_.get(), kLockPatience, stop) && errno == EWOULDBLOCK)
      throw Error(ErrorKind::local,
                  "another program has held the lock on " + directory + " for too long");
  }

 private:
  UniqueFd directory_;
};

// The directory that holds the file itself, so that writers by a symbolic link and by its target
// lock the same one.
std::string locked_directory(const std::string& path) {
  std::error_code unresolvable;  // the write will say
  const auto target = std::filesystem::canonical(path, unresolvable);
  return directory_of(unresolvable ? path : target.string());
}

void warn_if_readable(const std::string& path, const std::function<void(std::string_view)>& note) {
  struct stat status {};
  if (!note || ::stat(path.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return;
  note("other users could read " + path + " until now; it has mode 0600 from here on");
}

}  // namespace

void check_auth_file(const AuthFile& file) {
  require_writable_form(file);
  require_directory_of_named(file);
  require_runtime_directory(file);
  Json document = read_document(file);
  (void)auths_of(document, file);
}

void edit_auth_file(const AuthFile& file, const std::function<bool(Json& document)>& edit,
                    const std::function<void(std::string_view)>& note,
                    const std::stop_token& stop) {
  require_writable_form(file);
  require_directory_of_named(file);
  require_runtime_directory(file);
  if (!file.named) make_directories(directory_of(file.path), kDirectoryMode);
  const DirectoryLock lock(locked_directory(file.path), stop);
  Json document = read_document(file);
  if (!edit(document)) return;
  const std::string text = document.dump(kGoTabs);
  if (text.size() > kMaxAuthFileBytes)  // we could not read it again
    throw Error(ErrorKind::limit,
                file.path + " would have more than " + human_bytes(kMaxAuthFileBytes));
  warn_if_readable(file.path, note);
  write_file_atomically(file.path, text, kFileMode);
}

Json& auths_of(Json& document, const AuthFile& file) {
  Json* auths = document.find("auths");
  if (auths == nullptr || auths->is_null()) {
    document.set("auths", Json::object());
    auths = document.find("auths");
  }
  if (!auths->is_object()) {
    throw Error(ErrorKind::auth, file.path + ": its member auths is not an object");
  }
  return *auths;
}

}  // namespace tug::registry
