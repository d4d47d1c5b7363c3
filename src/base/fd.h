// File descriptors and whole-file reads, with errors that name the file.
#ifndef TUG_BASE_FD_H_
#define TUG_BASE_FD_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace tug {

// Owns a descriptor; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// "No such file or directory" for `error_number`, thread-safe.
std::string errno_text(int error_number);

// Throws Error(local) "cannot VERB PATH: …" for errno.
[[noreturn]] void throw_errno(std::string_view verb, const std::string& path);

// Opens a directory. Throws Error(local) naming it; ENOENT and ENOTDIR have their own words.
UniqueFd open_directory(const std::string& path);

// Opens `relative` for reading below `directory` and nowhere else: no `..`, absolute path or
// symlink leads out of it, with openat2(RESOLVE_IN_ROOT) or, on kernels without it, a walk by hand:
// `directory` is "/" and its own parent. The last component must not be a symlink when
// `follow_last` is false. Never blocks on a FIFO. Returns an empty UniqueFd with errno set on
// failure.
UniqueFd open_beneath(int directory, const std::string& relative, bool follow_last = false);

namespace detail {
// The walk by hand, for the tests of open_beneath().
UniqueFd open_beneath_by_walk(int directory, const std::string& relative, bool follow_last);
}  // namespace detail

// The content of a regular file. Throws Error(local) naming `path`: unreadable, not a regular file,
// over `max_bytes`.
std::string read_file(const std::string& path, std::size_t max_bytes);
// The same, but a file (or directory on the way) that is not there is nullopt.
std::optional<std::string> read_file_if_exists(const std::string& path, std::size_t max_bytes);
// Whatever kind of file it is; waits for no device. Empty with errno set on failure.
UniqueFd open_for_reading(const std::string& path);
// The content of the open regular file `fd`; `name` is for messages.
std::string read_fd(int fd, const std::string& name, std::size_t max_bytes);

// Replaces `path` at once or not at all: a temporary file (O_EXCL, `mode`) beside it, fsync,
// rename. Throws Error(local). If `path` is a symbolic link, its target is replaced; one to another
// user's file, or to nothing, is refused, and so is anything but a regular file in its place.
void write_file_atomically(const std::string& path, std::string_view bytes, unsigned mode);
// All of `bytes` to a file or a pipe, which is called `name` in the Error(local) of a failure.
void write_fully(int fd, std::span<const std::byte> bytes, const std::string& name);
// The file that replacing `path` replaces: itself, or what it links to. Throws Error(local) where
// write_file_atomically() would.
std::string file_to_replace(const std::string& path);
// For the results that a user wants in a file: as write_file_atomically() with mode 0644, but what
// is not a regular file (a FIFO, /dev/stdout) and what cannot be replaced (a bind mount, a file in
// somebody else's directory) is written in place. Throws Error(local).
void write_output_file(const std::string& path, std::string_view bytes);
// To be called before the work: throws Error(local) when write_output_file() could not write there.
void check_output_file(const std::string& path);
// Creates `path` and its missing parents with `mode` (less the umask). Throws Error(local).
void make_directories(const std::string& path, unsigned mode);

// Takes an exclusive flock() on `fd`, which ends with the descriptor (and with the process). False
// with errno set when there is none: EWOULDBLOCK, somebody else still has it after `patience`.
// Throws Error(interrupted).
bool lock_exclusively(int fd, std::chrono::milliseconds patience = {},
                      const std::stop_token& stop = {});

}  // namespace tug

#endif  // TUG_BASE_FD_H_
