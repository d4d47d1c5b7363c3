#include "tug/descriptor.h"

#include <doctest/doctest.h>

namespace tug::media_type {
namespace {

TEST_CASE("media types are sorted into what tug does with them") {
  struct Case {
    std::string_view type;
    bool manifest, index, schema1, docker, nondistributable;
  };
  const Case cases[] = {
      {kOciManifest, true, false, false, false, false},
      {kDockerManifest, true, false, false, true, false},
      {kOciIndex, false, true, false, false, false},
      {kDockerManifestList, false, true, false, true, false},
      {kDockerSchema1, false, false, true, true, false},
      {kDockerSchema1Signed, false, false, true, true, false},
      {kOciConfig, false, false, false, false, false},
      {kOciLayerZstd, false, false, false, false, false},
      {kDockerLayerGzip, false, false, false, true, false},
      {kDockerForeignLayer, false, false, false, true, true},
      {kDockerForeignLayerGzip, false, false, false, true, true},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar", false, false, false, false, true},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", false, false, false, false,
       true},
      {"application/vnd.oci.empty.v1+json", false, false, false, false, false},
      {"", false, false, false, false, false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.type);
    CHECK(is_manifest(c.type) == c.manifest);
    CHECK(is_index(c.type) == c.index);
    CHECK(is_schema1(c.type) == c.schema1);
    CHECK(is_docker(c.type) == c.docker);
    CHECK(is_nondistributable(c.type) == c.nondistributable);
  }
}

TEST_CASE("media types are compared without parameters, case and white space") {
  CHECK(without_parameters("application/json") == "application/json");
  CHECK(without_parameters(" Application/JSON ; charset=utf-8") == "application/json");
  CHECK(without_parameters(";") == "");
  CHECK(without_parameters("") == "");
}

}  // namespace
}  // namespace tug::media_type
