#include "transport/image_files.h"

#include "base/strings.h"

#include <tug/error.h>
#include <tug/manifest.h>

namespace tug {

void ImageFiles::require_size(const std::string& relative, std::uint64_t size,
                              const Descriptor& descriptor) const {
  if (size == descriptor.size) return;
  throw Error(ErrorKind::integrity, path_of(relative) + " has " + std::to_string(size) +
                                        " bytes, but its descriptor says " +
                                        std::to_string(descriptor.size));
}

std::string ImageFiles::read_manifest(const std::string& relative,
                                      const Descriptor& descriptor) const {
  if (descriptor.size > kMaxManifestBytes) {
    throw Error(ErrorKind::limit, "manifest " + descriptor.digest.str() + " in " + path() + " is " +
                                      human_bytes(descriptor.size) + " long; the limit is " +
                                      human_bytes(kMaxManifestBytes));
  }
  if (const auto size = size_of(relative)) require_size(relative, *size, descriptor);
  std::string bytes = read(relative, kMaxManifestBytes);
  const Digest actual = Digest::of(descriptor.digest.algorithm(), bytes);
  if (actual != descriptor.digest) {
    throw Error(ErrorKind::integrity,
                path_of(relative) + " is damaged: its content has the digest " + actual.str());
  }
  return bytes;
}

}  // namespace tug
