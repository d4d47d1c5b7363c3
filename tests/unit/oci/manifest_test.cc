#include "tug/manifest.h"

#include "support/error_of.h"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tug {
namespace {

using namespace std::string_literals;
using test::check_error;

std::string digest_of(char c) { return "sha256:" + std::string(64, c); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string descriptor(std::string_view type, char digit, std::string_view more = "") {
  return R"({"mediaType":")" + std::string(type) + R"(","digest":")" + digest_of(digit) +
         R"(","size":7)" + std::string(more) + "}";
}

std::string oci_manifest() {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
         descriptor(media_type::kOciConfig, 'c') + R"(,"layers":[)" +
         descriptor(media_type::kOciLayer, '1') + "," +
         descriptor(media_type::kOciLayerGzip, '2',
                    R"(,"annotations":{"z":"1","a":"2","toc":"3"},"x-vendor":[1.50])") +
         R"(],"annotations":{"k":"v"}})";
}

std::string docker_manifest() {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)" +
         descriptor(media_type::kDockerConfig, 'c') + R"(,"layers":[)" +
         descriptor(media_type::kDockerLayer, '1') + "]}";
}

std::string child(char digit, std::string_view platform,
                  std::string_view type = media_type::kOciManifest) {
  return descriptor(type, digit, platform.empty() ? "" : R"(,"platform":)" + std::string(platform));
}

std::string platform(std::string_view os, std::string_view architecture,
                     std::string_view variant = "") {
  return R"({"architecture":")" + std::string(architecture) + R"(","os":")" + std::string(os) +
         '"' + (variant.empty() ? "" : R"(,"variant":")" + std::string(variant) + '"') + "}";
}

std::string index_of(const std::string& children) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" +
         children + "]}";
}
std::string list_of(const std::string& children) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[)" +
         children + "]}";
}

TEST_CASE("an OCI manifest keeps its bytes and shows its parts") {
  const std::string text = " " + oci_manifest() + "\n";
  const Manifest manifest = Manifest::parse(text, media_type::kOciManifest);
  CHECK(manifest.bytes() == text);
  CHECK(manifest.digest() == Digest::of(text));
  CHECK(manifest.media_type() == media_type::kOciManifest);
  CHECK(manifest.descriptor() ==
        Descriptor{std::string(media_type::kOciManifest), Digest::of(text), text.size()});
  CHECK(manifest.config().digest.str() == digest_of('c'));
  REQUIRE(manifest.layers().size() == 2);
  CHECK(manifest.layers()[0].media_type == media_type::kOciLayer);
  CHECK(manifest.layers()[0].size == 7);
  CHECK(manifest.layers()[1].annotations.at("toc") == "3");
  CHECK(manifest.is_image());
  CHECK(!manifest.subject());
  CHECK(manifest.artifact_type() == "");
}

TEST_CASE("the media type comes from the place, the member, or the structure") {
  const std::string bare_oci =
      replaced(oci_manifest(), R"("mediaType":"application/vnd.oci.image.manifest.v1+json",)", "");
  const std::string bare_docker =
      replaced(docker_manifest(),
               R"("mediaType":"application/vnd.docker.distribution.manifest.v2+json",)", "");
  const std::string bare_index = replaced(
      index_of(child('1', "")), R"("mediaType":"application/vnd.oci.image.index.v1+json",)", "");
  const std::string versionless = replaced(oci_manifest(), R"("schemaVersion":2,)", "");
  const std::string bare_versionless = replaced(bare_oci, R"("schemaVersion":2,)", "");
  struct Case {
    std::string bytes;
    std::string_view given;
    std::string_view type;
  };
  const Case cases[] = {
      {oci_manifest(), "", media_type::kOciManifest},
      {oci_manifest(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
       media_type::kOciManifest},
      {oci_manifest(), "Application/Vnd.OCI.image.manifest.v1+JSON", media_type::kOciManifest},
      {oci_manifest(), "application/json", media_type::kOciManifest},
      {oci_manifest(), "text/plain; charset=utf-8", media_type::kOciManifest},
      {oci_manifest(), "application/octet-stream", media_type::kOciManifest},
      {docker_manifest(), "", media_type::kDockerManifest},
      {bare_oci, "", media_type::kOciManifest},
      {bare_oci, media_type::kOciManifest, media_type::kOciManifest},
      {bare_docker, "", media_type::kDockerManifest},
      {bare_docker, media_type::kDockerManifest, media_type::kDockerManifest},
      {bare_index, "", media_type::kOciIndex},
      {bare_index, "application/json", media_type::kOciIndex},
      {list_of(""), "", media_type::kDockerManifestList},
      {versionless, "", media_type::kOciManifest},
      {bare_versionless, media_type::kOciManifest, media_type::kOciManifest},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    CAPTURE(c.given);
    std::visit([&](const auto& value) { CHECK(value.media_type() == c.type); },
               parse_manifest_or_index(c.bytes, c.given));
  }
}

TEST_CASE("artifacts are manifests with any config type") {
  const std::string artifact =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.x",)"
      R"("config":)" +
      descriptor("application/vnd.oci.empty.v1+json", 'e', R"(,"data":"e30=")") +
      R"(,"layers":[],"subject":)" + descriptor(media_type::kOciManifest, 'a') + "}";
  const Manifest manifest = Manifest::parse(artifact);
  CHECK(!manifest.is_image());
  CHECK(manifest.artifact_type() == "application/vnd.x");
  REQUIRE(manifest.subject());
  CHECK(manifest.subject()->digest.str() == digest_of('a'));
  CHECK(manifest.layers().empty());

  const std::string helm =
      replaced(oci_manifest(), media_type::kOciConfig, "application/vnd.cncf.helm.config.v1+json");
  CHECK(!Manifest::parse(helm).is_image());
  CHECK(Manifest::parse(
            replaced(helm, R"("mediaType":"application/vnd.oci.image.manifest.v1+json",)", ""))
            .media_type() == media_type::kOciManifest);
}

TEST_CASE("null where Go's programs write it means nothing there") {
  const std::string text =
      R"({"schemaVersion":2,"config":)" +
      descriptor(media_type::kOciConfig, 'c',
                 R"(,"urls":null,"annotations":null,"platform":null)") +
      R"(,"layers":null,"annotations":null,"subject":null,"manifests":null,"mediaType":null})";
  const Manifest manifest = Manifest::parse(text);
  CHECK(manifest.layers().empty());
  CHECK(!manifest.config().platform);
  CHECK(manifest.with_layers({}).bytes() == text);
}

TEST_CASE("an index keeps its bytes and shows its children") {
  const std::string text = index_of(
      child(
          '1',
          R"({"architecture":"arm","os":"linux","variant":"v7","os.version":"1","os.features":["a","b"]})") +
      "," + child('2', "") + "," + child('3', platform("linux", "amd64"), media_type::kOciIndex));
  const Index index = Index::parse(text, media_type::kOciIndex);
  CHECK(index.bytes() == text);
  CHECK(index.digest() == Digest::of(text));
  CHECK(index.descriptor() ==
        Descriptor{std::string(media_type::kOciIndex), Digest::of(text), text.size()});
  REQUIRE(index.manifests().size() == 3);
  CHECK(index.manifests()[0].platform == Platform{"linux", "arm", "v7", "1", {"a", "b"}});
  CHECK(!index.manifests()[1].platform);
  CHECK(index.manifests()[2].media_type == media_type::kOciIndex);
  CHECK(Index::parse(index_of("")).manifests().empty());

  const Index referrers =
      Index::parse(replaced(index_of(""), R"("manifests")",
                            R"("artifactType":"a/b","subject":)" +
                                descriptor(media_type::kOciManifest, 'a') + R"(,"manifests")"));
  CHECK(referrers.artifact_type() == "a/b");
  CHECK(referrers.subject()->digest.str() == digest_of('a'));
}

TEST_CASE("manifest and index are not taken for each other") {
  check_error(ErrorKind::integrity, "this is an index",
              [] { return Manifest::parse(index_of("")); });
  check_error(ErrorKind::integrity, "this is the manifest of one image",
              [] { return Index::parse(oci_manifest()); });
  CHECK(std::holds_alternative<Manifest>(parse_manifest_or_index(oci_manifest())));
  CHECK(std::holds_alternative<Index>(parse_manifest_or_index(index_of(""))));
}

TEST_CASE("schema 1 is refused by its name") {
  const std::string schema1 =
      R"({"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]})";
  for (const std::string_view given :
       {""s, "application/json"s, std::string(media_type::kDockerSchema1),
        std::string(media_type::kDockerSchema1Signed)}) {
    CAPTURE(given);
    check_error(ErrorKind::integrity, "Docker schema 1 images are not supported",
                [&] { return parse_manifest_or_index(schema1, given); });
    check_error(ErrorKind::integrity, "Docker schema 1 images are not supported",
                [&] { return Manifest::parse(schema1, given); });
    check_error(ErrorKind::integrity, "Docker schema 1 images are not supported",
                [&] { return Index::parse(schema1, given); });
  }
}

TEST_CASE("what is no manifest is refused with the reason") {
  const std::string good = oci_manifest();
  const std::string layers = R"("layers":[)";
  struct Case {
    std::string bytes;
    std::string problem;
    std::string_view given = "";
  };
  const Case cases[] = {
      {"", "invalid manifest: not valid JSON: it is empty"},
      {"<html>", "begins with \"<\""},
      {"[]", "not a JSON object"},
      {"7", "not a JSON object"},
      {"{}", "\"schemaVersion\" is missing"},
      {R"({"schemaVersion":2})",
       "neither an image manifest (no \"config\") nor an index (no \"manifests\")"},
      {R"({"schemaVersion":2,"config":"x","layers":[]})", "neither an image manifest"},
      {R"({"schemaVersion":2,"layers":[]})", "neither an image manifest"},
      {replaced(good, R"("schemaVersion":2)", R"("schemaVersion":3)"),
       "\"schemaVersion\" is not 2"},
      {replaced(good, R"("schemaVersion":2)", R"("schemaVersion":"2")"),
       "\"schemaVersion\" is not 2"},
      {replaced(good, R"("schemaVersion":2)", R"("schemaVersion":2.0)"),
       "\"schemaVersion\" is not 2"},
      {replaced(good, R"("schemaVersion":2)", R"("schemaVersion":1)"), "Docker schema 1"},
      {replaced(good, layers, R"("fsLayers":[],"layers":[)"), "Docker schema 1"},
      {good + "x", "not valid JSON at byte"},
      {good + good, "not valid JSON at byte"},
      {good + "\0"s, "a NUL byte"},
      // Types
      {good,
       "its mediaType member says \"application/vnd.oci.image.manifest.v1+json\", but it was found "
       "as",
       media_type::kDockerManifest},
      {good, "but it was found as \"application/vnd.oci.image.index.v1+json\"",
       media_type::kOciIndex},
      {good, "media type \"text/html\" is not that of an image manifest or index",
       "text/html; charset=utf-8"},
      {replaced(good, "application/vnd.oci.image.manifest.v1+json", "application/vnd.\\u001b[m"),
       "media type \"application/vnd.?[m\" is not"},
      {replaced(good, "application/vnd.oci.image.manifest.v1+json", media_type::kOciLayer),
       "is not that of an image manifest or index"},
      {replaced(good, R"("application/vnd.oci.image.manifest.v1+json")", "7"),
       "mediaType is not a string"},
      {R"({"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[]})",
       "OCI artifact manifests"},
      {"{}", "OCI artifact manifests", "application/vnd.oci.artifact.manifest.v1+json"},
      // Two readers, two images (CVE-2021-41190, and JSON's own traps)
      {replaced(good, layers, R"("manifests":[],"layers":[)"),
       "ambiguous: an image manifest with the member \"manifests\""},
      {replaced(good, layers, R"("history":[],"layers":[)"), "with the member \"history\""},
      {replaced(index_of(""), R"("manifests")", R"("layers":[],"manifests")"),
       "ambiguous: an index with the member \"layers\""},
      {replaced(index_of(""), R"("manifests")", R"("config":{},"manifests")"),
       "ambiguous: an index with the member \"config\""},
      {R"({"schemaVersion":2,"config":{},"layers":[],"manifests":[]})",
       "ambiguous: an index with the member \"config\""},
      {replaced(good, layers, R"("layers":[],"layers":[)"), "duplicate key \"layers\""},
      {replaced(good, R"("size":7)", R"("size":7,"size":8)"), "duplicate key \"size\""},
      {replaced(good, layers, R"("Layers":[],"layers":[)"),
       "member \"Layers\" is ambiguous: it differs from \"layers\" only in case"},
      {replaced(good, layers, "\"layer\u017F\":[],\"layers\":["),
       "is ambiguous: it differs from \"layers\" only in case"},
      {replaced(good, R"("size":7)", R"("size":7,"Digest":"x")"),
       "config: member \"Digest\" is ambiguous"},
      // Parts
      {replaced(good, R"("config":)", R"("konfig":)"), "\"config\" is missing"},
      {replaced(good, layers, R"("lagers":[)"), "\"layers\" is missing"},
      {replaced(good, descriptor(media_type::kOciConfig, 'c'), "null"), "config is not an object"},
      {replaced(good, descriptor(media_type::kOciConfig, 'c'), "[]"), "config is not an object"},
      {replaced(good, layers, R"("layers":{},"x":[)"), "layers is not an array"},
      {replaced(good, layers, R"("layers":[7,)"), "layers[0] is not an object"},
      {replaced(good, layers, R"("subject":[],"layers":[)"), "subject is not an object"},
      {replaced(good, layers, R"("artifactType":7,"layers":[)"), "artifactType is not a string"},
      {replaced(good, R"("digest")", R"("digger")"), "config.digest is missing"},
      {replaced(good, '"' + digest_of('2') + '"', "7"), "layers[1].digest is not a string"},
      {replaced(good, digest_of('2'), "sha256:../../x"),
       "layers[1].digest: invalid digest \"sha256:../../x\""},
      {replaced(good, digest_of('1'), "sha256:" + std::string(64, 'A')),
       "layers[0].digest: invalid digest"},
      {replaced(good, digest_of('1'), "md5:0123"),
       "layers[0].digest: unsupported digest algorithm \"md5\""},
      {replaced(good, digest_of('1'), ""), "layers[0].digest: invalid digest \"\""},
      {replaced(good, R"("size":7)", R"("syze":7)"), "config.size is missing"},
      {replaced(good, R"("size":7)", R"("size":-1)"), "config.size is not a whole number"},
      {replaced(good, R"("size":7)", R"("size":1.5)"), "config.size is not a whole number"},
      {replaced(good, R"("size":7)", R"("size":1e3)"), "config.size is not a whole number"},
      {replaced(good, R"("size":7)", R"("size":"7")"), "config.size is not a whole number"},
      {replaced(good, R"("size":7)", R"("size":99999999999999999999999)"),
       "config.size is not a whole number"},
      {replaced(good, R"("size":7)", R"("size":18446744073709551615)"),
       "config.size is 18446744073709551615, more than"},
      {replaced(good, R"("size":7)", R"("size":281474976710657)"), "more than any blob can have"},
      {replaced(good, '"' + std::string(media_type::kOciConfig) + '"', "7"),
       "config.mediaType is not a string"},
      {replaced(good, media_type::kOciConfig, ""), "config.mediaType is empty"},
      {replaced(good, media_type::kOciConfig, "a/b\\r\\nX: y"),
       "config.mediaType is no media type: \"a/b  X: y\""},
      {replaced(good, media_type::kOciConfig, std::string(256, 'a')),
       "config.mediaType is no media type"},
      {replaced(good, R"("z":"1")", R"("z":1)"), "layers[1].annotations[\"z\"] is not a string"},
      {replaced(good, R"("annotations":{)", R"("annotations":[],"x":{)"),
       "layers[1].annotations is not an object"},
      {replaced(good, R"("size":7)", R"("size":7,"urls":"x")"), "config.urls is not an array"},
      {replaced(good, R"("size":7)", R"("size":7,"urls":["a",7])"),
       "config.urls[1] is not a string"},
      {index_of(child('1', "7")), "manifests[0].platform is not an object"},
      {index_of(child('1', R"({"os":7})")), "manifests[0].platform.os is not a string"},
      {index_of(child('1', R"({"os.features":[{}]})")),
       "manifests[0].platform.os.features[0] is not a string"},
      {replaced(index_of(""), R"([])", "{}"), "manifests is not an array"},
      {R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"})",
       "\"manifests\" is missing"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    check_error(ErrorKind::integrity, c.problem,
                [&] { return parse_manifest_or_index(c.bytes, c.given); });
  }
}

TEST_CASE("limits on bytes, depth and descriptors hold") {
  const std::string pad = oci_manifest();
  CHECK_NOTHROW(Manifest::parse(pad + std::string(kMaxManifestBytes - pad.size(), ' ')));
  check_error(ErrorKind::integrity, "4194305 bytes is over the limit of 4194304", [&] {
    return Manifest::parse(pad + std::string(kMaxManifestBytes + 1 - pad.size(), ' '));
  });

  const auto with_depth = [&](std::size_t depth) {
    return replaced(
        pad, R"("layers":[)",
        R"("x":)" + std::string(depth, '[') + std::string(depth, ']') + R"(,"layers":[)");
  };
  CHECK_NOTHROW(Manifest::parse(with_depth(63)));
  check_error(ErrorKind::integrity, "nested more than 64 levels",
              [&] { return Manifest::parse(with_depth(64)); });
  check_error(ErrorKind::integrity, "nested more than 64 levels",
              [&] { return Manifest::parse(with_depth(10'000)); });

  std::string children = child('1', "");
  for (int i = 1; i < 16'384; ++i) children += "," + child('1', "");
  CHECK(Index::parse(index_of(children)).manifests().size() == 16'384);
  check_error(ErrorKind::integrity, "manifests has 16385 entries; 16384 are allowed",
              [&] { return Index::parse(index_of(children + "," + child('1', ""))); });
}

TEST_CASE("no truncation of a manifest or index is one") {
  for (const auto& whole :
       {oci_manifest(), docker_manifest(), index_of(child('1', platform("linux", "arm", "v7")))}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      check_error(ErrorKind::integrity, "not valid JSON",
                  [&] { return parse_manifest_or_index(whole.substr(0, size)); });
    }
  }
}

TEST_CASE("new layers change their digest, size, type and annotations, and nothing else") {
  const std::string text = "{ \"x\": {\"y\": 1.50},\n" + oci_manifest().substr(1);
  const Manifest manifest = Manifest::parse(text);
  auto layers = manifest.layers();
  layers[0].media_type = media_type::kOciLayerZstd;
  layers[0].digest = Digest::parse(digest_of('9'));
  layers[0].size = 12345678901;
  layers[0].annotations["n"] = "<&>\xC3\xA4";
  layers[1].annotations.erase("toc");
  layers[1].annotations["a"] = "4";
  const Manifest changed = manifest.with_layers(layers);

  std::string expected = replaced(text, "{ \"x\": {\"y\": 1.50},\n", R"({"x":{"y":1.50},)");
  expected = replaced(expected, descriptor(media_type::kOciLayer, '1'),
                      R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":")" +
                          digest_of('9') + R"(","size":12345678901,"annotations":{"n":"<&>)" +
                          "\xC3\xA4" + R"("}})");
  expected = replaced(expected, R"({"z":"1","a":"2","toc":"3"})", R"({"z":"1","a":"4"})");
  CHECK(changed.bytes() == expected);
  CHECK(changed.digest() == Digest::of(expected));
  CHECK(changed.layers() == layers);
  CHECK(changed.config() == manifest.config());
  CHECK(changed.media_type() == manifest.media_type());
}

TEST_CASE("the same layers leave the bytes alone") {
  const std::string text = oci_manifest() + "\n";
  const Manifest manifest = Manifest::parse(text);
  CHECK(manifest.with_layers(manifest.layers()).bytes() == text);
}

TEST_CASE("a layer without annotations has no such member") {
  const Manifest manifest = Manifest::parse(oci_manifest());
  auto layers = manifest.layers();
  layers[1].annotations.clear();
  CHECK(manifest.with_layers(layers).bytes() ==
        replaced(oci_manifest(), R"(,"annotations":{"z":"1","a":"2","toc":"3"})", ""));
}

TEST_CASE("a changed OCI manifest says its media type") {
  const std::string bare =
      replaced(oci_manifest(), R"("mediaType":"application/vnd.oci.image.manifest.v1+json",)", "");
  const Manifest manifest = Manifest::parse(bare);
  auto layers = manifest.layers();
  layers[0].size = 8;
  const Manifest changed = manifest.with_layers(layers);
  CHECK(changed.bytes().starts_with(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)"));
}

TEST_CASE("layers that a manifest cannot have are refused") {
  const Manifest manifest = Manifest::parse(docker_manifest());
  check_error(ErrorKind::integrity, "0 descriptors given for 1 layers",
              [&] { return manifest.with_layers({}); });
  auto layers = manifest.layers();
  layers[0].media_type = media_type::kOciLayerZstd;
  check_error(ErrorKind::usage, "a Docker schema 2 manifest cannot hold a layer of type",
              [&] { return manifest.with_layers(layers); });
}

TEST_CASE("new children change their digest, size and type, and nothing else") {
  const std::string arm = child('2', platform("linux", "arm", "v7"));
  const Index index =
      Index::parse(index_of(child('1', platform("linux", "amd64")) + "," +
                            replaced(arm, "}}", R"(},"annotations":{"b":"1","a":"2"},"x":1})")));
  auto children = index.manifests();
  CHECK(index.with_manifests(children).bytes() == index.bytes());
  children[1].digest = Digest::parse(digest_of('9'));
  children[1].size = 99;
  children[1].annotations.clear();
  children[1].platform.reset();
  const Index changed = index.with_manifests(children);
  CHECK(changed.bytes() == replaced(index.bytes(), digest_of('2') + R"(","size":7)",
                                    digest_of('9') + R"(","size":99)"));
  CHECK(changed.manifests()[1].platform == index.manifests()[1].platform);
  CHECK(changed.manifests()[1].annotations == index.manifests()[1].annotations);
  check_error(ErrorKind::integrity, "1 descriptors given for 2 manifests",
              [&] { return index.with_manifests({children[0]}); });
}

TEST_CASE("an index can be cut down to some of its children") {
  const std::string first = child('1', platform("linux", "amd64"));
  const std::string third = child('3', "", media_type::kOciIndex);
  const Index index = Index::parse(index_of(first + "," + child('2', "") + "," + third) + "\n");
  const auto all = [](const Digest&) { return true; };
  const auto not_second = [](const Digest& digest) { return digest.str() != digest_of('2'); };
  const auto none = [](const Digest&) { return false; };
  CHECK(index.with_only(all).bytes() == index.bytes());
  CHECK(index.with_only(not_second).bytes() == index_of(first + "," + third));
  CHECK(index.with_only(none).bytes() == index_of(""));
  CHECK(Index::parse(replaced(index_of(""), "[]", "null")).with_only(none).manifests().empty());
}

TEST_CASE("the instance for a platform is chosen as containers/image does") {
  const std::string all =
      child('0', platform("unknown", "unknown")) + "," +
      child('1', platform("linux", "arm", "v5")) + "," +
      child('2', platform("linux", "arm", "v7")) + "," +
      child('3', platform("linux", "arm64", "v8")) + "," + child('4', platform("linux", "amd64")) +
      "," + child('5', platform("windows", "amd64")) + "," +
      child('6', platform("linux", "amd64")) + "," + child('7', platform("linux", "arm", "v6")) +
      "," + child('8', platform("linux", "amd64", "v3"));
  const Index index = Index::parse(list_of(all));
  const std::pair<std::string, char> cases[] = {
      {"linux/amd64", '4'},      // the first of two
      {"linux/amd64/v2", '4'},   // v3 is too new
      {"linux/amd64/v3", '8'},   // exact
      {"linux/amd64/v4", '8'},   // older
      {"windows/amd64", '5'},    //
      {"linux/arm/v7", '2'},     // exact, though v5 comes first
      {"linux/arm/v8", '2'},     // the newest that runs
      {"linux/arm/v6", '7'},     //
      {"linux/arm/v5", '1'},     //
      {"linux/arm", '2'},        // any: the newest
      {"linux/arm64", '3'},      // none means v8
      {"linux/arm64/v8", '3'},   //
      {"unknown/unknown", '0'},  //
      {"linux/s390x", '-'},      //
      {"linux/arm64/v9", '-'},   // nothing is known of v9
      {"freebsd/amd64", '-'},    //
  };
  for (const auto& row : cases) {
    const auto& wanted = row.first;
    const auto& digit = row.second;
    CAPTURE(wanted);
    const auto* chosen = index.choose(Platform::parse(wanted));
    CHECK((chosen == nullptr ? "-" : chosen->digest.str()) ==
          (digit == '-' ? "-" : digest_of(digit)));
  }
}

TEST_CASE("a child without variant serves a wanted variant, after the exact one") {
  const Index index = Index::parse(index_of(child('1', platform("linux", "arm64")) + "," +
                                            child('2', platform("linux", "arm64", "v8"))));
  CHECK(index.choose(Platform::parse("linux/arm64"))->digest.str() == digest_of('1'));
  CHECK(index.choose(Platform::parse("linux/arm64/v8"))->digest.str() == digest_of('2'));
  CHECK(index.choose(Platform::parse("linux/arm64/v9"))->digest.str() == digest_of('1'));
}

TEST_CASE("a child without platform is the last resort, in an OCI index") {
  const std::string children = child('1', "") + "," + child('2', platform("linux", "amd64"));
  const Index index = Index::parse(index_of(children));
  CHECK(index.choose(Platform::parse("linux/amd64"))->digest.str() == digest_of('2'));
  CHECK(index.choose(Platform::parse("linux/s390x"))->digest.str() == digest_of('1'));
  CHECK(Index::parse(list_of(children)).choose(Platform::parse("linux/s390x")) == nullptr);
  CHECK(Index::parse(index_of("")).choose(Platform::host()) == nullptr);
}

}  // namespace
}  // namespace tug
