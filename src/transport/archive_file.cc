#include "transport/archive_file.h"

#include "base/stop.h"
#include "stream/file_source.h"

#include <tug/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr unsigned kFileMode = 0644;

Error cannot_write(const std::string& path, int error_number) {
  return Error(ErrorKind::local, "cannot write " + path + ": " + errno_text(error_number));
}

// What is a descriptor of this process is written, whatever is behind it.
bool is_descriptor(const std::string& path) {
  return path == "/dev/stdout" || path == "/dev/stderr" || path.starts_with("/dev/fd/") ||
         path.starts_with("/proc/self/fd/");
}

}  // namespace

ArchiveFile::ArchiveFile(std::string path, std::string temporary_directory)
    : path_(std::move(path)), temporary_directory_(std::move(temporary_directory)) {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) throw cannot_write(path_, errno);
  if (exists && S_ISDIR(status.st_mode)) throw cannot_write(path_, EISDIR);
  is_stream_ = is_descriptor(path_) || (exists && !S_ISREG(status.st_mode));
  if (is_stream_) return;
  exists_ = exists;
  replaces_content_ = exists && status.st_size > 0;
  target_ = file_to_replace(path_);
  const std::size_t slash = target_.rfind('/');
  if (target_.ends_with('/')) throw cannot_write(path_, EISDIR);
  directory_ = open_directory(slash == std::string::npos ? "."
                              : slash == 0               ? "/"
                                                         : target_.substr(0, slash));
}

ArchiveFile::ArchiveFile(UniqueFd stream, std::string name, std::string temporary_directory)
    : path_(std::move(name)),
      temporary_directory_(std::move(temporary_directory)),
      is_stream_(true),
      stream_(std::move(stream)) {}

void ArchiveFile::begin() {
  if (file_ || stream_) return;
  if (!is_stream_) {
    file_.emplace(directory_.get(), path_, kFileMode);
    return;
  }
  stream_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!stream_) throw cannot_write(path_, errno);
}

void ArchiveFile::write(std::span<const std::byte> bytes) {
  begin();
  if (is_stream_) {
    write_fully(stream_.get(), bytes, path_);
  } else {
    file_->write_at(position_, bytes);
  }
  position_ += bytes.size();
}

std::uint64_t ArchiveFile::copy(ByteSource& source, const SentCallback& sent,
                                const std::stop_token& stop) {
  std::vector<std::byte> buffer(kPieceBytes);
  std::uint64_t size = 0;
  while (const std::size_t got = source.read(buffer)) {
    throw_if_stopped(stop);
    write(std::span<const std::byte>(buffer).first(got));
    size += got;
    sent(size);
  }
  throw_if_stopped(stop);
  write(std::string(tar_padding(size), '\0'));
  return size;
}

void ArchiveFile::add(TarHeader header, std::string_view content) {
  header.size = content.size();
  write(tar_header(header));
  write(content);
  write(std::string(tar_padding(content.size()), '\0'));
}

void ArchiveFile::add(const TarHeader& header, ByteSource& source, const SentCallback& sent,
                      const std::stop_token& stop) {
  write(tar_header(header));
  const std::uint64_t size = copy(source, sent, stop);
  if (size == header.size) return;
  throw Error(ErrorKind::integrity, path_ + " is not written: " + header.name + " has " +
                                        std::to_string(size) + " bytes, not " +
                                        std::to_string(header.size));
}

void ArchiveFile::add_unknown(ByteSource& source, const HeaderOf& header_of,
                              const SentCallback& sent, const std::stop_token& stop) {
  if (is_stream_) return add_by_spool(source, header_of, sent, stop);
  const std::uint64_t start = position_;
  write(std::string(kTarBlockBytes, '\0'));
  const std::uint64_t size = copy(source, sent, stop);
  std::optional<TarHeader> header = header_of(size);
  if (!header) return (void)rewind(start);
  header->size = size;
  const std::string block = tar_header(*header);
  if (block.size() != kTarBlockBytes)
    throw Error(ErrorKind::limit, "a name is too long for a tar: " + header->name);
  file_->write_at(start, std::as_bytes(std::span(block)));
}

void ArchiveFile::add_by_spool(ByteSource& source, const HeaderOf& header_of,
                               const SentCallback& sent, const std::stop_token& stop) {
  const auto spool = std::make_shared<const UniqueFd>(open_unnamed_file(temporary_directory_));
  const std::string name = "a temporary file for " + path_ + " in " + temporary_directory_;
  std::vector<std::byte> buffer(kPieceBytes);
  std::uint64_t size = 0;
  while (const std::size_t got = source.read(buffer)) {
    throw_if_stopped(stop);
    write_fully(spool->get(), std::span<const std::byte>(buffer).first(got), name);
    size += got;
    sent(size);
  }
  std::optional<TarHeader> header = header_of(size);
  if (!header) return;
  header->size = size;
  add(
      *header, *file_part_source(spool, name, 0, size, 0), [](std::uint64_t) {}, stop);
}

bool ArchiveFile::rewind(std::uint64_t position) {
  if (position == position_) return true;
  if (is_stream_) return false;
  file_->truncate(position);
  position_ = position;
  return true;
}

bool ArchiveFile::end(bool may_replace) {
  write(tar_end());
  bool is_there = true;
  if (!is_stream_) {
    const std::string name = target_.substr(target_.rfind('/') + 1);
    if (may_replace) {
      file_->commit_as(name);
    } else {
      is_there = file_->commit_as_new(name);
    }
  }
  file_.reset();
  stream_ = UniqueFd();
  return is_there;
}

}  // namespace tug
