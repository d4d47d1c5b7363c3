#include "base/fd.h"

#include "base/stop.h"
#include "base/strings.h"
#include "base/temporary_file.h"

#include <tug/error.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <vector>

namespace tug {

namespace {

constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

Error cannot(std::string_view verb, const std::string& path, int error_number) {
  return Error(ErrorKind::local,
               "cannot " + std::string(verb) + " " + path + ": " + errno_text(error_number));
}

// A path with a NUL in it would reach the kernel cut short.
bool has_nul(std::string_view path) noexcept { return path.find('\0') != std::string_view::npos; }

int open_retrying(int directory, const char* path, int flags) {
  int fd = -1;
  do fd = ::openat(directory, path, flags);
  while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  UniqueFd old(std::exchange(fd_, other.release()));
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ < 0) return;
  const int saved = errno;  // so that functions can say "empty, with errno set"
  ::close(fd_);
  errno = saved;
}

std::string errno_text(int error_number) {
  const char* const text = ::strerrordesc_np(error_number);
  return text != nullptr ? text : "error " + std::to_string(error_number);
}

void throw_errno(std::string_view verb, const std::string& path) {
  throw cannot(verb, path, errno);
}

UniqueFd open_directory(const std::string& path) {
  UniqueFd fd;
  if (has_nul(path)) {
    errno = EINVAL;
  } else {
    fd = UniqueFd(open_retrying(AT_FDCWD, path.c_str(), kDirectoryFlags));
  }
  if (fd) return fd;
  const int error = errno;
  if (error == ENOENT) throw Error(ErrorKind::local, "directory " + path + " does not exist");
  if (error == ENOTDIR) throw Error(ErrorKind::local, path + " is not a directory");
  throw cannot("open directory", path, error);
}

// --- open_beneath ---

namespace {

int openat2(int directory, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<__u64>(flags);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how));
}

// Kernels before 5.6 and gVisor say ENOSYS; seccomp filters of older container engines EPERM.
bool openat2_works() {
  static const bool works = [] {
    const UniqueFd probe(openat2(AT_FDCWD, ".", O_PATH | O_CLOEXEC));
    return probe || (errno != ENOSYS && errno != EPERM && errno != EINVAL);
  }();
  return works;
}

// The walk by hand: a stack of open directories, of which the first is the root, and the components
// still to go.
class Walk {
 public:
  Walk(int root, bool follow_last) : root_(root), follow_last_(follow_last) {}

  UniqueFd open(std::string_view path) {
    if (!push(path)) return {};
    while (!todo_.empty()) {
      const std::string name = std::move(todo_.back());
      todo_.pop_back();
      if (name == ".") continue;
      if (name == "..") {
        if (!below_.empty()) below_.pop_back();
      } else if (std::optional<UniqueFd> end = step(name)) {
        return std::move(*end);
      }
    }
    return UniqueFd(open_retrying(here(), ".", kReadFlags));
  }

 private:
  // As the kernel: more links than this are a loop. And a bound on the text of all links together.
  static constexpr int kMaxLinks = 40;
  static constexpr std::size_t kMaxTodo = 65536;

  [[nodiscard]] int here() const { return below_.empty() ? root_ : below_.back().get(); }

  // Puts `path` before what is still to go; false with errno set when it cannot be walked.
  bool push(std::string_view path) {
    if (path.empty()) return fail(ENOENT);
    if (path.size() >= PATH_MAX) return fail(ENAMETOOLONG);
    if (path.front() == '/') below_.clear();
    std::vector<std::string_view> names = split(path, '/');
    if (names.back().empty())
      names.back() = ".";  // "x/" must be a directory, and is never the last component itself
    if (todo_.size() + names.size() > kMaxTodo) return fail(ENAMETOOLONG);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      if (!name->empty()) todo_.emplace_back(*name);
    }
    return true;
  }

  // Enters or follows `name`; a value when that ends the walk, in success or failure.
  std::optional<UniqueFd> step(const std::string& name) {
    UniqueFd entry(open_retrying(here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!entry || ::fstat(entry.get(), &status) != 0) return UniqueFd();
    const bool last = todo_.empty();
    if (S_ISLNK(status.st_mode) && (!last || follow_last_)) {
      if (!follow(entry.get())) return UniqueFd();
      return std::nullopt;
    }
    if (last) return UniqueFd(open_retrying(here(), name.c_str(), kReadFlags | O_NOFOLLOW));
    if (!S_ISDIR(status.st_mode)) {
      errno = ENOTDIR;
      return UniqueFd();
    }
    below_.push_back(std::move(entry));
    return std::nullopt;
  }

  bool follow(int link) {
    if (++links_ > kMaxLinks) return fail(ELOOP);
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(link, "", target.data(), target.size());
    return size >= 0 && push(std::string_view(target.data(), static_cast<std::size_t>(size)));
  }

  static bool fail(int error_number) {
    errno = error_number;
    return false;
  }

  int root_;
  bool follow_last_;
  int links_ = 0;
  std::vector<UniqueFd> below_;
  std::vector<std::string> todo_;  // the next component is the last one
};

}  // namespace

namespace detail {

UniqueFd open_beneath_by_walk(int directory, const std::string& relative, bool follow_last) {
  if (has_nul(relative)) {
    errno = EINVAL;
    return {};
  }
  return Walk(directory, follow_last).open(relative);
}

}  // namespace detail

UniqueFd open_beneath(int directory, const std::string& relative, bool follow_last) {
  if (has_nul(relative) || !openat2_works())
    return detail::open_beneath_by_walk(directory, relative, follow_last);
  const int flags = kReadFlags | (follow_last ? 0 : O_NOFOLLOW);
  // EAGAIN: something was renamed while ".." was resolved, so the kernel cannot vouch for the
  // result (openat2(2)).
  for (int attempt = 0; attempt < 8; ++attempt) {
    UniqueFd fd(openat2(directory, relative.c_str(), flags));
    if (fd || (errno != EAGAIN && errno != EINTR)) return fd;
  }
  return detail::open_beneath_by_walk(directory, relative, follow_last);
}

// --- reading ---

std::string read_fd(int fd, const std::string& name, std::size_t max_bytes) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw cannot("read", name, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::local, name + " is not a regular file");
  const auto too_large = [&] {
    return Error(ErrorKind::local, name + " is larger than " + human_bytes(max_bytes) +
                                       ", the most that is read of such a file");
  };
  const auto announced = static_cast<std::uint64_t>(status.st_size);
  if (announced > max_bytes) throw too_large();
  std::string bytes;
  std::size_t size = 0;
  for (;;) {
    // One byte more than announced, so that the usual file ends after two reads; /proc announces 0.
    if (size == bytes.size())
      bytes.resize(
          std::max<std::size_t>({size * 2, static_cast<std::size_t>(announced) + 1, 4096}));
    const ssize_t got =
        ::pread(fd, bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw cannot("read", name, errno);
    size += static_cast<std::size_t>(got);
    if (size > max_bytes) throw too_large();
    if (got == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

UniqueFd open_for_reading(const std::string& path) {
  if (!has_nul(path)) return UniqueFd(open_retrying(AT_FDCWD, path.c_str(), kReadFlags));
  errno = EINVAL;
  return {};
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd = open_for_reading(path);
  if (!fd) throw cannot("open", path, errno);
  return read_fd(fd.get(), path, max_bytes);
}

std::optional<std::string> read_file_if_exists(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd = open_for_reading(path);
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd) throw cannot("open", path, errno);
  return read_fd(fd.get(), path, max_bytes);
}

// --- writing ---

std::string file_to_replace(const std::string& path) {
  struct stat status {};
  if (has_nul(path)) throw cannot("write", path, EINVAL);
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return path;
    throw cannot("write", path, errno);
  }
  std::string target = path;
  if (S_ISLNK(status.st_mode)) {
    const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr),
                                                            &::free);
    if (!resolved || ::lstat(resolved.get(), &status) != 0)
      throw cannot("write through the symbolic link", path, errno);
    target = resolved.get();
    // registry-protocol.md 4.5: somebody else's link must not make us write where only we may.
    if (status.st_uid != ::geteuid()) {
      throw Error(ErrorKind::local, "cannot write " + path + ": it is a symbolic link to " +
                                        target + ", which belongs to another user");
    }
  }
  // A rename would put a file in the place of /dev/null.
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::local, "cannot write " + target + ": it is not a regular file");
  return target;
}

void write_fully(int fd, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw Error(ErrorKind::local, "cannot write " + name + ": " + errno_text(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes, unsigned mode) {
  const std::string target = file_to_replace(path);
  const std::size_t slash = target.rfind('/');
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : target.substr(0, slash);
  if (name.empty()) throw cannot("write", path, EISDIR);
  const UniqueFd directory =
      with_context([&] { return "writing " + path; }, [&] { return open_directory(parent); });
  TemporaryFile file(directory.get(), path, mode);
  file.write(bytes);
  file.commit_as(name);
}

namespace {

void write_in_place(const std::string& path, std::string_view bytes) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  while (fd && !bytes.empty()) {
    const ssize_t written = write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fd && bytes.empty()) return;
  throw Error(ErrorKind::local, "writing " + path + ": " + errno_text(errno));
}

}  // namespace

void write_output_file(const std::string& path, std::string_view bytes) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) return write_in_place(path, bytes);
  try {
    write_file_atomically(path, bytes, 0644);
  } catch (const Error&) {
    // Through a link it is written in no other way, which has its reasons.
    if (!exists || lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) throw;
    write_in_place(path, bytes);
  }
}

void check_output_file(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) {
    if (access(path.c_str(), W_OK) == 0) return;
  } else {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (access(parent.c_str(), W_OK | X_OK) == 0) return;
  }
  throw Error(ErrorKind::local, path + " cannot be written: " + errno_text(errno));
}

void make_directories(const std::string& path, unsigned mode) {
  if (path.empty() || has_nul(path)) throw cannot("create directory", path, EINVAL);
  std::size_t end = 0;
  while (end < path.size()) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string prefix = path.substr(0, end);
    if (::mkdir(prefix.c_str(), mode) == 0 || errno == EEXIST) continue;
    const int error = errno;  // EROFS and EACCES come before EEXIST on some file systems: what
                              // counts is whether it is there
    struct stat status {};
    if (::stat(prefix.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      throw cannot("create directory", prefix, error);
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw cannot("create directory", path, errno);
  if (!S_ISDIR(status.st_mode)) throw cannot("create directory", path, ENOTDIR);
}

bool lock_exclusively(int fd, std::chrono::milliseconds patience, const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kPause{10};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= deadline) return false;
    sleep_for(kPause, stop);
  }
  return true;
}

}  // namespace tug
