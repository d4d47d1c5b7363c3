#include "oci/convert.h"

#include "base/strings.h"
#include "oci/image_config.h"
#include "oci/json.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tug {
namespace {

// What old versions of docker gave as the type of a configuration.
constexpr std::string_view kOctetStream = "application/octet-stream";

struct LayerTypes {
  std::string_view oci;
  std::string_view docker;
};
// The first of equals is what a type is converted to.
constexpr std::array<LayerTypes, 6> kLayerTypes{{
    {media_type::kOciLayer, media_type::kDockerLayer},
    {media_type::kOciLayerGzip, media_type::kDockerLayerGzip},
    {media_type::kOciNondistributableLayer, media_type::kDockerForeignLayer},
    {media_type::kOciNondistributableLayerGzip, media_type::kDockerForeignLayerGzip},
    {media_type::kOciLayerZstd, media_type::kDockerLayer},
    {media_type::kOciNondistributableLayerZstd, media_type::kDockerForeignLayer},
}};

std::string_view name_of(ManifestFormat format) noexcept {
  return format == ManifestFormat::oci ? "OCI" : "Docker's schema 2";
}

// A layer that has the wanted family's type in a manifest of the other one keeps it: some builders
// mix them.
std::string layer_type(const Manifest& image, const std::string& type, ManifestFormat format) {
  for (const LayerTypes& types : kLayerTypes) {
    if (type == types.oci || type == types.docker)
      return std::string(format == ManifestFormat::oci ? types.oci : types.docker);
  }
  throw Error(ErrorKind::usage,
              fmt::format("the manifest {} cannot be converted to {}: it has a layer of type {}",
                          image.digest().str(), name_of(format), printable(type, 100)))
      .set_hint("leave it out with a list of platforms (--multi-arch), or do not convert");
}

void require_image(const Manifest& image, ManifestFormat format) {
  const std::string& config = image.config().media_type;
  const bool is_docker = format_of(image.media_type()) == ManifestFormat::docker;
  if ((image.is_image() && image.artifact_type().empty()) || (is_docker && config == kOctetStream))
    return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the manifest {} cannot be converted to {}: it is an artifact of type {}, "
                  "not the image of a container",
                  image.digest().str(), name_of(format),
                  printable(image.artifact_type().empty() ? config : image.artifact_type(), 100)));
}

// In the order of the members of each family's Go structure.
Json descriptor_json(const Descriptor& descriptor, std::string_view type, ManifestFormat format) {
  Json json = Json::object();
  json.set("mediaType", type);
  if (format == ManifestFormat::docker) json.set("size", descriptor.size);
  json.set("digest", descriptor.digest.str());
  if (format == ManifestFormat::oci) json.set("size", descriptor.size);
  if (!descriptor.urls.empty()) {
    Json::Array urls(descriptor.urls.begin(), descriptor.urls.end());
    json.set("urls", std::move(urls));
  }
  return json;
}

Json platform_json(const Platform& platform) {
  Json json = Json::object({{"architecture", platform.architecture}, {"os", platform.os}});
  if (!platform.os_version.empty()) json.set("os.version", platform.os_version);
  if (!platform.os_features.empty()) {
    Json::Array features(platform.os_features.begin(), platform.os_features.end());
    json.set("os.features", std::move(features));
  }
  if (!platform.variant.empty()) json.set("variant", platform.variant);
  return json;
}

Json document_of(std::string_view type) {
  return Json::object({{"schemaVersion", 2}, {"mediaType", type}});
}

std::string dump(const Json& document) { return document.dump({.escape_html = true}); }

template <typename Document>
std::vector<std::string> lost_from(const Document& document,
                                   const std::vector<Descriptor>& descriptors) {
  std::vector<std::string> lost;
  const Json json = Json::parse(document.bytes(), {.max_bytes = kMaxManifestBytes});
  const Json* annotations = json.find("annotations");
  const bool has_annotations =
      (annotations != nullptr && annotations->as_object() != nullptr &&
       !annotations->as_object()->empty()) ||
      std::any_of(descriptors.begin(), descriptors.end(),
                  [](const Descriptor& d) { return !d.annotations.empty(); });
  if (has_annotations) lost.emplace_back("annotations");
  if (document.subject()) lost.emplace_back("the subject");
  return lost;
}

ConvertedImage image_to_docker(const Manifest& image) {
  Json document = document_of(media_type::kDockerManifest);
  document.set("config",
               descriptor_json(image.config(), media_type::kDockerConfig, ManifestFormat::docker));
  Json::Array layers;
  for (const Descriptor& layer : image.layers()) {
    layers.push_back(descriptor_json(layer,
                                     layer_type(image, layer.media_type, ManifestFormat::docker),
                                     ManifestFormat::docker));
  }
  document.set("layers", std::move(layers));
  std::vector<Descriptor> described = image.layers();
  described.push_back(image.config());
  return {Manifest::parse(dump(document), media_type::kDockerManifest), std::nullopt,
          lost_from(image, described)};
}

ConvertedImage image_to_oci(const Manifest& image, std::string_view config_bytes) {
  OciConfig config = oci_config(config_bytes);
  const Descriptor described{std::string(media_type::kOciConfig), Digest::of(config.bytes),
                             config.bytes.size()};
  Json document = document_of(media_type::kOciManifest);
  document.set("config", descriptor_json(described, described.media_type, ManifestFormat::oci));
  Json::Array layers;
  for (const Descriptor& layer : image.layers()) {
    layers.push_back(descriptor_json(
        layer, layer_type(image, layer.media_type, ManifestFormat::oci), ManifestFormat::oci));
  }
  document.set("layers", std::move(layers));
  std::vector<std::string> lost;
  for (const std::string& member : config.lost) lost.push_back("config." + member);
  return {Manifest::parse(dump(document), media_type::kOciManifest), std::move(config.bytes),
          std::move(lost)};
}

}  // namespace

ManifestFormat format_of(std::string_view manifest_type) noexcept {
  return media_type::is_docker(manifest_type) ? ManifestFormat::docker : ManifestFormat::oci;
}

bool conversion_needs_config(const Manifest& image, ManifestFormat format) noexcept {
  return format == ManifestFormat::oci && format_of(image.media_type()) == ManifestFormat::docker;
}

ConvertedImage convert_image(const Manifest& image, ManifestFormat format,
                             std::string_view config) {
  require_image(image, format);
  return format == ManifestFormat::oci ? image_to_oci(image, config) : image_to_docker(image);
}

ConvertedIndex convert_index(const Index& index, ManifestFormat format,
                             const std::vector<std::optional<Platform>>& platforms) {
  const std::string_view type =
      format == ManifestFormat::oci ? media_type::kOciIndex : media_type::kDockerManifestList;
  Json document = document_of(type);
  Json::Array children;
  for (std::size_t i = 0; i < index.manifests().size(); ++i) {
    const Descriptor& child = index.manifests()[i];
    const std::optional<Platform>& platform = child.platform ? child.platform : platforms.at(i);
    Json json = descriptor_json(child, child.media_type, format);
    if (platform) {
      json.set("platform", platform_json(*platform));
    } else if (format == ManifestFormat::docker) {
      throw Error(
          ErrorKind::usage,
          fmt::format("the index {} cannot be converted to Docker's manifest list: it names "
                      "no platform for {}",
                      index.digest().str(), child.digest.str()));
    }
    children.push_back(std::move(json));
  }
  document.set("manifests", std::move(children));
  return {Index::parse(dump(document), type), format == ManifestFormat::docker
                                                  ? lost_from(index, index.manifests())
                                                  : std::vector<std::string>{}};
}

}  // namespace tug
