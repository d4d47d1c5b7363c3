#include "transport/directory_tree.h"

#include "base/stop.h"
#include "base/strings.h"

#include <tug/error.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

namespace tug {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw_errno(what, printable(path, 500));
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::string self_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

void copy_xattrs(int from, int to, const std::string& path) {
  // By way of /proc: neither of both need be open for more than its path.
  const std::string source = self_path(from);
  const std::string target = self_path(to);
  std::string names(65536, '\0');
  const ssize_t size = ::listxattr(source.c_str(), names.data(), names.size());
  if (size < 0) {
    if (errno == ENOTSUP) return;
    fail("read the attributes of", path);
  }
  std::string value(65536, '\0');
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1) {
    if (std::string_view(name) == "security.selinux") continue;
    const ssize_t got = ::getxattr(source.c_str(), name, value.data(), value.size());
    if (got < 0) fail("read the attributes of", path);
    if (::setxattr(target.c_str(), name, value.data(), static_cast<std::size_t>(got), 0) != 0 &&
        errno != ENOTSUP)
      fail("set the attributes of", path);
  }
}

void copy_content(int from, int to, const std::string& path, const std::stop_token& stop) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  constexpr std::size_t kPiece = std::size_t{16} << 20U;
  std::vector<char> buffer;
  for (;;) {
    throw_if_stopped(stop);
    ssize_t got = -1;
    if (buffer.empty()) got = ::copy_file_range(from, nullptr, to, nullptr, kPiece, 0);
    if (got > 0) continue;
    if (got == 0) return;
    if (buffer.empty()) {
      if (errno == ENOSPC || errno == EDQUOT) fail("write", path);
      buffer.resize(std::size_t{256} * 1024);
    }
    do got = ::read(from, buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) fail("read", path);
    if (got == 0) return;
    write_fully(to, std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(got))), path);
  }
}

// A copy under way.
class TreeCopy {
 public:
  TreeCopy(int from, int to, std::string path, const std::stop_token& stop)
      : top_(to), path_(std::move(path)), stop_(stop) {
    levels_.push_back({});
    from_ = UniqueFd(::openat(from, ".", kDirectory));
    to_ = UniqueFd(::openat(to, ".", kDirectory));
    if (!from_ || !to_) fail("open", path_);
  }

  // Of each directory only the deepest is open; the others are found again by "..", which nobody
  // moves.
  void run() {
    copy_entries();
    while (!levels_.empty()) {
      throw_if_stopped(stop_);
      Level& level = levels_.back();
      if (level.directories.empty()) {
        leave();
        continue;
      }
      std::string name = std::move(level.directories.back());
      level.directories.pop_back();
      enter(std::move(name));
      copy_entries();
    }
  }

 private:
  struct Level {
    std::string name = {};
    std::vector<std::string> directories = {};
    struct stat status = {};
  };

  [[nodiscard]] std::string relative(const std::string& name) const {
    std::string path;
    for (const Level& level : levels_) {
      if (!level.name.empty()) path += level.name + "/";
    }
    return path + name;
  }

  void enter(std::string name) {
    const std::string path = path_ + "/" + relative(name);
    Level level{.name = std::move(name)};
    UniqueFd from(::openat(from_.get(), level.name.c_str(), kDirectory));
    if (!from || ::fstat(from.get(), &level.status) != 0) fail("read", path);
    if (::mkdirat(to_.get(), level.name.c_str(), 0700) != 0) fail("make", path);
    UniqueFd to(::openat(to_.get(), level.name.c_str(), kDirectory));
    if (!to) fail("open", path);
    from_ = std::move(from);
    to_ = std::move(to);
    levels_.push_back(std::move(level));
  }

  void leave() {
    const Level level = std::move(levels_.back());
    const std::string path = path_ + "/" + relative(level.name);
    levels_.pop_back();
    if (levels_.empty()) return;
    finish(from_.get(), to_.get(), level.status, path);
    UniqueFd from(::openat(from_.get(), "..", kDirectory));
    UniqueFd to(::openat(to_.get(), "..", kDirectory));
    if (!from || !to) fail("open", path);
    from_ = std::move(from);
    to_ = std::move(to);
  }

  // Owner before mode and attributes, which it takes away.
  static void finish(int from, int to, const struct stat& status, const std::string& path) {
    if (::fchown(to, status.st_uid, status.st_gid) != 0) fail("give an owner to", path);
    copy_xattrs(from, to, path);
    if (::fchmod(to, status.st_mode & 07777U) != 0) fail("set the mode of", path);
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (::futimens(to, times.data()) != 0) fail("set the time of", path);
  }

  void copy_entries() {
    for (std::string& name : names_in(from_.get(), path_)) {
      throw_if_stopped(stop_);
      const std::string path = path_ + "/" + relative(name);
      struct stat status {};
      if (::fstatat(from_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        fail("read", path);
      if (S_ISDIR(status.st_mode)) {
        levels_.back().directories.push_back(std::move(name));
      } else if (!link_to_copy(name, status)) {
        copy_entry(name, status, path);
      }
    }
  }

  // The other names of a file that was copied already.
  bool link_to_copy(const std::string& name, const struct stat& status) {
    if (status.st_nlink < 2) return false;
    const auto [known, is_new] = links_.try_emplace({status.st_dev, status.st_ino}, relative(name));
    return !is_new && ::linkat(top_, known->second.c_str(), to_.get(), name.c_str(), 0) == 0;
  }

  void copy_entry(const std::string& name, const struct stat& status, const std::string& path) {
    if (S_ISREG(status.st_mode)) {
      const UniqueFd from(
          ::openat(from_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
      if (!from) fail("read", path);
      const UniqueFd to(::openat(to_.get(), name.c_str(),
                                 O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_CREAT | O_EXCL, 0600));
      if (!to) fail("make", path);
      copy_content(from.get(), to.get(), path, stop_);
      return finish(from.get(), to.get(), status, path);
    }
    if (S_ISLNK(status.st_mode)) {
      std::array<char, PATH_MAX> target{};
      const ssize_t size =
          ::readlinkat(from_.get(), name.c_str(), target.data(), target.size() - 1);
      if (size < 0 || ::symlinkat(target.data(), to_.get(), name.c_str()) != 0) fail("copy", path);
    } else if (S_ISSOCK(status.st_mode)) {
      return;  // as Go: nothing listens there
    } else if (::mknodat(to_.get(), name.c_str(), status.st_mode, status.st_rdev) != 0) {
      fail("make", path);
    }
    if (::fchownat(to_.get(), name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      fail("give an owner to", path);
    if (!S_ISLNK(status.st_mode) &&
        ::fchmodat(to_.get(), name.c_str(), status.st_mode & 07777U, 0) != 0)
      fail("set the mode of", path);
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (::utimensat(to_.get(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      fail("set the time of", path);
  }

  const int top_;
  const std::string path_;
  const std::stop_token& stop_;
  UniqueFd from_;
  UniqueFd to_;
  std::vector<Level> levels_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

std::vector<std::string> names_in(int directory, const std::string& path) {
  UniqueFd fd(::openat(directory, ".", kDirectory));
  if (!fd) fail("read", path);
  const std::unique_ptr<DIR, CloseDirectory> entries(::fdopendir(fd.get()));
  if (!entries) fail("read", path);
  (void)fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) fail("read", path);
  return names;
}

void remove_tree(int directory, const std::string& name, const std::string& path) {
  const auto remove = [&](int at, const std::string& entry) {
    if (::unlinkat(at, entry.c_str(), 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM) fail("remove", path);
    if (::unlinkat(at, entry.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno != ENOTEMPTY && errno != EEXIST) fail("remove", path);
    return false;
  };
  if (remove(directory, name)) return;
  // Each directory is read once, however many others it has. Only the deepest is open, as above.
  struct Level {
    std::string name;
    std::vector<std::string> left;
  };
  std::vector<Level> levels;
  UniqueFd here;
  const auto enter = [&](int at, std::string entry) {
    UniqueFd next(::openat(at, entry.c_str(), kDirectory));
    if (!next) fail("remove", path);
    levels.push_back({std::move(entry), names_in(next.get(), path)});
    here = std::move(next);
  };
  enter(directory, name);
  while (!levels.empty()) {
    std::vector<std::string>& left = levels.back().left;
    if (!left.empty()) {
      std::string entry = std::move(left.back());
      left.pop_back();
      if (!remove(here.get(), entry)) enter(here.get(), std::move(entry));
      continue;
    }
    UniqueFd up(levels.size() == 1 ? ::openat(directory, ".", kDirectory)
                                   : ::openat(here.get(), "..", kDirectory));
    if (!up || ::unlinkat(up.get(), levels.back().name.c_str(), AT_REMOVEDIR) != 0)
      fail("remove", path);
    levels.pop_back();
    here = std::move(up);
  }
}

void copy_tree(int from, int to, const std::string& path, const std::stop_token& stop) {
  TreeCopy(from, to, path, stop).run();
}

}  // namespace tug
