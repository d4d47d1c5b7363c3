#include "stream/archive.h"

#include "base/stop.h"
#include "base/strings.h"

#include <tug/error.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

namespace tug {
namespace {

// What a read fetches. Between the members of an image's archive are megabytes that nobody wants.
constexpr std::size_t kBlockBytes = 64 * 1024;
constexpr std::size_t kMaxNameBytes = 4096;
struct ArchiveDeleter {
  void operator()(archive* reader) const noexcept { archive_read_free(reader); }
};

bool is_link(ArchiveMember::Kind kind) {
  return kind == ArchiveMember::Kind::symlink || kind == ArchiveMember::Kind::hardlink;
}

std::string text_of(const char* text) { return text == nullptr ? std::string() : text; }

// In a locale without the characters of a name libarchive has only one of both forms.
std::string name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return text_of(name != nullptr ? name : archive_entry_pathname_utf8(entry));
}

}  // namespace

struct ArchiveReader::State {
  State(std::shared_ptr<const UniqueFd> file, std::string file_name, std::stop_token stop_requested,
        std::uint64_t growth)
      : fd(std::move(file)),
        name(std::move(file_name)),
        stop(std::move(stop_requested)),
        free_growth(growth),
        reader(archive_read_new()) {
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0)
      throw Error(ErrorKind::local, name + ": " + errno_text(errno));
    size = static_cast<std::uint64_t>(status.st_size);
    if (!reader) throw std::bad_alloc();
    archive* const a = reader.get();
    // Only what is a library here: no program is run.
    const bool is_set_up = archive_read_support_format_tar(a) == ARCHIVE_OK &&
                           archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
                           archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
                           archive_read_support_filter_xz(a) == ARCHIVE_OK &&
                           archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
                           archive_read_set_read_callback(a, &State::read_file) == ARCHIVE_OK &&
                           archive_read_set_skip_callback(a, &State::skip_file) == ARCHIVE_OK &&
                           archive_read_set_callback_data(a, this) == ARCHIVE_OK;
    if (!is_set_up) fail();
    if (size == 0) throw Error(ErrorKind::integrity, name + " is empty");
    if (archive_read_open1(a) != ARCHIVE_OK) fail();
  }

  // What libarchive calls: no exception may pass through it.
  static la_ssize_t read_file(archive* reader, void* data, const void** buffer) noexcept {
    auto& self = *static_cast<State*>(data);
    *buffer = self.block.data();
    if (self.stop.stop_requested()) {
      archive_set_error(reader, EINTR, "interrupted");
      return -1;
    }
    ssize_t got = -1;
    do
      got = ::pread(self.fd->get(), self.block.data(), self.block.size(),
                    static_cast<off_t>(self.position));
    while (got < 0 && errno == EINTR);
    if (got < 0) {
      self.error_number = errno;
      archive_set_error(reader, self.error_number, "cannot be read");
      return -1;
    }
    self.position += static_cast<std::uint64_t>(got);
    return got;
  }

  // Never past the end: there a read tells libarchive that the file is too short.
  static la_int64_t skip_file(archive*, void* data, la_int64_t request) noexcept {
    auto& self = *static_cast<State*>(data);
    const std::uint64_t left = self.size - std::min(self.size, self.position);
    const auto skipped =
        std::min(left, static_cast<std::uint64_t>(std::max<la_int64_t>(request, 0)));
    self.position += skipped;
    return static_cast<la_int64_t>(skipped);
  }

  [[noreturn]] void fail() {
    throw_if_stopped(stop);
    if (error_number != 0)
      throw Error(ErrorKind::local, "cannot read " + name + ": " + errno_text(error_number));
    const char* reason = archive_error_string(reader.get());
    throw Error(ErrorKind::integrity,
                fmt::format("{} is no tar archive, or damaged: {}", name,
                            reason == nullptr ? "unknown format" : printable(reason, 200)));
  }

  void check_growth() {
    const auto plain = static_cast<std::uint64_t>(archive_filter_bytes(reader.get(), 0));
    if (plain <= free_growth || plain - free_growth <= kMaxGrowth * position) return;
    throw Error(ErrorKind::limit, fmt::format("{} gets out of hand: {} have become more than {}",
                                              name, human_bytes(position), human_bytes(plain)))
        .set_hint("if that is how it must be, decompress the file first");
  }

  // What is passed over in a compressed archive is decompressed all the same, and may be a lot.
  void pass_over_data() {
    if (archive_filter_count(reader.get()) <= 1) return;
    const void* piece = nullptr;
    std::size_t piece_size = 0;
    la_int64_t offset = 0;
    for (;;) {
      throw_if_stopped(stop);
      check_growth();
      const int result = archive_read_data_block(reader.get(), &piece, &piece_size, &offset);
      if (result == ARCHIVE_EOF) return;
      if (result != ARCHIVE_OK) fail();
    }
  }

  std::shared_ptr<const UniqueFd> fd;
  std::string name;
  std::stop_token stop;
  std::uint64_t free_growth;
  std::vector<std::byte> block = std::vector<std::byte>(kBlockBytes);
  std::uint64_t size = 0;
  std::uint64_t position = 0;
  int error_number = 0;
  std::size_t members = 0;
  std::unique_ptr<archive, ArchiveDeleter> reader;
};

ArchiveReader::ArchiveReader(std::shared_ptr<const UniqueFd> fd, std::string name,
                             std::stop_token stop, std::uint64_t free_growth)
    : state_(
          std::make_unique<State>(std::move(fd), std::move(name), std::move(stop), free_growth)) {}

ArchiveReader::~ArchiveReader() = default;

bool ArchiveReader::is_compressed() const { return archive_filter_count(state_->reader.get()) > 1; }

bool ArchiveReader::next(ArchiveMember& member) {
  State& state = *state_;
  throw_if_stopped(state.stop);
  if (state.members > 0) state.pass_over_data();
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(state.reader.get(), &entry);
  if (result == ARCHIVE_EOF) return false;
  // ARCHIVE_WARN: it has said what it did not understand, a character set for example.
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) state.fail();
  if (++state.members > kMaxArchiveMembers) {
    throw Error(ErrorKind::limit,
                fmt::format("{} has more than {} members", state.name, kMaxArchiveMembers));
  }
  using Kind = ArchiveMember::Kind;
  member = ArchiveMember{.name = name_of(entry)};
  if (const char* hardlink = archive_entry_hardlink(entry)) {
    member.kind = Kind::hardlink;
    member.link = hardlink;
  } else if (archive_entry_filetype(entry) == AE_IFLNK) {
    member.kind = Kind::symlink;
    member.link = text_of(archive_entry_symlink(entry));
  } else if (archive_entry_filetype(entry) == AE_IFREG) {
    member.kind = archive_entry_sparse_count(entry) > 0 ? Kind::sparse_file : Kind::file;
    member.size = static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0));
  }
  if (member.name.size() > kMaxNameBytes ||
      (is_link(member.kind) && member.link.size() > kMaxNameBytes)) {
    throw Error(ErrorKind::limit, fmt::format("{} has a member whose name is longer than {} bytes",
                                              state.name, kMaxNameBytes));
  }
  member.offset = static_cast<std::uint64_t>(archive_filter_bytes(state.reader.get(), 0));
  if (!is_compressed() && member.kind == Kind::file &&
      (member.offset > state.size || member.size > state.size - member.offset)) {
    throw Error(ErrorKind::integrity,
                fmt::format("{} is truncated: its member {} ends behind the last of its {} bytes",
                            state.name, printable(member.name, 200), state.size));
  }
  return true;
}

std::size_t ArchiveReader::read(std::span<std::byte> buffer) {
  throw_if_stopped(state_->stop);
  const la_ssize_t got = archive_read_data(state_->reader.get(), buffer.data(), buffer.size());
  if (got < 0) state_->fail();
  state_->check_growth();
  return static_cast<std::size_t>(got);
}

}  // namespace tug
