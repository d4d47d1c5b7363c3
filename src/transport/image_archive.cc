#include "transport/image_archive.h"

#include "base/stop.h"
#include "base/strings.h"
#include "base/temporary_file.h"
#include "stream/file_source.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr int kMaxLinks = 8;
constexpr std::size_t kFrontBytes = 4;
// What the index keeps of a compressed archive: manifests and configs, so that only layers are
// searched for again.
constexpr std::size_t kMaxKeptBytes = 1024 * 1024;
constexpr std::size_t kMaxKeptBytesInAll = 16 * 1024 * 1024;
// Each has a window of what it decompresses, up to 128 MiB.
constexpr std::size_t kMaxIdleReaders = 2;
// Of the names in one archive, links included.
constexpr std::size_t kMaxIndexBytes = 16 * 1024 * 1024;

// The next bytes of a pipe. Somebody may have to be waited for, but not for ever.
std::size_t read_pipe(int fd, std::span<std::byte> buffer, const std::string& path,
                      const std::stop_token& stop) {
  constexpr int kPauseMilliseconds = 100;
  for (;;) {
    throw_if_stopped(stop);
    pollfd ready{fd, POLLIN, 0};
    const int count = ::poll(&ready, 1, kPauseMilliseconds);
    if (count == 0 || (count < 0 && errno == EINTR)) continue;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR && errno != EAGAIN)
      throw Error(ErrorKind::local, "cannot read " + path + ": " + errno_text(errno));
  }
}

UniqueFd spool(const UniqueFd& pipe, const std::string& path, const std::string& directory,
               const std::stop_token& stop) {
  UniqueFd file = open_unnamed_file(directory);
  const std::string what = "a temporary file for " + path + " in " + directory;
  std::vector<std::byte> buffer(256 * 1024);
  while (const std::size_t size = read_pipe(pipe.get(), buffer, path, stop))
    write_fully(file.get(), std::span<const std::byte>(buffer).first(size), what);
  return file;
}

// A file that can be read again and again.
UniqueFd open_archive_file(const std::string& path, const std::string& directory,
                           const std::stop_token& stop) {
  UniqueFd fd = open_for_reading(path);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0)
    throw Error(ErrorKind::local, "cannot open " + path + ": " + errno_text(errno));
  if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorKind::local, path + " is a directory, not an archive")
        .set_hint("a layout in a directory is oci:" + path);
  }
  return S_ISREG(status.st_mode) ? std::move(fd) : spool(fd, path, directory, stop);
}

}  // namespace

std::optional<std::string> member_path(std::string_view name, std::string_view base) {
  if (name.starts_with('/') || name.find('\0') != std::string_view::npos) return std::nullopt;
  std::vector<std::string> parts;
  for (const std::string_view whole : {base, name}) {
    for (const std::string_view part : split(whole, '/')) {
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.emplace_back(part);
      } else if (parts.empty()) {
        return std::nullopt;
      } else {
        parts.pop_back();
      }
    }
  }
  if (parts.empty()) return std::nullopt;
  return join(parts, "/");
}

void require_regular_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
    return;  // what is wrong with it is said when it is opened
  throw Error(ErrorKind::usage,
              path + " can be read only once, which does for one of its images, not for all");
}

// A member of a compressed archive: what stands before it is decompressed again, from where a
// reader is that has done its work.
class ImageArchive::CompressedMember final : public ByteSource {
 public:
  CompressedMember(std::shared_ptr<const Contents> contents, const Member& member)
      : contents_(std::move(contents)), member_(member) {}
  CompressedMember(const CompressedMember&) = delete;
  CompressedMember& operator=(const CompressedMember&) = delete;
  ~CompressedMember() override {
    if (!is_sound_) return;
    const std::lock_guard lock(contents_->mutex);
    if (contents_->idle.size() < kMaxIdleReaders)
      contents_->idle.push_back({member_.position + 1, std::move(reader_)});
  }

  std::size_t read(std::span<std::byte> buffer) override {
    if (!reader_) go_there();
    is_sound_ = false;
    const std::size_t got = reader_->read(buffer);
    is_sound_ = true;
    return got;
  }

 private:
  void go_there() {
    std::size_t position = take_idle_reader();
    if (!reader_)
      reader_ = std::make_unique<ArchiveReader>(contents_->fd, contents_->path, contents_->stop);
    ArchiveMember found;
    bool is_there = true;
    for (; is_there && position <= member_.position; ++position) is_there = reader_->next(found);
    if (is_there && found.offset == member_.offset && found.size == member_.size) return;
    throw Error(ErrorKind::local, contents_->path + " changed while it was read");
  }

  // The one that is nearest before this member; the member that it reads next, or the first.
  std::size_t take_idle_reader() {
    const std::lock_guard lock(contents_->mutex);
    std::vector<Contents::Idle>& idle = contents_->idle;
    auto best = idle.end();
    for (auto each = idle.begin(); each != idle.end(); ++each) {
      if (each->position > member_.position) continue;
      if (best == idle.end() || each->position > best->position) best = each;
    }
    if (best == idle.end()) return 0;
    reader_ = std::move(best->reader);
    const std::size_t position = best->position;
    idle.erase(best);
    return position;
  }

  const std::shared_ptr<const Contents> contents_;
  const Member& member_;  // of contents_
  std::unique_ptr<ArchiveReader> reader_;
  bool is_sound_ = false;  // it has read, and can go on
};

ImageArchive ImageArchive::open(const std::string& path, const std::string& temporary_directory,
                                const std::stop_token& stop) {
  return read(open_archive_file(path, temporary_directory, stop), path, stop);
}

ImageArchive ImageArchive::read(UniqueFd file, const std::string& path,
                                const std::stop_token& stop) {
  auto contents = std::make_shared<Contents>();
  contents->path = path;
  contents->stop = stop;
  contents->fd = std::make_shared<const UniqueFd>(std::move(file));
  ArchiveReader reader(contents->fd, path, stop);
  ArchiveMember found;
  std::size_t kept = 0;
  std::size_t index_bytes = 0;
  for (std::size_t position = 0; reader.next(found); ++position) {
    contents->is_compressed = reader.is_compressed();
    index_bytes += found.name.size() + found.link.size();
    if (index_bytes > kMaxIndexBytes) {
      throw Error(ErrorKind::limit,
                  path + " has more than " + human_bytes(kMaxIndexBytes) + " of names in it");
    }
    const std::optional<std::string> name = member_path(found.name);
    if (!name) continue;
    const auto [place, is_new] = contents->members.try_emplace(*name);
    Member& member = place->second;
    if (!is_new) {
      member.is_ambiguous = true;
      continue;
    }
    member.kind = found.kind;
    member.size = found.size;
    member.offset = found.offset;
    member.position = position;
    if (found.kind == ArchiveMember::Kind::symlink) {
      const std::size_t slash = name->rfind('/');
      member.link = member_path(found.link, slash == std::string::npos
                                                ? std::string_view()
                                                : std::string_view(*name).substr(0, slash))
                        .value_or("");
    } else if (found.kind == ArchiveMember::Kind::hardlink) {
      member.link = member_path(found.link).value_or("");
    } else if (found.kind == ArchiveMember::Kind::file && contents->is_compressed) {
      keep_front(member, reader, kept);
    }
  }
  return ImageArchive(std::move(contents));
}

void ImageArchive::keep_front(Member& member, ArchiveReader& reader, std::size_t& kept) {
  const bool is_small = member.size <= kMaxKeptBytes && kept + member.size <= kMaxKeptBytesInAll;
  std::string bytes(is_small ? static_cast<std::size_t>(member.size)
                             : std::min<std::size_t>(kFrontBytes, member.size),
                    '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const std::size_t got = reader.read(std::as_writable_bytes(std::span(bytes)).subspan(filled));
    if (got == 0) break;
    filled += got;
  }
  bytes.resize(filled);
  member.front = bytes.substr(0, kFrontBytes);
  if (!is_small) return;
  kept += bytes.size();
  member.content = std::move(bytes);
}

const std::string& ImageArchive::path() const noexcept { return contents_->path; }

std::string ImageArchive::path_of(const std::string& relative) const {
  return printable(relative, 200) + " in " + contents_->path;
}

bool ImageArchive::has(const std::string& relative) const {
  const auto name = member_path(relative);
  return name && contents_->members.find(*name) != contents_->members.end();
}

const ImageArchive::Member* ImageArchive::find(std::string_view relative) const {
  auto name = member_path(relative);
  for (int links = 0; name && links <= kMaxLinks; ++links) {
    const auto found = contents_->members.find(*name);
    if (found == contents_->members.end()) return nullptr;
    const Member& member = found->second;
    if (member.kind == ArchiveMember::Kind::file) return &member;
    if (member.link.empty()) return nullptr;
    name = member.link;
  }
  return nullptr;
}

// Why there is none is said in the user's words.
const ImageArchive::Member& ImageArchive::file(const std::string& relative) const {
  if (const Member* found = find(relative)) return *found;
  const auto name = member_path(relative);
  if (!name) {
    throw Error(ErrorKind::integrity, contents_->path + ": the name \"" + printable(relative, 200) +
                                          "\" leads out of the archive");
  }
  const auto member = contents_->members.find(*name);
  if (member == contents_->members.end())
    throw Error(ErrorKind::local, "there is no " + path_of(relative));
  using Kind = ArchiveMember::Kind;
  switch (member->second.kind) {
    case Kind::sparse_file:
      throw Error(ErrorKind::local, path_of(relative) + " is stored without its holes")
          .set_hint("make the archive again without --sparse");
    case Kind::symlink:
    case Kind::hardlink:
      throw Error(ErrorKind::integrity,
                  path_of(relative) + " is a link that leads to no file inside the archive");
    default:
      throw Error(ErrorKind::local, path_of(relative) + " is not a regular file");
  }
}

std::optional<std::uint64_t> ImageArchive::size_of(const std::string& relative) const {
  const Member* found = find(relative);
  return found == nullptr ? std::nullopt : std::optional(found->size);
}

std::string ImageArchive::read(const std::string& relative, std::size_t max_bytes) const {
  const Member& member = file(relative);
  if (member.is_ambiguous) {
    throw Error(ErrorKind::integrity, contents_->path + " has more than one member " +
                                          printable(relative, 200) +
                                          ", and programs differ in which they read");
  }
  if (member.size > max_bytes) {
    throw Error(ErrorKind::local, path_of(relative) + " is larger than " + human_bytes(max_bytes) +
                                      ", the most that is read of such a file");
  }
  std::optional<std::string> bytes = read_small(*open_member(relative), max_bytes);
  if (!bytes || bytes->size() != member.size)
    throw Error(ErrorKind::integrity, path_of(relative) + " is cut short");
  return std::move(*bytes);
}

Blob ImageArchive::blob(std::string relative, const Descriptor& descriptor) const {
  auto open_at = [archive = *this, relative = std::move(relative),
                  descriptor](std::uint64_t offset) {
    archive.require_size(relative, archive.file(relative).size, descriptor);
    return archive.open_member(relative, offset);
  };
  return {descriptor, Blob::Form::exact, std::nullopt, descriptor.size, false, std::move(open_at)};
}

std::unique_ptr<ByteSource> ImageArchive::open_member(const std::string& relative,
                                                      std::uint64_t offset) const {
  const Member& member = file(relative);
  if (member.content) return memory_source(*member.content, offset);
  if (contents_->is_compressed)
    return skipping_source(std::make_unique<CompressedMember>(contents_, member), offset);
  return file_part_source(contents_->fd, path_of(relative), member.offset, member.size, offset);
}

std::string ImageArchive::front_of(const std::string& relative) const {
  const Member& member = file(relative);
  if (contents_->is_compressed) return member.front;
  std::array<std::byte, kFrontBytes> front{};
  const std::unique_ptr<ByteSource> source = open_member(relative);
  std::size_t size = 0;
  while (const std::size_t got = source->read(std::span(front).subspan(size))) {
    size += got;
    if (size == front.size()) break;
  }
  return {reinterpret_cast<const char*>(front.data()), size};
}

}  // namespace tug
