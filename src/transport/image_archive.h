// A tar archive that holds images (oci-archive:, docker-archive:), read where it is.
//
// One pass over the headers makes an index of its members. From a plain archive a member's bytes
// are then read by their offset; a compressed one is decompressed again for the members that are
// wanted, in one pass when they are read one after the other in the archive's order, except for
// small ones, which the index keeps. Nothing is ever unpacked.
// What cannot be read twice (a pipe) goes into a temporary file without a name first, as it is.
//
// Nothing in it is trusted: members with absolute names or "..", devices and links out of the
// archive are as good as absent. Of several members with one name the first counts, as for
// containers/image; a document that stands there twice is refused.
#ifndef TUG_TRANSPORT_IMAGE_ARCHIVE_H_
#define TUG_TRANSPORT_IMAGE_ARCHIVE_H_

#include "stream/archive.h"
#include "transport/image_files.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// Where a member or a link in an archive leads: without ".", "//" and a "/" at the end. nullopt:
// out of the archive, or nowhere. `base`: the directory that `name` is relative to.
std::optional<std::string> member_path(std::string_view name, std::string_view base = {});

// For who reads an archive more than once. Throws Error(usage) for a pipe.
void require_regular_file(const std::string& path);

class ImageArchive final : public ImageFiles {
 public:
  // Reads the headers. `temporary_directory`: for what comes from a pipe. Throws what ArchiveReader
  // throws, and Error(local).
  static ImageArchive open(const std::string& path, const std::string& temporary_directory,
                           const std::stop_token& stop);
  // The same for a regular file that is open; `path` is what it is called.
  static ImageArchive read(UniqueFd file, const std::string& path, const std::stop_token& stop);

  [[nodiscard]] const std::string& path() const noexcept override;
  [[nodiscard]] std::string path_of(const std::string& relative) const override;
  [[nodiscard]] bool has(const std::string& relative) const override;
  [[nodiscard]] std::optional<std::uint64_t> size_of(const std::string& relative) const override;
  // Throws Error(integrity) when there are several of this name.
  [[nodiscard]] std::string read(const std::string& relative, std::size_t max_bytes) const override;
  [[nodiscard]] Blob blob(std::string relative, const Descriptor& descriptor) const override;

  // The bytes of a file, from `offset` on. Throws Error(local) when there is none.
  [[nodiscard]] std::unique_ptr<ByteSource> open_member(const std::string& relative,
                                                        std::uint64_t offset = 0) const;
  // The first bytes of a file, at most 4.
  [[nodiscard]] std::string front_of(const std::string& relative) const;

 private:
  struct Member {
    ArchiveMember::Kind kind;
    std::string link;  // for links: where it leads, in the archive; "": nowhere
    std::uint64_t size = 0;
    std::uint64_t offset = 0;
    std::size_t position = 0;                 // among all members
    bool is_ambiguous = false;                // there are more of this name
    std::string front = {};                   // of a compressed archive
    std::optional<std::string> content = {};  // the same, when it is small
  };
  struct Contents {
    std::string path;
    std::shared_ptr<const UniqueFd> fd;
    bool is_compressed = false;
    std::map<std::string, Member, std::less<>> members;
    std::stop_token stop;
    // Readers that nobody uses now, for members behind where they are.
    struct Idle {
      std::size_t position;  // of the member that they would read next
      std::unique_ptr<ArchiveReader> reader;
    };
    mutable std::mutex mutex;
    mutable std::vector<Idle> idle;
  };
  class CompressedMember;

  explicit ImageArchive(std::shared_ptr<const Contents> contents)
      : contents_(std::move(contents)) {}
  static void keep_front(Member& member, ArchiveReader& reader, std::size_t& kept);
  // The file behind `relative`, links followed; nullptr: there is none.
  [[nodiscard]] const Member* find(std::string_view relative) const;
  [[nodiscard]] const Member& file(const std::string& relative) const;

  std::shared_ptr<const Contents> contents_;
};

}  // namespace tug

#endif  // TUG_TRANSPORT_IMAGE_ARCHIVE_H_
