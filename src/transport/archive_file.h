// A tar that is written member by member, front to back.
//
// A regular file is made beside the one that it replaces, and takes its place in finish(); until
// then it has no name. A member whose size nobody knows before its end gets its header when it is
// known. What cannot be written twice (a pipe, a device, /dev/stdout) is written as it comes; there
// such a member waits in a temporary file without a name.
//
// A resource; one thread at a time. Throws Error(local) naming the file, Error(interrupted).
#ifndef TUG_TRANSPORT_ARCHIVE_FILE_H_
#define TUG_TRANSPORT_ARCHIVE_FILE_H_

#include "base/fd.h"
#include "base/temporary_file.h"
#include "stream/tar_header.h"

#include <tug/blob.h>
#include <tug/transport.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

class ArchiveFile {
 public:
  // Whether `path` can be written is looked at; nothing is made yet.
  ArchiveFile(std::string path, std::string temporary_directory);
  // Written as it comes to the open `stream`, which is called `name`, and closed by finish().
  ArchiveFile(UniqueFd stream, std::string name, std::string temporary_directory);
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // There is a file that finish() will replace, and something in it.
  [[nodiscard]] bool replaces_content() const noexcept { return replaces_content_; }

  // A member without content, or with `content`.
  void add(TarHeader header, std::string_view content = {});
  // One of header.size bytes. Throws Error(integrity) when `source` has not so many.
  void add(const TarHeader& header, ByteSource& source, const SentCallback& sent,
           const std::stop_token& stop);
  // One whose name and size are known at its end: header_of(size). nullopt: nothing is written.
  using HeaderOf = std::function<std::optional<TarHeader>(std::uint64_t size)>;
  void add_unknown(ByteSource& source, const HeaderOf& header_of, const SentCallback& sent,
                   const std::stop_token& stop);
  // How much is written.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  // Takes back what was written from `position` on, the end of a member. False for what is written
  // as it comes, if there is anything.
  [[nodiscard]] bool rewind(std::uint64_t position);
  // The end of the tar; the file is in its place.
  void finish() { (void)end(true); }
  // The same where nothing was when this was made; false, and nothing is done, where something is
  // by now.
  [[nodiscard]] bool finish_as_new() { return end(exists_); }

 private:
  void begin();
  bool end(bool may_replace);
  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes) { write(std::as_bytes(std::span(bytes))); }
  void add_by_spool(ByteSource& source, const HeaderOf& header_of, const SentCallback& sent,
                    const std::stop_token& stop);
  std::uint64_t copy(ByteSource& source, const SentCallback& sent, const std::stop_token& stop);

  const std::string path_;
  const std::string temporary_directory_;
  std::string target_;  // what is replaced: links are followed
  bool is_stream_ = false;
  bool exists_ = false;
  bool replaces_content_ = false;
  UniqueFd directory_;                 // of the target
  std::optional<TemporaryFile> file_;  // once something is written
  UniqueFd stream_;                    // the same
  std::uint64_t position_ = 0;
};

}  // namespace tug

#endif  // TUG_TRANSPORT_ARCHIVE_FILE_H_
