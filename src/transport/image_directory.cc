#include "transport/image_directory.h"

#include "base/hash.h"
#include "base/stop.h"
#include "base/strings.h"
#include "base/temporary_file.h"
#include "stream/file_source.h"

#include <tug/error.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
// Whoever holds the lock rewrites one small file; only a machine in deep trouble takes so long.
constexpr std::chrono::seconds kLockPatience{60};

Error cannot(std::string_view verb, const std::string& name, int error_number) {
  return Error(ErrorKind::local,
               "cannot " + std::string(verb) + " " + name + ": " + errno_text(error_number));
}

// Reads all of `source` into `file`.
template <typename Each>
std::uint64_t write_all(ByteSource& source, TemporaryFile& file, const SentCallback& sent,
                        const std::stop_token& stop, Each each) {
  std::vector<std::byte> buffer(kPieceBytes);
  std::uint64_t written = 0;
  while (const std::size_t size = source.read(buffer)) {
    throw_if_stopped(stop);
    const auto piece = std::span<const std::byte>(buffer).first(size);
    each(piece);
    file.write(piece);
    written += size;
    sent(written);
  }
  throw_if_stopped(stop);
  return written;
}

}  // namespace

std::vector<Descriptor> needed_blobs(const Manifest& manifest) {
  std::vector<Descriptor> blobs{manifest.config()};
  std::copy_if(manifest.layers().begin(), manifest.layers().end(), std::back_inserter(blobs),
               [](const Descriptor& layer) {
                 return !media_type::is_nondistributable(layer.media_type) || layer.urls.empty();
               });
  return blobs;
}

void check_parent_directory(const std::string& path) {
  const std::size_t name_end = path.find_last_not_of('/');
  const std::size_t slash = path.rfind('/', name_end);
  if (slash != std::string::npos && slash != 0) (void)open_directory(path.substr(0, slash));
}

ImageDirectory ImageDirectory::make(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST)
    throw cannot("create directory", path, errno);
  return ImageDirectory(path);
}

// --- reading

bool ImageDirectory::has(const std::string& relative) const {
  struct stat status {};
  return ::fstatat(root_->get(), relative.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 ||
         errno != ENOENT;
}

// Why a file could not be opened is said in the user's words.
ImageDirectory::File ImageDirectory::open(const std::string& relative) const {
  File file{open_beneath(root_->get(), relative, /*follow_last=*/true), path_of(relative), 0};
  if (!file.fd) {
    const int error_number = errno;
    std::array<char, 256> target{};
    const ssize_t length =
        ::readlinkat(root_->get(), relative.c_str(), target.data(), target.size());
    if (length <= 0) throw cannot("open", file.name, error_number);
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    throw Error(ErrorKind::local, file.name + " is a symbolic link to " + printable(text, 200) +
                                      ", which leads nowhere inside " + path_);
  }
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0) throw cannot("examine", file.name, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::local, file.name + " is not a regular file");
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

ImageDirectory::File ImageDirectory::open(const std::string& relative,
                                          const Descriptor& descriptor) const {
  File file = open(relative);
  require_size(relative, file.size, descriptor);
  return file;
}

std::optional<std::uint64_t> ImageDirectory::size_of(const std::string& relative) const {
  const UniqueFd fd = open_beneath(root_->get(), relative, /*follow_last=*/true);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

std::string ImageDirectory::read(const std::string& relative, std::size_t max_bytes) const {
  const File file = open(relative);
  return read_fd(file.fd.get(), file.name, max_bytes);
}

Blob ImageDirectory::blob(std::string relative, const Descriptor& descriptor) const {
  auto open_at = [directory = *this, relative = std::move(relative),
                  descriptor](std::uint64_t offset) {
    File file = directory.open(relative, descriptor);
    return file_source(std::move(file.fd), std::move(file.name), descriptor.size, offset);
  };
  return {descriptor, Blob::Form::exact, std::nullopt, descriptor.size, false, std::move(open_at)};
}

std::vector<std::string> ImageDirectory::entries() const {
  UniqueFd fd = open_beneath(root_->get(), ".");
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fd ? ::fdopendir(fd.get()) : nullptr,
                                                      &::closedir);
  if (!directory) throw cannot("read directory", path_, errno);
  (void)fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) throw cannot("read directory", path_, errno);
  return names;
}

// --- writing

void ImageDirectory::make_directories(const std::string& directory) const {
  for (std::size_t end = 0; end < directory.size(); ++end) {
    const std::size_t begin = end;
    end = std::min(directory.find('/', begin), directory.size());
    const std::string parent = directory.substr(0, begin == 0 ? 0 : begin - 1);
    const std::string name = directory.substr(begin, end - begin);
    if (::mkdirat(open_subdirectory(parent).get(), name.c_str(), 0777) != 0 && errno != EEXIST)
      throw cannot("create directory", path_of(directory.substr(0, end)), errno);
  }
}

UniqueFd ImageDirectory::open_subdirectory(const std::string& relative) const {
  UniqueFd fd =
      open_beneath(root_->get(), relative.empty() ? "." : relative + "/.", /*follow_last=*/true);
  if (fd) return fd;
  Error error = cannot("open directory", relative.empty() ? path_ : path_of(relative), errno);
  if (errno == ENOENT) error.set_hint("links are followed only inside " + path_);
  throw error;
}

void ImageDirectory::write(const std::string& directory, const std::string& name,
                           std::string_view bytes) const {
  const UniqueFd parent = open_subdirectory(directory);
  TemporaryFile file(parent.get(), path_of(directory, name), 0644);
  file.write(bytes);
  file.commit_as(name);
}

void ImageDirectory::write_if_absent(const std::string& directory, const std::string& name,
                                     std::string_view bytes) const {
  const UniqueFd parent = open_subdirectory(directory);
  TemporaryFile file(parent.get(), path_of(directory, name), 0644);
  file.write(bytes);
  (void)file.commit_as_new(name);
}

std::uint64_t ImageDirectory::write_blob(const std::string& directory, const std::string& name,
                                         const Blob& blob, const SentCallback& sent,
                                         const std::stop_token& stop) const {
  const UniqueFd parent = open_subdirectory(directory);
  const std::string target = path_of(directory, name);
  TemporaryFile file(parent.get(), target, 0644);
  const std::unique_ptr<ByteSource> source = blob.open(0);
  const Descriptor& expected = blob.descriptor;
  Hasher hasher(expected.digest.algorithm() == DigestAlgorithm::sha256 ? Hasher::Kind::sha256
                                                                       : Hasher::Kind::sha512);
  std::uint64_t size = 0;
  write_all(*source, file, sent, stop, [&](std::span<const std::byte> piece) {
    size += piece.size();
    // Before it fills the disk.
    if (size > expected.size) {
      throw Error(ErrorKind::integrity, target +
                                            " is not written: the source's content is longer "
                                            "than the " +
                                            std::to_string(expected.size) +
                                            " bytes of its descriptor");
    }
    hasher.update(piece);
  });
  const Digest actual = Digest::from_bytes(expected.digest.algorithm(), hasher.finish());
  if (actual != expected.digest) {
    throw Error(ErrorKind::integrity,
                target + " is not written: the source's content has the digest " + actual.str() +
                    " and " + std::to_string(size) + " bytes, not the " +
                    std::to_string(expected.size) + " bytes that its name stands for");
  }
  file.commit_as(name);
  return size;
}

Descriptor ImageDirectory::write_stream(const std::string& directory,
                                        const std::function<std::string(const Digest&)>& name_of,
                                        const StreamedBlob& blob, const SentCallback& sent,
                                        const std::stop_token& stop) const {
  const UniqueFd parent = open_subdirectory(directory);
  TemporaryFile file(parent.get(),
                     directory.empty() ? "a blob in " + path_ : "a blob in " + path_of(directory),
                     0644);
  const std::unique_ptr<DigestingSource> source = blob.open(0);
  write_all(*source, file, sent, stop, [](std::span<const std::byte>) {});
  Descriptor made = source->result();
  made.media_type = blob.media_type;
  file.commit_as(name_of(made.digest));
  return made;
}

void ImageDirectory::remove(const std::string& name) const {
  if (::unlinkat(root_->get(), name.c_str(), 0) != 0 && errno != ENOENT)
    throw cannot("remove", path_of(name), errno);
}

UniqueFd ImageDirectory::lock(const std::string& relative, const std::stop_token& stop) const {
  UniqueFd fd = std::move(open(relative).fd);
  if (lock_exclusively(fd.get(), kLockPatience, stop)) return fd;
  if (errno == EBADF) {  // NFS gives no exclusive lock to who cannot write
    const std::string same_file = "/proc/self/fd/" + std::to_string(fd.get());
    fd = UniqueFd(::open(same_file.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (fd && lock_exclusively(fd.get(), kLockPatience, stop)) return fd;
  }
  if (errno == EWOULDBLOCK) {
    throw Error(ErrorKind::local, "cannot lock " + path_of(relative) +
                                      ": another process has held it for " +
                                      std::to_string(kLockPatience.count()) + " seconds")
        .set_hint("end that process, or try again later");
  }
  throw cannot("lock", path_of(relative), errno);
}

}  // namespace tug
