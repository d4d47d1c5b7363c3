#include "oci/convert.h"

#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug {
namespace {

using test::check_error;

std::string digest_of(char c) { return "sha256:" + std::string(64, c); }

std::string oci(std::string_view type, char digit, std::string_view more = "") {
  return R"({"mediaType":")" + std::string(type) + R"(","digest":")" + digest_of(digit) +
         R"(","size":7)" + std::string(more) + "}";
}
std::string docker(std::string_view type, char digit, std::string_view more = "") {
  return R"({"mediaType":")" + std::string(type) + R"(","size":7,"digest":")" + digest_of(digit) +
         "\"" + std::string(more) + "}";
}
std::string manifest(std::string_view type, const std::string& config, const std::string& layers,
                     std::string_view more = "") {
  return R"({"schemaVersion":2,"mediaType":")" + std::string(type) + R"(","config":)" + config +
         R"(,"layers":[)" + layers + "]" + std::string(more) + "}";
}
std::string index(std::string_view type, const std::string& children, std::string_view more = "") {
  return R"({"schemaVersion":2,"mediaType":")" + std::string(type) + R"(","manifests":[)" +
         children + "]" + std::string(more) + "}";
}

// The types that stand for each other, and how a layer of them is spelled in an error.
struct Pair {
  std::string_view oci;
  std::string_view docker;
};
constexpr Pair kPairs[]{
    {media_type::kOciLayer, media_type::kDockerLayer},
    {media_type::kOciLayerGzip, media_type::kDockerLayerGzip},
    {media_type::kOciNondistributableLayer, media_type::kDockerForeignLayer},
    {media_type::kOciNondistributableLayerGzip, media_type::kDockerForeignLayerGzip}};

TEST_CASE("an OCI image becomes a Docker image, as containers/image writes it") {
  for (const Pair& pair : kPairs) {
    const std::string urls = R"(,"urls":["https://x.example/?a=1\u0026b=2"])";
    const Manifest image = Manifest::parse(manifest(
        media_type::kOciManifest, oci(media_type::kOciConfig, 'c'),
        oci(pair.oci, '1', urls + R"(,"annotations":{"k":"v"})") + "," + oci(pair.oci, '2')));
    const ConvertedImage converted = convert_image(image, ManifestFormat::docker);
    CHECK(converted.manifest.bytes() ==
          manifest(media_type::kDockerManifest, docker(media_type::kDockerConfig, 'c'),
                   docker(pair.docker, '1', urls) + "," + docker(pair.docker, '2')));
    CHECK(converted.manifest.media_type() == media_type::kDockerManifest);
    CHECK_FALSE(converted.config);
    CHECK(converted.lost == std::vector<std::string>{"annotations"});
    CHECK_FALSE(conversion_needs_config(image, ManifestFormat::docker));
  }
}

TEST_CASE("a Docker image becomes an OCI image, with a configuration of its own") {
  const std::string config = R"({"architecture":"amd64","os":"linux","config":{"Shell":["sh"]}})";
  for (const Pair& pair : kPairs) {
    const Manifest image = Manifest::parse(
        manifest(media_type::kDockerManifest, docker(media_type::kDockerConfig, 'c'),
                 docker(pair.docker, '1', R"(,"urls":["https://x.example"])")));
    CHECK(conversion_needs_config(image, ManifestFormat::oci));
    const ConvertedImage converted = convert_image(image, ManifestFormat::oci, config);
    const std::string oci_config =
        R"({"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"","diff_ids":null}})";
    CHECK(converted.config == oci_config);
    CHECK(converted.manifest.bytes() ==
          manifest(media_type::kOciManifest,
                   R"({"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
                       Digest::of(oci_config).str() + R"(","size":)" +
                       std::to_string(oci_config.size()) + "}",
                   oci(pair.oci, '1', R"(,"urls":["https://x.example"])")));
    CHECK(converted.lost == std::vector<std::string>{"config.Shell"});
  }
}

TEST_CASE("a zstd layer stands for one that is to be replaced") {
  const Manifest image =
      Manifest::parse(manifest(media_type::kOciManifest, oci(media_type::kOciConfig, 'c'),
                               oci(media_type::kOciLayerZstd, '1') + "," +
                                   oci(media_type::kOciNondistributableLayerZstd, '2')));
  const Manifest converted = convert_image(image, ManifestFormat::docker).manifest;
  CHECK(converted.layers()[0].media_type == media_type::kDockerLayer);
  CHECK(converted.layers()[1].media_type == media_type::kDockerForeignLayer);
}

TEST_CASE("types that the other family has already stay") {
  const Manifest image =
      Manifest::parse(manifest(media_type::kOciManifest, oci(media_type::kDockerConfig, 'c'),
                               oci(media_type::kDockerLayerGzip, '1')));
  const Manifest converted = convert_image(image, ManifestFormat::docker).manifest;
  CHECK(converted.layers()[0].media_type == media_type::kDockerLayerGzip);
  CHECK(converted.config().media_type == media_type::kDockerConfig);
}

TEST_CASE("what is no image of a container is not converted") {
  const auto refuse = [](const std::string& text, ManifestFormat format, const std::string& why) {
    check_error(ErrorKind::usage, why,
                [&] { (void)convert_image(Manifest::parse(text), format, "{}"); });
  };
  refuse(
      manifest(media_type::kOciManifest, oci("application/vnd.cncf.helm.config.v1+json", 'c'), ""),
      ManifestFormat::docker, "an artifact of type application/vnd.cncf.helm.config.v1+json");
  refuse(manifest(media_type::kOciManifest, oci(media_type::kOciConfig, 'c'), "",
                  R"(,"artifactType":"application/x.sbom")"),
         ManifestFormat::docker, "application/x.sbom");
  refuse(manifest(media_type::kOciManifest, oci(media_type::kOciConfig, 'c'),
                  oci("application/vnd.in-toto+json", '1')),
         ManifestFormat::docker, "a layer of type application/vnd.in-toto+json");
  refuse(manifest(media_type::kDockerManifest, docker("application/vnd.docker.plugin.v1+json", 'c'),
                  ""),
         ManifestFormat::oci, "application/vnd.docker.plugin.v1+json");
}

TEST_CASE("an index becomes a list, and a list an index") {
  const std::string platform =
      R"(,"platform":{"architecture":"arm64","os":"linux","os.version":"10","os.features":["f"],"variant":"v8")";
  const Index found = Index::parse(index(
      media_type::kOciIndex,
      oci(media_type::kOciManifest, '1', R"(,"annotations":{"a":"b"})" + platform + R"(,"x":1})") +
          "," + oci(media_type::kOciManifest, '2'),
      R"(,"annotations":{"a":"b"})"));
  const ConvertedIndex list =
      convert_index(found, ManifestFormat::docker, {{}, Platform{"linux", "riscv64", "", "", {}}});
  CHECK(list.index.bytes() ==
        index(media_type::kDockerManifestList,
              docker(media_type::kOciManifest, '1', platform + "}") + "," +
                  docker(media_type::kOciManifest, '2',
                         R"(,"platform":{"architecture":"riscv64","os":"linux"})")));
  CHECK(list.lost == std::vector<std::string>{"annotations"});
  const ConvertedIndex back = convert_index(list.index, ManifestFormat::oci, {{}, {}});
  CHECK(back.index.bytes() ==
        index(media_type::kOciIndex,
              oci(media_type::kOciManifest, '1', platform + "}") + "," +
                  oci(media_type::kOciManifest, '2',
                      R"(,"platform":{"architecture":"riscv64","os":"linux"})")));
  CHECK(back.lost.empty());
  check_error(ErrorKind::usage, "names no platform for " + digest_of('2'), [&] {
    (void)convert_index(found, ManifestFormat::docker, {{}, {}});
  });
}

}  // namespace
}  // namespace tug
