// Descriptor and Platform: the OCI nouns for "a blob or manifest with this type, digest and size"
// (image spec, descriptor.md) and "what it runs on" (image-index.md). Values.
#ifndef TUG_DESCRIPTOR_H_
#define TUG_DESCRIPTOR_H_

#include "tug/digest.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// Media types that tug acts on. Every other type is carried unchanged, as text.
namespace media_type {
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kOciNondistributableLayer =
    "application/vnd.oci.image.layer.nondistributable.v1.tar";
inline constexpr std::string_view kOciNondistributableLayerGzip =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
inline constexpr std::string_view kOciNondistributableLayerZstd =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerManifestList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerForeignLayer =
    "application/vnd.docker.image.rootfs.foreign.diff.tar";
inline constexpr std::string_view kDockerForeignLayerGzip =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
inline constexpr std::string_view kDockerSchema1 =
    "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view kDockerSchema1Signed =
    "application/vnd.docker.distribution.manifest.v1+prettyjws";

bool is_manifest(std::string_view type) noexcept;  // OCI manifest or Docker schema 2
bool is_index(std::string_view type) noexcept;     // OCI index or Docker manifest list
bool is_schema1(std::string_view type) noexcept;
bool is_docker(std::string_view type) noexcept;  // any of Docker's own types
// A type for the tar of a container's layer, plain or compressed, of either family.
bool is_layer(std::string_view type) noexcept;
// Docker "foreign" and OCI "nondistributable" layers: the registry need not hold them.
bool is_nondistributable(std::string_view type) noexcept;
// "Application/JSON; charset=utf-8" → "application/json": what two media types are compared by.
std::string without_parameters(std::string_view type);
}  // namespace media_type

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;  // "" when absent
  std::string os_version;
  std::vector<std::string> os_features;

  // This machine, in Go's names: {"linux", "amd64"}, {"linux", "arm", "v7"}, …
  static Platform host();
  // "os/arch[/variant]". Throws Error(usage).
  static Platform parse(std::string_view text);
  // The variants of `architecture` that run where this platform is wanted, best first, as
  // containers/image orders them: arm v7 → v7, v6, v5, none; arm none → none, v8, v7, v6, v5; arm64
  // none → none, v8; amd64 v2 → v2, v1, none.
  [[nodiscard]] std::vector<std::string> compatible_variants() const;
  [[nodiscard]] std::string str() const;  // "linux/arm64/v8"
  friend bool operator==(const Platform&, const Platform&) = default;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;  // bytes
  std::vector<std::string> urls{};
  std::map<std::string, std::string> annotations{};
  std::string artifact_type{};         // "" when absent
  std::optional<Platform> platform{};  // in an index only

  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

}  // namespace tug

#endif  // TUG_DESCRIPTOR_H_
