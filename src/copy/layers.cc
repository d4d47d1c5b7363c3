#include "copy/layers.h"

#include "base/strings.h"
#include "oci/image_config.h"
#include "oci/json.h"

#include <tug/error.h>

#include <array>
#include <utility>

namespace tug {
namespace {

constexpr std::string_view kGzipSuffix = "+gzip";
constexpr std::string_view kZstdSuffix = "+zstd";
constexpr std::string_view kDockerGzipSuffix = ".gzip";

// They describe the compressed form, and are wrong for another one.
constexpr std::array<std::string_view, 5> kCompressionAnnotations{
    "io.github.containers.zstd-chunked.manifest-checksum",
    "io.github.containers.zstd-chunked.manifest-position",
    "io.github.containers.zstd-chunked.tarsplit-position",
    "io.github.containers.zstd-chunked.tarsplit-checksum",
    "containerd.io/snapshot/stargz/toc.digest"};

std::string_view without_compression(std::string_view type) {
  for (const std::string_view suffix : {kGzipSuffix, kZstdSuffix, kDockerGzipSuffix}) {
    if (type.ends_with(suffix)) return type.substr(0, type.size() - suffix.size());
  }
  return type;
}

}  // namespace

CompressionSpec layer_compression(const CopyOptions& options) {
  CompressionSpec spec{options.compression.value_or(LayerCompression::gzip),
                       options.compression_level};
  spec.validate();
  return spec;
}

std::string compressed_media_type(std::string_view original, LayerCompression format) {
  const std::string_view plain = without_compression(original);
  if (!media_type::is_docker(plain))
    return std::string(plain) +
           std::string(format == LayerCompression::gzip ? kGzipSuffix : kZstdSuffix);
  if (format == LayerCompression::zstd) {
    throw Error(ErrorKind::usage, "zstd layers cannot stand in a Docker schema 2 manifest")
        .set_hint("convert the image with --format oci, or use --dest-compress-format gzip");
  }
  return std::string(plain) + std::string(kDockerGzipSuffix);
}

std::string plain_media_type(std::string_view original) {
  return std::string(without_compression(original));
}

std::optional<LayerCompression> compression_of(std::string_view media_type) noexcept {
  if (media_type.ends_with(kGzipSuffix) || media_type.ends_with(kDockerGzipSuffix))
    return LayerCompression::gzip;
  if (media_type.ends_with(kZstdSuffix)) return LayerCompression::zstd;
  return std::nullopt;
}

Descriptor replacement(const Descriptor& original, const Descriptor& made) {
  Descriptor result = original;
  if (original.digest == made.digest) return result;
  result.digest = made.digest;
  result.size = made.size;
  const auto format = compression_of(made.media_type);
  result.media_type = format ? compressed_media_type(original.media_type, *format)
                             : plain_media_type(original.media_type);
  for (const std::string_view name : kCompressionAnnotations)
    result.annotations.erase(std::string(name));
  return result;
}

std::vector<RegistryReference> annotated_sources(const Descriptor& descriptor,
                                                 std::string_view registry) {
  const auto found =
      descriptor.annotations.find("containerd.io/distribution.source." + std::string(registry));
  std::vector<RegistryReference> sources;
  if (found == descriptor.annotations.end()) return sources;
  for (const std::string_view name : split(found->second, ',')) {
    if (sources.size() >= 5 || !is_repository_name(trim(name))) continue;
    try {
      sources.push_back(RegistryReference::parse_repository(std::string(registry) + "/" +
                                                            std::string(trim(name))));
    } catch (const Error&) {  // too long together: there is no such repository
    }
  }
  return sources;
}

std::vector<Digest> diff_ids(std::string_view config_bytes) {
  try {
    return diff_ids_of(Json::parse(config_bytes));
  } catch (const Error&) {
    return {};  // whatever it is, it is no image configuration that helps
  }
}

std::vector<DiffIdPair> pair_diff_ids(const Manifest& manifest, std::string_view config_bytes) {
  const std::vector<Digest> ids = diff_ids(config_bytes);
  if (ids.size() != manifest.layers().size()) return {};
  std::vector<DiffIdPair> pairs;
  for (std::size_t i = 0; i < ids.size(); ++i) pairs.push_back({ids[i], manifest.layers()[i]});
  return pairs;
}

}  // namespace tug
