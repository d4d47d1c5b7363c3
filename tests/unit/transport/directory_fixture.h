// An image in memory and destinations that are directories: what their tests share.
#ifndef TUG_TESTS_UNIT_TRANSPORT_DIRECTORY_FIXTURE_H_
#define TUG_TESTS_UNIT_TRANSPORT_DIRECTORY_FIXTURE_H_

#include "base/hash.h"
#include "stream/file_source.h"
#include "support/memory_images.h"

#include <tug/manifest.h>
#include <tug/transport.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::test {

inline const std::stop_token kNoStop;
inline const SentCallback kNobody = [](std::uint64_t) {};

// A blob that yields `bytes`, whatever it is called.
inline Blob blob_called(const Descriptor& descriptor, const std::string& bytes) {
  return {.descriptor = descriptor,
          .open_size = bytes.size(),
          .open = [bytes](std::uint64_t offset) { return memory_source(bytes, offset); }};
}
inline Descriptor descriptor_of(const std::string& bytes, std::string_view type) {
  return {.media_type = std::string(type), .digest = Digest::of(bytes), .size = bytes.size()};
}
inline Blob blob_of(const std::string& bytes, std::string_view type = media_type::kOciLayerGzip) {
  return blob_called(descriptor_of(bytes, type), bytes);
}

// A blob whose digest is known when it was read.
class MemoryStream : public DigestingSource {
 public:
  explicit MemoryStream(const std::string& bytes)
      : result_(descriptor_of(bytes, "")), inner_(memory_source(bytes)) {}
  std::size_t read(std::span<std::byte> buffer) override { return inner_->read(buffer); }
  [[nodiscard]] Descriptor result() const override { return result_; }

 private:
  const Descriptor result_;
  const std::unique_ptr<ByteSource> inner_;
};
inline StreamedBlob stream_of(const std::string& bytes) {
  return {.media_type = std::string(media_type::kOciLayerGzip),
          .open = [bytes](std::uint64_t) { return std::make_unique<MemoryStream>(bytes); }};
}

// Puts the image that a source has as a copy would: blobs, children, the top; not finished.
inline void put_image(ImageDestination& destination, MemorySource& source, const std::string& text,
                      const std::string& type = std::string(media_type::kOciManifest)) {
  const ManifestOrIndex document = parse_manifest_or_index(text, type);
  if (const auto* index = std::get_if<Index>(&document)) {
    for (const Descriptor& child : index->manifests()) {
      put_image(destination, source, source.manifest(child, kNoStop).bytes, child.media_type);
    }
  } else {
    const auto& manifest = std::get<Manifest>(document);
    for (const Blob& layer : source.layers(manifest)) destination.put_blob(layer, kNobody, kNoStop);
    destination.put_blob(source.blob(manifest.config()), kNobody, kNoStop);
  }
  destination.put_manifest(descriptor_of(text, type), text, destination.tag(), kNoStop);
}

// Paths of all files beneath a directory.
inline std::set<std::string> files_in(const std::string& path) {
  std::set<std::string> files;
  for (const auto& each : std::filesystem::recursive_directory_iterator(path)) {
    if (!each.is_directory())
      files.insert(std::filesystem::relative(each.path(), path).generic_string());
  }
  return files;
}

}  // namespace tug::test

#endif  // TUG_TESTS_UNIT_TRANSPORT_DIRECTORY_FIXTURE_H_
