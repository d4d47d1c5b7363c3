#include "transport/storage_layer.h"

#include "base/fd.h"
#include "base/stop.h"
#include "base/strings.h"
#include "stream/compress.h"
#include "stream/file_source.h"
#include "stream/tar_split.h"

#include <tug/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kTarBlock = 512;
constexpr std::size_t kTypeFlagAt = 156;
// Files from this size on are read ahead of by the kernel in larger steps.
constexpr std::uint64_t kSequentialFrom = 1024 * 1024;

// "layer 0123456789ab (/var/lib/containers/storage)"
std::string layer_name(const StorePaths& paths, const StoredLayer& layer) {
  return "layer " + layer.id.substr(0, 12) + " (store " + paths.graph_root + ")";
}

// Remembers the last block of what passes, which is the header of the member that follows.
class HeaderWatch {
 public:
  void pass(std::string_view bytes) {
    const std::size_t taken = std::min(bytes.size(), kTarBlock);
    const std::size_t kept = std::min(size_, kTarBlock - taken);
    std::memmove(block_.data(), block_.data() + size_ - kept, kept);
    std::memcpy(block_.data() + kept, bytes.data() + bytes.size() - taken, taken);
    size_ = kept + taken;
  }
  // Links, devices, directories and FIFOs have no data, whatever size their header gives (5.1).
  [[nodiscard]] bool member_has_no_data() const {
    return size_ == kTarBlock && block_[kTypeFlagAt] >= '1' && block_[kTypeFlagAt] <= '6';
  }

 private:
  std::array<char, kTarBlock> block_{};
  std::size_t size_ = 0;
};

// The bytes that a file of the layer adds to the tar.
std::uint64_t data_size(const TarSplitEntry& entry, const HeaderWatch& header) {
  return header.member_has_no_data() ? 0 : entry.size;
}

// Where a layer's files are: its own directory, and for overlay those below it, nearest first.
class LayerDirectories {
 public:
  LayerDirectories(const StorePaths& paths, const StoredLayer& layer,
                   const std::vector<std::string>& parents)
      : paths_(paths), parents_(parents) {
    Directory own = find(layer.id);
    if (!own.fd) {
      throw Error(ErrorKind::local,
                  layer_name(paths, layer) + " has no files in the store: directory " +
                      path_of(paths.layer_roots.front(), layer.id) + ": " + errno_text(errno))
          .set_hint(errno == ENOENT
                        ? "the image was removed while it was read, or the store is damaged"
                        : permission_hint(errno));
    }
    opened_.push_back(std::move(own));
  }

  // Opens a member's file; `path` is clean. Throws Error(local) naming it.
  UniqueFd open(const std::string& path, std::uint64_t size) {
    for (std::size_t i = 0; i <= parents_.size(); ++i) {
      if (i > 0 && paths_.driver != "overlay") break;  // other drivers have whole snapshots
      const Directory& directory = at(i);
      if (!directory.fd) continue;
      if (UniqueFd fd = open_beneath(directory.fd.get(), path)) {
        check(fd.get(), directory.path + "/" + path, size);
        return fd;
      }
      // Only what is not there is looked for further down: "template" layers have no files of their
      // own (5.2).
      if (errno != ENOENT && errno != ENOTDIR) throw unreadable(directory.path + "/" + path, errno);
    }
    throw unreadable(opened_.front().path + "/" + path, ENOENT);
  }

  // The path of a member's file for messages.
  [[nodiscard]] std::string display(const std::string& path) const {
    return printable(opened_.front().path + "/" + path, 500);
  }

 private:
  struct Directory {
    UniqueFd fd;
    std::string path;
  };

  [[nodiscard]] std::string path_of(const std::string& root, const std::string& id) const {
    return paths_.driver == "overlay" ? root + "/overlay/" + id + "/diff"
                                      : root + "/" + paths_.driver + "/dir/" + id;
  }

  // The directory of layer `id` in the first store that has it; without a descriptor, with errno
  // set, when none has.
  [[nodiscard]] Directory find(const std::string& id) const {
    int error_number = ENOENT;
    for (const std::string& root : paths_.layer_roots) {
      std::string path = path_of(root, id);
      UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (fd) return {std::move(fd), std::move(path)};
      if (errno != ENOENT) error_number = errno;
    }
    errno = error_number;
    return {};
  }

  const Directory& at(std::size_t depth) {
    while (opened_.size() <= depth) opened_.push_back(find(parents_[opened_.size() - 1]));
    return opened_[depth];
  }

  static Error unreadable(const std::string& path, int error_number) {
    return Error(ErrorKind::local,
                 "cannot read " + printable(path, 500) + ": " + errno_text(error_number))
        .set_hint(error_number == ENOENT
                      ? "the image was removed while it was read, or the store is damaged"
                      : permission_hint(error_number));
  }

  static void check(int fd, const std::string& path, std::uint64_t size) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw unreadable(path, errno);
    if (!S_ISREG(status.st_mode))
      throw Error(ErrorKind::local, printable(path, 500) + " is not a regular file");
    if (static_cast<std::uint64_t>(status.st_size) != size) {
      throw Error(ErrorKind::integrity, printable(path, 500) + " has " +
                                            std::to_string(status.st_size) +
                                            " bytes, its layer was stored with " +
                                            std::to_string(size) + ": it was changed in the store");
    }
    // Small files are fetched at once, while those before them are still being read.
    ::posix_fadvise(fd, 0, 0, size < kSequentialFrom ? POSIX_FADV_WILLNEED : POSIX_FADV_SEQUENTIAL);
  }

  const StorePaths& paths_;
  const std::vector<std::string>& parents_;
  std::vector<Directory> opened_;  // own, parents[0], …
};

UniqueFd open_tar_split(const StorePaths& paths, const StoredLayer& layer, std::string& path) {
  int error_number = ENOENT;
  for (const std::string& root : paths.layer_roots) {
    path = paths.layers_directory(root) + "/" + layer.id + ".tar-split.gz";
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd) return fd;
    if (errno != ENOENT) error_number = errno;
  }
  if (error_number != ENOENT) {
    throw Error(ErrorKind::local, "cannot open " + path + ": " + errno_text(error_number))
        .set_hint(permission_hint(error_number));
  }
  throw Error(ErrorKind::local, layer_name(paths, layer) + " has no tar-split data (" + path +
                                    "), so that its original tar cannot be made again")
      .set_hint("pull or build the image again");
}

TarSplitReader read_tar_split(const StorePaths& paths, const StoredLayer& layer) {
  std::string path;
  UniqueFd fd = open_tar_split(paths, layer, path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0)
    throw Error(ErrorKind::local, "cannot examine " + path + ": " + errno_text(errno));
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::local, path + " is not a regular file");
  auto file = file_source(std::move(fd), path, static_cast<std::uint64_t>(status.st_size), 0);
  return TarSplitReader(decompressing_source(std::move(file), path), path);
}

// The length of the tar, from tar-split alone.
std::uint64_t total_size(TarSplitReader reader, const std::stop_token& stop) {
  HeaderWatch header;
  std::uint64_t total = 0;
  TarSplitEntry entry;
  while (reader.next(entry)) {
    throw_if_stopped(stop);
    if (entry.kind == TarSplitEntry::Kind::segment) header.pass(entry.payload);
    const std::uint64_t added = entry.kind == TarSplitEntry::Kind::segment
                                    ? entry.payload.size()
                                    : data_size(entry, header);
    if (__builtin_add_overflow(total, added, &total))
      throw Error(ErrorKind::integrity, "sizes overflow");
  }
  return total;
}

// One piece of the tar: bytes from tar-split, or an open file.
struct Piece {
  std::string segment;
  UniqueFd file;
  std::uint64_t file_size = 0;
  std::string path;  // of the file, inside the layer
};

// The pieces of a layer in order, a few of them ready before they are asked for: with files that
// are not in memory yet, the disk works on several at once. (Measured: a layer of 33,000 files, 278
// MB, nothing cached: 7.4 s without, 3.9 s with this; no difference when all is cached.)
class PieceQueue {
 public:
  PieceQueue(TarSplitReader reader, LayerDirectories directories)
      : reader_(std::move(reader)), directories_(std::move(directories)) {}

  // False at the end of the layer.
  bool next(Piece& piece) {
    while (!at_end_ && ready_.size() < kMaxReady && segment_bytes_ < kMaxSegmentBytes)
      prepare_entry();
    if (ready_.empty()) return false;
    piece = std::move(ready_.front());
    ready_.pop_front();
    segment_bytes_ -= piece.segment.size();
    return true;
  }

  [[nodiscard]] const LayerDirectories& directories() const noexcept { return directories_; }

 private:
  static constexpr std::size_t kMaxReady =
      32;  // six layers at once stay far below 1024 descriptors
  static constexpr std::size_t kMaxSegmentBytes = 256 * 1024;

  void prepare_entry() {
    TarSplitEntry entry;
    if (!reader_.next(entry)) {
      at_end_ = true;
    } else if (entry.kind == TarSplitEntry::Kind::segment) {
      header_.pass(entry.payload);
      segment_bytes_ += entry.payload.size();
      ready_.push_back({std::string(entry.payload), UniqueFd(), 0, ""});
    } else if (const std::uint64_t size = data_size(entry, header_); size > 0) {
      std::string path = clean_member_name(entry.name);
      UniqueFd file = directories_.open(path, size);
      ready_.push_back({"", std::move(file), size, std::move(path)});
    }
  }

  TarSplitReader reader_;
  LayerDirectories directories_;
  HeaderWatch header_;
  std::deque<Piece> ready_;
  std::size_t segment_bytes_ = 0;
  bool at_end_ = false;
};

// The tar: segments as they are, files from the layer's directories in between.
class AssembledTar final : public ByteSource {
 public:
  AssembledTar(PieceQueue pieces, std::stop_token stop)
      : pieces_(std::move(pieces)), stop_(std::move(stop)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    throw_if_stopped(stop_);
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      if (done_ < piece_.segment.size()) {
        filled += take_segment(buffer.subspan(filled));
      } else if (done_ < piece_.file_size) {
        filled += read_file_part(buffer.subspan(filled));
      } else if (pieces_.next(piece_)) {
        done_ = 0;
      } else {
        piece_ = Piece();
        done_ = 0;
        break;
      }
    }
    return filled;
  }

 private:
  std::size_t take_segment(std::span<std::byte> buffer) {
    const auto done = static_cast<std::size_t>(done_);
    const std::size_t size = std::min(buffer.size(), piece_.segment.size() - done);
    std::memcpy(buffer.data(), piece_.segment.data() + done, size);
    done_ += size;
    return size;
  }

  std::size_t read_file_part(std::span<std::byte> buffer) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), piece_.file_size - done_));
    ssize_t got = 0;
    do got = ::read(piece_.file.get(), buffer.data(), wanted);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
      throw cut_short(got < 0 ? errno_text(errno) : "it was truncated while it was read");
    done_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }

  [[nodiscard]] Error cut_short(const std::string& why) const {
    return Error(ErrorKind::local,
                 "cannot read " + pieces_.directories().display(piece_.path) + ": " + why);
  }

  PieceQueue pieces_;
  const std::stop_token stop_;
  Piece piece_;
  std::uint64_t done_ = 0;  // bytes of piece_ that were given out
};

// Composefs stores keep file contents under their digests (5.7).
void refuse_composefs(const StorePaths& paths, const StoredLayer& layer) {
  for (const std::string& root : paths.layer_roots) {
    std::error_code ignored;
    if (paths.driver == "overlay" &&
        std::filesystem::exists(root + "/overlay/" + layer.id + "/composefs-data/composefs.blob",
                                ignored)) {
      throw Error(ErrorKind::usage,
                  layer_name(paths, layer) + " is stored as composefs, which tug cannot read")
          .set_hint("podman save --format oci-dir -o DIR IMAGE, then copy oci:DIR");
    }
  }
}

// The ids of the layers below the last of `chain`, nearest first.
std::vector<std::string> ids_below_top(const std::vector<const StoredLayer*>& chain) {
  std::vector<std::string> ids;
  for (auto layer = chain.rbegin() + 1; layer != chain.rend(); ++layer) ids.push_back((*layer)->id);
  return ids;
}

// What open() yields: the assembled tar, checked, from an offset on.
class LayerSource final : public ByteSource {
 public:
  // `owner` has what the assembly refers to.
  LayerSource(std::shared_ptr<const StorageLayer> owner, std::unique_ptr<ByteSource> checked,
              std::uint64_t skip, std::function<std::string()> find_damage)
      : owner_(std::move(owner)),
        checked_(std::move(checked)),
        skip_(skip),
        find_damage_(std::move(find_damage)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    try {
      while (skip_ > 0) {
        const std::size_t got =
            checked_->read(buffer.first(std::min<std::uint64_t>(buffer.size(), skip_)));
        if (got == 0) return 0;
        skip_ -= got;
      }
      return checked_->read(buffer);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::integrity && error.hint().empty())
        error.set_hint(find_damage_());
      throw;
    }
  }

 private:
  std::shared_ptr<const StorageLayer> owner_;
  std::unique_ptr<ByteSource> checked_;
  std::uint64_t skip_;
  std::function<std::string()> find_damage_;
};

// After a mismatch: reads every file once more and compares it with its checksum of when the image
// was stored. Says what was found.
std::string find_damage(const StorePaths& paths, const StoredLayer& layer,
                        const std::vector<std::string>& parents, const std::stop_token& stop) {
  constexpr const char* kNothing = "no single file is damaged; pull or build the image again";
  std::vector<std::byte> buffer(256 * 1024);
  TarSplitReader reader = read_tar_split(paths, layer);
  LayerDirectories directories(paths, layer, parents);
  HeaderWatch header;
  TarSplitEntry entry;
  while (reader.next(entry)) {
    throw_if_stopped(stop);
    if (entry.kind == TarSplitEntry::Kind::segment) {
      header.pass(entry.payload);
      continue;
    }
    const std::uint64_t size = data_size(entry, header);
    if (size == 0 || !entry.crc) continue;
    const std::string path = clean_member_name(entry.name);
    const UniqueFd fd = directories.open(path, size);
    Crc64 crc;
    ssize_t got = 0;
    while ((got = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
      throw_if_stopped(stop);
      crc.update({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (crc.value() != *entry.crc)
      return directories.display(path) + " is damaged; pull or build the image again";
  }
  return kNothing;
}

}  // namespace

StorageLayer::StorageLayer(const StorePaths& paths, const std::vector<const StoredLayer*>& chain,
                           std::stop_token stop)
    : paths_(paths),
      record_(*chain.back()),
      parents_(ids_below_top(chain)),
      stop_(std::move(stop)) {
  if (!record_.diff_id) {
    throw Error(
        ErrorKind::integrity,
        layer_name(paths_, record_) + " has no digest of its content, so that it cannot be checked")
        .set_hint("pull the image again");
  }
}

std::uint64_t StorageLayer::size() const {
  return record_.diff_size ? *record_.diff_size : checked_size();
}

std::unique_ptr<ByteSource> StorageLayer::open(std::uint64_t offset) const {
  refuse_composefs(paths_, record_);
  const std::uint64_t size = checked_size();
  auto tar = std::make_unique<AssembledTar>(
      PieceQueue(read_tar_split(paths_, record_), LayerDirectories(paths_, record_, parents_)),
      stop_);
  auto checked =
      verifying_source(std::move(tar), *record_.diff_id, size, layer_name(paths_, record_));
  return std::make_unique<LayerSource>(shared_from_this(), std::move(checked), offset, [this] {
    return find_damage(paths_, record_, parents_, stop_);
  });
}

// The length of the tar, which tar-split and the record must agree on.
std::uint64_t StorageLayer::checked_size() const {
  if (const std::uint64_t known = known_size_) return known;
  const std::uint64_t size = total_size(read_tar_split(paths_, record_), stop_);
  if (record_.diff_size && size != *record_.diff_size) {
    throw Error(ErrorKind::integrity, layer_name(paths_, record_) +
                                          " cannot be made again from the store: its parts are " +
                                          std::to_string(size) + " bytes, the original had " +
                                          std::to_string(*record_.diff_size))
        .set_hint("layers with sparse members cannot; build or pull the image again without them");
  }
  known_size_ = size;
  return size;
}

}  // namespace tug
