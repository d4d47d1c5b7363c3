#include "copy/layers.h"

#include <tug/error.h>

#include <doctest/doctest.h>

namespace tug {
namespace {

TEST_CASE("a compressed layer keeps the kind of its manifest") {
  struct Row {
    std::string_view original;
    LayerCompression format;
    std::string_view expected;
  };
  const Row rows[] = {
      {media_type::kOciLayer, LayerCompression::gzip, media_type::kOciLayerGzip},
      {media_type::kOciLayer, LayerCompression::zstd, media_type::kOciLayerZstd},
      {media_type::kOciLayerZstd, LayerCompression::gzip, media_type::kOciLayerGzip},
      {media_type::kOciLayerGzip, LayerCompression::gzip, media_type::kOciLayerGzip},
      {media_type::kDockerLayer, LayerCompression::gzip, media_type::kDockerLayerGzip},
      {media_type::kDockerLayerGzip, LayerCompression::gzip, media_type::kDockerLayerGzip},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar", LayerCompression::gzip,
       "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.original);
    CHECK(compressed_media_type(row.original, row.format) == row.expected);
  }
  CHECK_THROWS_WITH_AS(compressed_media_type(media_type::kDockerLayerGzip, LayerCompression::zstd),
                       doctest::Contains("Docker schema 2"), Error);
}

TEST_CASE("a replaced layer loses what was true of the old compression only") {
  const Descriptor original{
      .media_type = std::string(media_type::kOciLayerZstd),
      .digest = Digest::of("old"),
      .size = 3,
      .annotations = {{"io.github.containers.zstd-chunked.manifest-checksum", "x"},
                      {"org.example.keep", "y"}}};
  const Descriptor made{
      .media_type = std::string(media_type::kOciLayerGzip), .digest = Digest::of("new"), .size = 7};
  const Descriptor result = replacement(original, made);
  CHECK(result.media_type == media_type::kOciLayerGzip);
  CHECK(result.digest == made.digest);
  CHECK(result.size == 7);
  CHECK(result.annotations == std::map<std::string, std::string>{{"org.example.keep", "y"}});
  CHECK(replacement(original, original) == original);
}

TEST_CASE("diff IDs come from an image configuration, and from nothing else") {
  const std::string id = Digest::of("tar").str();
  CHECK(diff_ids(R"({"rootfs":{"diff_ids":[")" + id + R"("]}})") ==
        std::vector<Digest>{Digest::of("tar")});
  for (const char* text : {"", "[]", "{}", R"({"rootfs":{"diff_ids":["nonsense"]}})",
                           R"({"rootfs":{"diff_ids":[1]}})", "\xff"}) {
    CAPTURE(text);
    CHECK(diff_ids(text).empty());
  }
}

TEST_CASE("sources are taken from the annotation of that registry alone") {
  Descriptor descriptor{
      .media_type = "x",
      .digest = Digest::of("x"),
      .annotations = {{"containerd.io/distribution.source.reg:5000", "a/b, c,UPPER,../x"}}};
  const auto sources = annotated_sources(descriptor, "reg:5000");
  REQUIRE(sources.size() == 2);
  CHECK(sources[0].name() == "reg:5000/a/b");
  CHECK(sources[1].repository() == "c");
  CHECK(annotated_sources(descriptor, "other:5000").empty());
  // A name that is too long with the registry's is nobody's, and no reason not to push.
  descriptor.annotations["containerd.io/distribution.source.reg:5000"] =
      std::string(255, 'a') + ",c";
  CHECK(annotated_sources(descriptor, "reg:5000").size() == 1);
}

}  // namespace
}  // namespace tug
