// The files of an image, wherever they are: in a directory (image_directory.h) or a tar archive
// (image_archive.h).
//
// Nothing in them is trusted: links lead nowhere outside, sizes are compared before a byte is
// handed out, manifests are compared with their digests. Any thread.
#ifndef TUG_TRANSPORT_IMAGE_FILES_H_
#define TUG_TRANSPORT_IMAGE_FILES_H_

#include <tug/blob.h>
#include <tug/descriptor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace tug {

class ImageFiles {
 public:
  virtual ~ImageFiles() = default;

  // Of the directory or archive.
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
  // How messages name the file `relative`.
  [[nodiscard]] virtual std::string path_of(const std::string& relative) const = 0;

  // Throw Error(local) naming the file.

  // Whether there is something of this name, be it a link to nowhere.
  [[nodiscard]] virtual bool has(const std::string& relative) const = 0;
  // The size of a regular file; nullopt: there is none.
  [[nodiscard]] virtual std::optional<std::uint64_t> size_of(const std::string& relative) const = 0;
  [[nodiscard]] virtual std::string read(const std::string& relative,
                                         std::size_t max_bytes) const = 0;
  // Nothing is opened yet: a blob that the destination has already need not be here at all. open()
  // throws Error(integrity) when the size is another one.
  [[nodiscard]] virtual Blob blob(std::string relative, const Descriptor& descriptor) const = 0;

  // Throws Error(limit) for one over 4 MiB, Error(integrity) when it has not the size and digest of
  // `descriptor`.
  [[nodiscard]] std::string read_manifest(const std::string& relative,
                                          const Descriptor& descriptor) const;

 protected:
  ImageFiles() = default;
  ImageFiles(const ImageFiles&) = default;
  ImageFiles& operator=(const ImageFiles&) = default;
  // Throws Error(integrity) when the file has not the size of `descriptor`.
  void require_size(const std::string& relative, std::uint64_t size,
                    const Descriptor& descriptor) const;
};

}  // namespace tug

#endif  // TUG_TRANSPORT_IMAGE_FILES_H_
