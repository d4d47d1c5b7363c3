// Manifest and Index: the **raw bytes** and a parsed view of them.
//
// The digest is always that of the raw bytes, and the raw bytes are what is sent: nothing here
// re-serialises. A change (compressed layers) makes new bytes through with_layers(), which keeps
// every member it does not know. Values. Limits: 4 MiB of bytes, JSON depth 64, 16,384 layers or
// children; duplicate keys are refused, because two readers could see two different images
// (registry-protocol.md 6.1).
#ifndef TUG_MANIFEST_H_
#define TUG_MANIFEST_H_

#include "tug/descriptor.h"
#include "tug/digest.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tug {

// The two families of media types that an image can be in.
enum class ManifestFormat { oci, docker };

inline constexpr std::size_t kMaxManifestBytes = std::size_t{4} * 1024 * 1024;

class ManifestReader;  // src/oci/manifest.cc

// An OCI image manifest, a Docker schema 2 manifest, or an artifact in the form of either.
class Manifest {
 public:
  // `media_type` is what the place it was read from says ("" when it says nothing: then the
  // mediaType member or the structure decides). Throws Error(integrity): not JSON, not a manifest,
  // `manifests` beside `layers`, bad descriptor, mediaType member that disagrees with `media_type`,
  // over a limit.
  static Manifest parse(std::string bytes, std::string_view media_type = {});

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::string& media_type() const noexcept { return media_type_; }
  [[nodiscard]] const Digest& digest() const noexcept { return digest_; }
  [[nodiscard]] Descriptor descriptor() const;
  [[nodiscard]] const Descriptor& config() const noexcept { return config_; }
  [[nodiscard]] const std::vector<Descriptor>& layers() const noexcept { return layers_; }
  [[nodiscard]] const std::optional<Descriptor>& subject() const noexcept { return subject_; }
  [[nodiscard]] const std::string& artifact_type() const noexcept { return artifact_type_; }
  // The config is that of a container image (OCI or Docker), as opposed to an artifact's.
  [[nodiscard]] bool is_image() const noexcept;

  // New bytes in which only digest, size, media type and annotations of the layers differ, one
  // descriptor of `layers` per layer, in order; all other members and their order stay
  // (containers-storage-format.md 6.2). An OCI manifest without mediaType gets one, which ECR
  // insists on. The same layers: the same bytes. Throws Error(usage) for a type that a Docker
  // manifest cannot hold (zstd), Error(integrity) for another number of layers.
  [[nodiscard]] Manifest with_layers(const std::vector<Descriptor>& layers) const;

 private:
  friend class ManifestReader;
  Manifest(std::string bytes, Digest digest, Descriptor config)
      : bytes_(std::move(bytes)), digest_(std::move(digest)), config_(std::move(config)) {}
  std::string bytes_;
  std::string media_type_;
  Digest digest_;
  Descriptor config_;
  std::vector<Descriptor> layers_;
  std::optional<Descriptor> subject_;
  std::string artifact_type_;
};

// An OCI image index or a Docker manifest list.
class Index {
 public:
  static Index parse(std::string bytes, std::string_view media_type = {});  // as Manifest::parse

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::string& media_type() const noexcept { return media_type_; }
  [[nodiscard]] const Digest& digest() const noexcept { return digest_; }
  [[nodiscard]] Descriptor descriptor() const;
  [[nodiscard]] const std::vector<Descriptor>& manifests() const noexcept { return manifests_; }
  [[nodiscard]] const std::optional<Descriptor>& subject() const noexcept { return subject_; }
  [[nodiscard]] const std::string& artifact_type() const noexcept { return artifact_type_; }

  // The instance that containers/image would choose for `wanted`: exact variant first, then
  // compatible older ones (arm v7 → v6 → v5; arm64 without variant = v8), first in the list among
  // equals. nullptr when there is none.
  [[nodiscard]] const Descriptor* choose(const Platform& wanted) const;

  // New bytes in which digest, size and media type of the children differ, one descriptor per
  // child, in order; their platforms and annotations stay as they are. The same children: the same
  // bytes.
  [[nodiscard]] Index with_manifests(const std::vector<Descriptor>& manifests) const;
  // New bytes with only those children whose digest `keep` answers true for, in order. All of them:
  // the same bytes.
  [[nodiscard]] Index with_only(const std::function<bool(const Digest&)>& keep) const;

 private:
  friend class ManifestReader;
  Index(std::string bytes, Digest digest) : bytes_(std::move(bytes)), digest_(std::move(digest)) {}
  std::string bytes_;
  std::string media_type_;
  Digest digest_;
  std::vector<Descriptor> manifests_;
  std::optional<Descriptor> subject_;
  std::string artifact_type_;
};

using ManifestOrIndex = std::variant<Manifest, Index>;
// Decides by `media_type`, else by the mediaType member, else by structure. Schema 1 is
// Error(integrity) that says so.
ManifestOrIndex parse_manifest_or_index(std::string bytes, std::string_view media_type = {});

}  // namespace tug

#endif  // TUG_MANIFEST_H_
