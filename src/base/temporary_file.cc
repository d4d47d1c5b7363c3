#include "base/temporary_file.h"

#include "base/hash.h"
#include "base/strings.h"

#include <tug/error.h>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace tug {
namespace {

constexpr int kNameAttempts = 8;
constexpr std::string_view kNameStart = ".tug-";
constexpr std::string_view kNameEnd = ".tmp";

template <typename Open>
UniqueFd open_retrying(Open open) {
  int fd = -1;
  do fd = open();
  while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

std::string random_name() {
  std::array<std::byte, 8> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw Error(ErrorKind::local, "cannot read random bytes: " + errno_text(errno));
  return std::string(kNameStart) + to_hex(random) + std::string(kNameEnd);
}

}  // namespace

bool TemporaryFile::is_temporary(std::string_view name) noexcept {
  return name.starts_with(kNameStart) && name.ends_with(kNameEnd);
}

TemporaryFile::TemporaryFile(int directory, std::string target, unsigned mode)
    : directory_(directory), target_(std::move(target)) {
  fd_ = open_retrying(
      [this] { return ::openat(directory_, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600); });
  // Without /proc it could not be named later.
  if (fd_ && ::access(own_path().c_str(), F_OK) != 0) fd_ = UniqueFd();
  if (!fd_) {
    take_name([this](const char* unused) {
      fd_ = open_retrying([&] {
        constexpr int kAccess = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
        return ::openat(directory_, unused, kAccess | O_CREAT | O_EXCL, 0600);
      });
      return static_cast<bool>(fd_);
    });
  }
  if (::fchmod(fd_.get(), mode) == 0) return;
  const int error = errno;
  remove();
  errno = error;
  fail();
}

void TemporaryFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void TemporaryFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

void TemporaryFile::truncate(std::uint64_t size) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fail();
}

void TemporaryFile::commit_as(const std::string& name) {
  if (::fsync(fd_.get()) != 0) fail();
  if (name_.empty()) take_name([this](const char* unused) { return link_as(unused); });
  if (::renameat(directory_, name_.c_str(), directory_, name.c_str()) != 0) fail();
  name_.clear();
  // Makes the rename itself durable. Some file systems cannot; the file is whole either way.
  (void)::fsync(directory_);
}

bool TemporaryFile::commit_as_new(const std::string& name) {
  if (::fsync(fd_.get()) != 0) fail();
  if (!link_as(name.c_str())) {
    if (errno != EEXIST) fail();
    return false;
  }
  (void)::fsync(directory_);
  return true;
}

bool TemporaryFile::link_as(const char* name) const {
  if (!name_.empty()) return ::linkat(directory_, name_.c_str(), directory_, name, 0) == 0;
  return ::linkat(AT_FDCWD, own_path().c_str(), directory_, name, AT_SYMLINK_FOLLOW) == 0;
}

void TemporaryFile::fail() const {
  throw Error(ErrorKind::local, "cannot write " + target_ + ": " + errno_text(errno));
}

std::string TemporaryFile::own_path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

// A name that nobody has; `create` makes it.
template <typename Create>
void TemporaryFile::take_name(Create create) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string name = random_name();
    if (create(name.c_str())) {
      name_ = std::move(name);
      return;
    }
    if (errno != EEXIST) break;
  }
  fail();
}

void TemporaryFile::remove() const noexcept {
  if (!name_.empty() && fd_) (void)::unlinkat(directory_, name_.c_str(), 0);
}

UniqueFd open_unnamed_file(const std::string& directory) {
  const UniqueFd parent = open_directory(directory);
  UniqueFd fd = open_retrying(
      [&] { return ::openat(parent.get(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600); });
  for (int attempt = 0; !fd && attempt < kNameAttempts; ++attempt) {
    const std::string name = random_name();
    fd = open_retrying([&] {
      constexpr int kAccess = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
      return ::openat(parent.get(), name.c_str(), kAccess | O_CREAT | O_EXCL, 0600);
    });
    if (fd) (void)::unlinkat(parent.get(), name.c_str(), 0);
  }
  if (fd) return fd;
  throw Error(ErrorKind::local,
              "cannot create a temporary file in " + directory + ": " + errno_text(errno));
}

std::string temporary_directory() { return env_nonempty("TMPDIR").value_or("/var/tmp"); }

}  // namespace tug
