#include "base/user_state.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace tug {
namespace {

constexpr int kOpenTries = 8;

// Whether `fd` is still what is found at `path`: its last owner removes the file.
bool is_at(const UniqueFd& fd, const std::string& path) {
  struct stat ours {
  }, there{};
  return ::fstat(fd.get(), &ours) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

}  // namespace

std::string user_state_directory() {
  if (const auto state = env_nonempty("XDG_STATE_HOME")) return *state + "/tug";
  if (const auto home = env_nonempty("HOME")) return *home + "/.local/state/tug";
  return {};
}

std::unique_ptr<FileLock> FileLock::try_lock(const std::string& path) {
  for (int attempt = 0; attempt < kOpenTries; ++attempt) {
    const UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made && errno != EEXIST)
      throw Error(ErrorKind::local, "cannot create " + path + ": " + errno_text(errno));
    // Made or found, it is opened in the same way: nobody's link or pipe in its place.
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) continue;  // its owner has just removed it
    if (!fd) throw Error(ErrorKind::local, "cannot create " + path + ": " + errno_text(errno));
    if (!lock_exclusively(fd.get())) {
      if (errno == EWOULDBLOCK) return nullptr;
      throw Error(ErrorKind::local, "cannot lock " + path + ": " + errno_text(errno));
    }
    if (is_at(fd, path)) return std::unique_ptr<FileLock>(new FileLock(path, std::move(fd)));
  }
  return nullptr;
}

FileLock::~FileLock() { (void)::unlink(path_.c_str()); }

}  // namespace tug
