// The headers of a tar that is written: the bytes that Go's archive/tar makes, and with it every
// program of this field. (libarchive wants the size before the content and spells numbers in its
// own way.) Pure.
#ifndef TUG_STREAM_TAR_HEADER_H_
#define TUG_STREAM_TAR_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tug {

inline constexpr std::size_t kTarBlockBytes = 512;

struct TarHeader {
  enum class Kind : char { file = '0', symlink = '2', directory = '5' };
  std::string name;
  Kind kind = Kind::file;
  std::uint64_t size = 0;
  unsigned mode = 0444;
  std::string link = {};  // of a symlink, at most 100 bytes
};

// One block, and two more before it when the name is longer than 100 bytes. Owner, group and time
// are 0. A file of 8 GiB or more has its size in the binary form that everybody reads.
std::string tar_header(const TarHeader& header);

// What fills the last block behind `size` bytes of content.
constexpr std::size_t tar_padding(std::uint64_t size) noexcept {
  return static_cast<std::size_t>((kTarBlockBytes - size % kTarBlockBytes) % kTarBlockBytes);
}

// Two blocks of zeros.
std::string tar_end();

}  // namespace tug

#endif  // TUG_STREAM_TAR_HEADER_H_
