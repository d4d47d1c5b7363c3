// A new archive that images go into one after the other, each whole or not at all: what is common
// to docker-archive: and oci-archive: as destinations.
#ifndef TUG_TRANSPORT_NEW_ARCHIVE_H_
#define TUG_TRANSPORT_NEW_ARCHIVE_H_

#include "base/fd.h"
#include "transport/archive_file.h"
#include "transport/closed_destination.h"

#include <tug/reference.h>
#include <tug/transport.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug {

// What a bulk copy has of an archive. A resource; one thread at a time.
class SharedArchive {
 public:
  SharedArchive() = default;
  SharedArchive(const SharedArchive&) = delete;
  SharedArchive& operator=(const SharedArchive&) = delete;
  virtual ~SharedArchive() = default;

  // Where the next image goes: `reference` is of this archive. It is in after its finish(); one
  // that is destroyed before that is taken out again. There is one at a time. Throws Error(usage)
  // for a reference that is none and for a name that an image has, Error(local) when the part of an
  // image that was taken out has gone into a pipe.
  virtual std::unique_ptr<ImageDestination> next(const ImageReference& reference) = 0;
  // All are in: the archive appears.
  virtual void finish(std::stop_token stop) = 0;
};

// The file, and which members it has. A resource; one thread at a time.
class NewArchive {
 public:
  NewArchive(std::string path, std::string temporary_directory)
      : file_(std::move(path), std::move(temporary_directory)) {}
  NewArchive(UniqueFd stream, std::string name, std::string temporary_directory)
      : file_(std::move(stream), std::move(name), std::move(temporary_directory)) {}

  [[nodiscard]] ArchiveFile& file() noexcept { return file_; }
  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }

  // --- images

  // Throws as SharedArchive::next().
  void begin_image(const std::vector<std::string>& names);
  void keep_image();
  // What it brought is gone, if it was not kept.
  void drop_image() noexcept;

  // --- members, of the images that are in and of the one that is being written

  [[nodiscard]] std::optional<std::uint64_t> size_of(std::string_view member) const;
  // Whoever is told true writes it next. Throws Error(limit) for more than can be read,
  // Error(integrity) for one that is in with another size: nobody would compare its content.
  [[nodiscard]] bool claim(const std::string& member, std::uint64_t size = 0);
  // Whether it is in. Throws as claim().
  [[nodiscard]] bool has(std::string_view member, std::uint64_t size) const;

  // Throws Error(local) when a part of an image could not be taken out: then the archive gets no
  // end.
  void require_whole() const;

 private:
  ArchiveFile file_;
  std::map<std::string, std::uint64_t, std::less<>> members_;
  std::set<std::string> names_;
  bool is_broken_ = false;  // a part of an image is in it for ever
  // Of the image that is being written.
  std::uint64_t begin_ = 0;
  std::vector<std::string> new_members_;
  std::vector<std::string> new_names_;
};

// Either kind of archive. A resource; the images on their way into it share it.
class WrittenArchive : public SharedArchive {
 public:
  [[nodiscard]] NewArchive& members() noexcept { return members_; }

 protected:
  WrittenArchive(std::string path, std::string temporary_directory)
      : members_(std::move(path), std::move(temporary_directory)) {}
  WrittenArchive(UniqueFd stream, std::string name, std::string temporary_directory)
      : members_(std::move(stream), std::move(name), std::move(temporary_directory)) {}
  // Of the list of the images, which is about to have so many bytes. Throws Error(limit).
  void check_list(std::string_view member, std::size_t bytes) const;

 private:
  NewArchive members_;
};

// An image on its way into one: in after finish(), and gone when it is destroyed before that.
class ArchivedImage : public ClosedDestination {
 public:
  enum class Images { only, one_of_many };

  ~ArchivedImage() override {
    if (!is_kept_) members().drop_image();
  }

  // What earlier images brought.
  [[nodiscard]] bool has_blob(const Descriptor& descriptor, std::stop_token) final {
    const std::lock_guard lock(mutex_);
    return members().size_of(member_of(descriptor)) == descriptor.size;
  }
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const Digest& digest,
                                                       std::stop_token) final {
    const std::lock_guard lock(mutex_);
    return members().size_of(layer_member(digest));
  }
  void finish(std::stop_token stop) final;

 protected:
  // Throws as SharedArchive::next(). With Images::only the archive is finished with it.
  ArchivedImage(std::shared_ptr<WrittenArchive> archive, Images images,
                const std::vector<std::string>& names);

  [[nodiscard]] virtual std::string layer_member(const Digest& digest) const = 0;
  [[nodiscard]] virtual std::string member_of(const Descriptor& blob) const {
    return layer_member(blob.digest);
  }
  // It is whole: the archive's list gets it.
  virtual void keep() = 0;

  [[nodiscard]] NewArchive& members() const noexcept { return archive_->members(); }
  [[nodiscard]] ArchiveFile& file() const noexcept { return members().file(); }
  std::mutex& mutex() noexcept { return mutex_; }

 private:
  const std::shared_ptr<WrittenArchive> archive_;
  const Images images_;
  std::mutex mutex_;
  bool is_kept_ = false;
};

}  // namespace tug

#endif  // TUG_TRANSPORT_NEW_ARCHIVE_H_
