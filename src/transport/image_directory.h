// A directory that holds images in files (oci:, dir:): its files are opened beneath it and nowhere
// else, and written so that each appears whole or not at all.
//
// Nothing in it is trusted: links lead nowhere outside, sizes are compared before a byte is handed
// out, manifests are compared with their digests. Any thread.
#ifndef TUG_TRANSPORT_IMAGE_DIRECTORY_H_
#define TUG_TRANSPORT_IMAGE_DIRECTORY_H_

#include "base/fd.h"
#include "transport/image_files.h"

#include <tug/blob.h>
#include <tug/descriptor.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

class ImageDirectory final : public ImageFiles {
 public:
  // Throws Error(local).
  explicit ImageDirectory(const std::string& path)
      : root_(std::make_shared<const UniqueFd>(open_directory(path))), path_(path) {}
  // Makes `path` where it is missing, but not its parent. Throws Error(local).
  static ImageDirectory make(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept override { return path_; }
  [[nodiscard]] std::string path_of(const std::string& relative) const override {
    return path_ + "/" + relative;
  }

  // --- reading. `relative` may be a link that stays inside.

  [[nodiscard]] bool has(const std::string& relative) const override;
  [[nodiscard]] std::optional<std::uint64_t> size_of(const std::string& relative) const override;
  [[nodiscard]] std::string read(const std::string& relative, std::size_t max_bytes) const override;
  [[nodiscard]] Blob blob(std::string relative, const Descriptor& descriptor) const override;
  // The names of its entries.
  [[nodiscard]] std::vector<std::string> entries() const;

  // --- writing, in `directory`, a path beneath this one ("" for itself)

  // Makes it, and what is missing on the way, with mode 0777 less the umask.
  void make_directories(const std::string& directory) const;
  void write(const std::string& directory, const std::string& name, std::string_view bytes) const;
  // The same where nothing has that name; else nothing is done.
  void write_if_absent(const std::string& directory, const std::string& name,
                       std::string_view bytes) const;
  // Throws Error(integrity) when the content has not the size and digest that it is called by:
  // then nothing is there. Returns the bytes written. Throws Error(interrupted).
  std::uint64_t write_blob(const std::string& directory, const std::string& name, const Blob& blob,
                           const SentCallback& sent, const std::stop_token& stop) const;
  // A blob that has its name only at the end: `name_of(digest)`.
  Descriptor write_stream(const std::string& directory,
                          const std::function<std::string(const Digest&)>& name_of,
                          const StreamedBlob& blob, const SentCallback& sent,
                          const std::stop_token& stop) const;
  // Nothing of this name is left, where it was a file.
  void remove(const std::string& name) const;
  // Held until the descriptor is closed; `relative` is a file that is never replaced. Throws
  // Error(local) when somebody holds it for very long, Error(interrupted).
  [[nodiscard]] UniqueFd lock(const std::string& relative, const std::stop_token& stop) const;

 private:
  struct File {
    UniqueFd fd;
    std::string name;
    std::uint64_t size = 0;
  };
  [[nodiscard]] File open(const std::string& relative) const;
  [[nodiscard]] File open(const std::string& relative, const Descriptor& descriptor) const;
  [[nodiscard]] std::string path_of(const std::string& directory, const std::string& name) const {
    return path_of(directory.empty() ? name : directory + "/" + name);
  }
  [[nodiscard]] UniqueFd open_subdirectory(const std::string& relative) const;

  std::shared_ptr<const UniqueFd> root_;
  std::string path_;
};

// The blobs that must be beside `manifest`: all but foreign layers that have URLs.
std::vector<Descriptor> needed_blobs(const Manifest& manifest);

// Throws Error(local) when `path` could not be made, because its parent is not there.
void check_parent_directory(const std::string& path);

}  // namespace tug

#endif  // TUG_TRANSPORT_IMAGE_DIRECTORY_H_
