// Tar archives as anybody may have made them, plain or compressed. The one file that knows
// libarchive is archive.cc.
#ifndef TUG_STREAM_ARCHIVE_H_
#define TUG_STREAM_ARCHIVE_H_

#include "base/fd.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

namespace tug {

// More of them nobody needs to read, and no archive gets.
inline constexpr std::size_t kMaxArchiveMembers = 100'000;

struct ArchiveMember {
  enum class Kind {
    file,
    sparse_file,  // stored without its holes: its bytes do not stand in a row
    symlink,
    hardlink,
    other,  // directories, devices, …
  };
  std::string name;  // as it stands in the archive: it may be absolute, and lead anywhere
  Kind kind = Kind::other;
  std::string link = {};     // where a link leads, as it stands there
  std::uint64_t size = 0;    // of a file
  std::uint64_t offset = 0;  // where its bytes begin in the uncompressed tar
};

// What may come out of few bytes. gzip cannot do better than 1:1032; the rest is for sparse layers
// that zstd or xz made smaller still, and costs an attacker's victim a minute.
inline constexpr std::uint64_t kMaxGrowth = 1100;
inline constexpr std::uint64_t kFreeGrowthBytes = std::uint64_t{64} << 30U;

// Reads the tar in the regular file `fd`, compressed with gzip, bzip2, xz, zstd or not at all, once
// from front to back; what is passed over in a plain tar is not read. A resource; one thread at a
// time.
//
// Throws Error(integrity) for what is no tar or damaged, Error(limit) for more than 100,000
// members, a name over 4096 bytes, and what gets out of hand when it is decompressed (over
// `free_growth` and kMaxGrowth times the bytes read), Error(local), Error(interrupted).
class ArchiveReader {
 public:
  // `name` is for messages.
  ArchiveReader(std::shared_ptr<const UniqueFd> fd, std::string name, std::stop_token stop,
                std::uint64_t free_growth = kFreeGrowthBytes);
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;
  ~ArchiveReader();

  // The next member; false at the end.
  bool next(ArchiveMember& member);
  // The next bytes of the current member; 0 at its end.
  std::size_t read(std::span<std::byte> buffer);
  // Known once next() has been called.
  [[nodiscard]] bool is_compressed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tug

#endif  // TUG_STREAM_ARCHIVE_H_
