// What tug keeps for its user from one run to the next: where, and a lock for it that dies with its
// owner.
#ifndef TUG_BASE_USER_STATE_H_
#define TUG_BASE_USER_STATE_H_

#include "base/fd.h"

#include <memory>
#include <string>
#include <utility>

namespace tug {

// $XDG_STATE_HOME/tug, or $HOME/.local/state/tug; "" when there is neither.
std::string user_state_directory();

// An exclusive lock among processes: flock() on a file of its own, which is there only while
// somebody holds the lock (or died with it, which frees it). A resource; any thread.
class FileLock {
 public:
  // nullptr: somebody else has it. Never waits. Throws Error(local) naming `path` when it cannot be
  // created.
  static std::unique_ptr<FileLock> try_lock(const std::string& path);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  FileLock(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  const std::string path_;
  const UniqueFd fd_;
};

}  // namespace tug

#endif  // TUG_BASE_USER_STATE_H_
