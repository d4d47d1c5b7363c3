// Reads the tar of a layer as Go's archive/tar reads it, which is what every store was filled by,
// and tells the bytes that are content from all the others: tar-split needs each byte in its place.
// libarchive cannot say where its headers begin and end, which is why it is not used here.
#ifndef TUG_STREAM_TAR_READER_H_
#define TUG_STREAM_TAR_READER_H_

#include "stream/tar_split.h"

#include <tug/blob.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace tug {

class TarSplitWriter;

struct TarMember {
  enum class Kind { file, hardlink, symlink, character_device, block_device, directory, fifo };
  std::string name;  // as it stands in the archive: it may be absolute, and lead anywhere
  Kind kind = Kind::file;
  std::string link = {};   // where a link leads, as it stands there
  std::uint64_t size = 0;  // of a file's content
  std::uint32_t mode = 0;  // permissions with setuid, setgid and sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime = 0;  // seconds since 1970
  std::uint32_t mtime_ns = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::map<std::string, std::string> xattrs = {};
};

// A resource; one thread. Memory: what a member's headers have, at most 4 MiB.
//
// Throws Error(integrity) for what is no tar, truncated or has a member that Go refuses, and for
// sparse members, which no store can give back; Error(limit) for more than 4 million members, names
// over 4095 bytes and headers over 1 MiB; and what the source throws.
class TarReader {
 public:
  // `split`, if there is one, is told everything. `name` is for messages.
  TarReader(ByteSource& source, std::string name, TarSplitWriter* split);

  // The next member; false at the end, once all bytes behind it have been read too.
  bool next(TarMember& member);
  // The next bytes of the member's content; 0 at its end.
  std::size_t read(std::span<std::byte> buffer);

 private:
  using Records = std::map<std::string, std::string>;  // of a key the last one

  std::size_t read_up_to(std::span<char> buffer);
  bool read_block(std::span<char> block);
  std::string read_header_data(std::uint64_t size);
  void end_member();
  void skip_padding(std::uint64_t size);
  void read_tail();
  void flush_segment();
  Records parse_records(const std::string& text) const;
  void apply(const Records& records, TarMember& member) const;
  [[noreturn]] void fail(const std::string& what) const;

  ByteSource& source_;
  const std::string name_;
  TarSplitWriter* const split_;
  std::string segment_;  // bytes of the tar that `split` has not been told yet
  std::uint64_t offset_ = 0;
  std::uint64_t members_ = 0;
  bool has_member_ = false;
  std::string member_name_;
  std::uint64_t member_size_ = 0;
  std::uint64_t left_ = 0;  // of its content
  Crc64 crc_;
};

}  // namespace tug

#endif  // TUG_STREAM_TAR_READER_H_
