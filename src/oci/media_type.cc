#include "base/strings.h"
#include "tug/descriptor.h"

#include <algorithm>
#include <iterator>

namespace tug::media_type {

bool is_manifest(std::string_view type) noexcept {
  return type == kOciManifest || type == kDockerManifest;
}

bool is_index(std::string_view type) noexcept {
  return type == kOciIndex || type == kDockerManifestList;
}

bool is_schema1(std::string_view type) noexcept {
  return type == kDockerSchema1 || type == kDockerSchema1Signed;
}

bool is_docker(std::string_view type) noexcept {
  return type.starts_with("application/vnd.docker.");
}

bool is_layer(std::string_view type) noexcept {
  constexpr std::string_view kLayers[]{kOciLayer,
                                       kOciLayerGzip,
                                       kOciLayerZstd,
                                       kOciNondistributableLayer,
                                       kDockerLayer,
                                       kDockerLayerGzip,
                                       kDockerForeignLayer,
                                       kOciNondistributableLayerGzip,
                                       kDockerForeignLayerGzip,
                                       kOciNondistributableLayerZstd};
  return std::find(std::begin(kLayers), std::end(kLayers), type) != std::end(kLayers);
}

bool is_nondistributable(std::string_view type) noexcept {
  return type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar") ||
         type.starts_with(kDockerForeignLayer);
}

std::string without_parameters(std::string_view type) {
  return to_lower(trim(type.substr(0, type.find(';'))));
}

}  // namespace tug::media_type
