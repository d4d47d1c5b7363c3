#include "copy/execute.h"

#include "stream/compress.h"
#include "stream/file_source.h"
#include "support/memory_images.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tug {
namespace {

using test::MemoryRegistry;
using test::MemorySource;

class NotedProgress : public Progress {
 public:
  void note(std::string_view text) override { notes.emplace_back(text); }
  std::vector<std::string> notes;
};

// One copy with everything that it needs; no cache, no waiting.
struct Fixture {
  MemorySource source;
  MemoryRegistry registry{"reg.example:5000/team/app:1"};
  CopyOptions options;
  Log log;
  BlobInfoCache cache{"", log};
  CpuPool pool{2};
  NotedProgress progress;
  CopyReport run(std::stop_token stop = {}) {
    const CopyEnvironment environment{
        [this]() -> CpuPool& { return pool; }, cache, {std::chrono::milliseconds(0)}};
    return execute_copy(source, registry, options, environment, progress, stop);
  }
};

TEST_CASE("an image is pushed blob by blob, and the tag names its exact bytes") {
  Fixture f;
  const std::string manifest = f.source.add_image("{}", {"one", "two"});
  f.source.set_top(manifest);
  const CopyReport report = f.run();
  CHECK(report.manifest.digest == Digest::of(manifest));
  CHECK(f.registry.tags.at("1") == Digest::of(manifest));
  CHECK(f.registry.manifests.at(Digest::of(manifest)) == manifest);
  CHECK(f.registry.count("PUT blob") == 3);
  CHECK(report.tags == std::vector<std::string>{"1"});
  CHECK(report.bytes_sent == 2 + 3 + 3 + manifest.size());
  CHECK(f.registry.log.back() == "PUT manifest 1");
}

TEST_CASE("a tag that has our digest already costs one question and nothing is sent") {
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"one"}));
  f.run();
  f.registry.log.clear();
  f.source.opened.clear();
  const CopyReport report = f.run();
  CHECK(report.skipped);
  CHECK(f.registry.log == std::vector<std::string>{"HEAD manifest"});
  CHECK(f.source.opened.empty());

  SUBCASE("unless every blob is to be checked") {
    f.options.skip_existing = false;
    CHECK_FALSE(f.run().skipped);
    CHECK(f.registry.count("HEAD blob") == 2);
    CHECK(f.registry.count("PUT blob") == 0);
  }
  SUBCASE("and additional tags are still written") {
    f.options.additional_tags = {"2"};
    CHECK(f.run().tags == std::vector<std::string>{"1", "2"});
    CHECK(f.registry.tags.count("2") == 1);
  }
}

TEST_CASE("blobs that are there are not sent, and those of a sibling repository are mounted") {
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"there", "elsewhere", "new"}));
  f.registry.blobs[Digest::of("there")] = "there";
  f.registry.siblings[Digest::of("elsewhere")] = "elsewhere";
  const std::string annotated =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      test::descriptor_json(std::string(media_type::kOciConfig), "{}") + R"(,"layers":[)" +
      test::descriptor_json(std::string(media_type::kOciLayerGzip), "there") + "," +
      test::descriptor_json(
          std::string(media_type::kOciLayerGzip), "elsewhere",
          R"(,"annotations":{"containerd.io/distribution.source.reg.example:5000":"team/base"})") +
      "," + test::descriptor_json(std::string(media_type::kOciLayerGzip), "new") + "]}";
  f.source.set_top(annotated);
  const CopyReport report = f.run();
  CHECK(f.registry.count("PUT blob") == 2);
  CHECK(f.registry.count("mount from team/base") == 1);
  const auto outcome_of = [&](const std::string& bytes) {
    return std::find_if(
               report.blobs.begin(), report.blobs.end(),
               [&](const BlobReport& b) { return b.descriptor.digest == Digest::of(bytes); })
        ->outcome;
  };
  CHECK(outcome_of("there") == BlobOutcome::existed);
  CHECK(outcome_of("elsewhere") == BlobOutcome::mounted);
  CHECK(outcome_of("new") == BlobOutcome::uploaded);
}

TEST_CASE("all images of an index go before the index, and only the index is tagged") {
  Fixture f;
  const std::string a = f.source.add_image(R"({"architecture":"amd64"})", {"layer a"});
  const std::string b = f.source.add_image(R"({"architecture":"arm64"})", {"layer b"});
  const std::string index = f.source.add_index(
      {{a, {"linux", "amd64", "", "", {}}}, {b, {"linux", "arm64", "", "", {}}}});
  f.source.set_top(index);
  f.options.instances.kind = InstanceSelection::Kind::all;
  const CopyReport report = f.run();
  CHECK(report.instances.size() == 2);
  CHECK(f.registry.tags.size() == 1);
  CHECK(f.registry.tags.at("1") == Digest::of(index));
  CHECK(f.registry.manifests.size() == 3);
}

TEST_CASE("with removed platforms stripped the index names only what was copied") {
  Fixture f;
  const std::string a = f.source.add_image(R"({"architecture":"amd64"})", {"layer a"});
  const std::string b = f.source.add_image(R"({"architecture":"arm64"})", {"layer b"});
  f.source.set_top(f.source.add_index(
      {{a, {"linux", "amd64", "", "", {}}}, {b, {"linux", "arm64", "", "", {}}}}));
  f.options.instances = {InstanceSelection::Kind::platforms, {{"linux", "arm64", "", "", {}}}};
  SUBCASE("stripped") {
    f.options.strip_removed_platforms = true;
    const CopyReport report = f.run();
    const Index pushed = Index::parse(f.registry.manifests.at(report.manifest.digest));
    REQUIRE(pushed.manifests().size() == 1);
    CHECK(pushed.manifests()[0].digest == Digest::of(b));
  }
  SUBCASE("a registry that wants them all says so, and the hint says what to do") {
    CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("--strip-removed-platforms"),
                         MissingBlobsError);
    CHECK(f.registry.tags.empty());
  }
}

TEST_CASE("a blob that the registry only claims to have is sent when the manifest is refused") {
  Fixture f;
  const std::string manifest = f.source.add_image("{}", {"claimed"});
  f.source.set_top(manifest);
  f.registry.lies_about.insert(Digest::of("claimed"));
  f.run();
  CHECK(f.registry.blobs.count(Digest::of("claimed")) == 1);
  CHECK(f.registry.tags.at("1") == Digest::of(manifest));
}

// An image in the store: one gzip layer, of which the store has only the tar.
struct StoredImage {
  const std::string tar = std::string(300'000, 'x');
  const std::string gzip = "the original compressed form";
  std::string manifest;
  explicit StoredImage(MemorySource& source, const std::string& author = "a") {
    const std::string config = R"({"author":")" + author + R"(","rootfs":{"diff_ids":[")" +
                               Digest::of(tar).str() + R"("]}})";
    manifest = source.add_image(config, {gzip});
    source.set_tar_of(Digest::of(gzip), tar);
    source.give_tars(true);
  }
};

TEST_CASE(
    "a layer that only seemed to be there is compressed, and the manifest names the new one") {
  Fixture f;
  const StoredImage image(f.source);
  f.source.set_top(image.manifest);
  f.registry.lies_about.insert(Digest::of(image.gzip));
  const CopyReport report = f.run();
  CHECK(report.manifest.digest != Digest::of(image.manifest));
  const Manifest pushed = Manifest::parse(f.registry.manifests.at(f.registry.tags.at("1")));
  CHECK(f.registry.blobs.count(pushed.layers()[0].digest) == 1);
}

TEST_CASE("a layer that two refused images share is sent once, and both name it") {
  Fixture f;
  const StoredImage a(f.source, "a");
  const StoredImage b(f.source, "b");
  f.source.set_top(f.source.add_index({{a.manifest, {"linux", "amd64", "", "", {}}},
                                       {b.manifest, {"linux", "arm64", "", "", {}}}}));
  f.options.instances.kind = InstanceSelection::Kind::all;
  f.registry.lies_about.insert(Digest::of(a.gzip));
  f.run();
  f.registry.lies_about.clear();
  CHECK(f.source.opened.at(Digest::of(a.gzip)) == 1);
  const Index index = Index::parse(f.registry.manifests.at(f.registry.tags.at("1")));
  for (const Descriptor& child : index.manifests()) {
    const Manifest manifest = Manifest::parse(f.registry.manifests.at(child.digest));
    CHECK(f.registry.blobs.count(manifest.layers()[0].digest) == 1);
  }

  SUBCASE("the second push of the index reads no layer and sends nothing") {
    f.registry.log.clear();
    f.source.opened.clear();
    CHECK(f.run().skipped);
    CHECK(f.source.opened.count(Digest::of(a.gzip)) == 0);
    CHECK(f.registry.count("PUT") == 0);
  }
  SUBCASE("one image of it over the index re-uses its layer") {
    f.source.opened.clear();
    f.options.instances.kind = InstanceSelection::Kind::system;
    f.options.platform = Platform{"linux", "arm64", "", "", {}};
    CHECK_FALSE(f.run().skipped);
    CHECK(f.source.opened.count(Digest::of(a.gzip)) == 0);
  }
  SUBCASE("checking every blob does not mean compressing it again") {
    f.source.opened.clear();
    f.options.skip_existing = false;
    CHECK_FALSE(f.run().skipped);
    CHECK(f.source.opened.count(Digest::of(a.gzip)) == 0);
  }
}

TEST_CASE("an index under the tag is trusted only when the images are there too") {
  Fixture f;
  const std::string a = f.source.add_image(R"({"architecture":"amd64"})", {"layer a"});
  const std::string b = f.source.add_image(R"({"architecture":"arm64"})", {"layer b"});
  const Platform amd64{"linux", "amd64", "", "", {}};
  f.source.set_top(f.source.add_index({{a, amd64}, {b, {"linux", "arm64", "", "", {}}}}));
  f.registry.takes_sparse_indexes = true;
  f.options.instances = {InstanceSelection::Kind::platforms, {amd64}};
  f.run();
  CHECK(f.registry.manifests.count(Digest::of(b)) == 0);

  SUBCASE("all of them, after one") {
    f.options.instances = {InstanceSelection::Kind::all, {}};
    CHECK_FALSE(f.run().skipped);
    CHECK(f.registry.manifests.count(Digest::of(b)) == 1);
    CHECK(f.run().skipped);
  }
  SUBCASE("an index that is to be stripped is another one") {
    f.options.strip_removed_platforms = true;
    const CopyReport report = f.run();
    CHECK_FALSE(report.skipped);
    CHECK(Index::parse(f.registry.manifests.at(report.manifest.digest)).manifests().size() == 1);
    CHECK(f.run().skipped);
  }
}

TEST_CASE("the original under the tag does not satisfy a forced format") {
  Fixture f;
  const StoredImage image(f.source);
  f.source.set_top(image.manifest);
  f.registry.blobs[Digest::of(image.gzip)] = image.gzip;
  f.run();
  CHECK(f.registry.tags.at("1") == Digest::of(image.manifest));
  f.options.compression = LayerCompression::zstd;
  f.options.force_compression = true;
  const CopyReport report = f.run();
  CHECK_FALSE(report.skipped);
  CHECK(Manifest::parse(f.registry.manifests.at(report.manifest.digest)).layers()[0].media_type ==
        media_type::kOciLayerZstd);
}

TEST_CASE("a zstd layer under the tag does not stand in an image that cannot hold it") {
  Fixture f;
  const StoredImage image(f.source);
  f.source.set_top(image.manifest);
  f.options.compression = LayerCompression::zstd;
  f.run();
  const std::string docker_gzip = "the same tar, compressed for Docker";
  f.source.set_top(
      f.source.add_image("{}", {docker_gzip}, std::string(media_type::kDockerLayerGzip)));
  f.source.set_tar_of(Digest::of(docker_gzip), image.tar);
  f.options.compression.reset();
  const CopyReport report = f.run();
  CHECK(Manifest::parse(f.registry.manifests.at(report.manifest.digest)).layers()[0].media_type ==
        media_type::kDockerLayerGzip);
}

TEST_CASE("what cannot be compressed as asked for is refused before anything is asked") {
  Fixture f;
  const StoredImage image(f.source);
  f.source.set_top(image.manifest);
  f.options.compression_level = 10;
  CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("level 10"), Error);
  CHECK(f.registry.log.empty());
}

TEST_CASE("not-found is said of the source alone") {
  struct Gone : MemoryRegistry {
    using MemoryRegistry::MemoryRegistry;
    std::uint64_t put_blob(const Blob&, const SentCallback&, std::stop_token) override {
      throw Error(ErrorKind::not_found, "NAME_UNKNOWN");
    }
  };
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"one"}));
  Gone registry("reg.example:5000/app:1");
  const CopyEnvironment environment{[&]() -> CpuPool& { return f.pool; }, f.cache, {}};
  try {
    execute_copy(f.source, registry, f.options, environment, f.progress, {});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::denied);
  }
}

TEST_CASE("a failing blob tags nothing, and the error names the way") {
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"good"}));
  const std::string missing =
      R"({"schemaVersion":2,"config":)" +
      test::descriptor_json(std::string(media_type::kOciConfig), "{}") + R"(,"layers":[)" +
      test::descriptor_json(std::string(media_type::kOciLayerGzip), "nowhere") + "]}";
  f.source.set_top(missing);
  CHECK_THROWS_WITH_AS(
      f.run(),
      doctest::Contains(
          "copying memory:source to docker://reg.example:5000/team/app:1: blob sha256:"),
      Error);
  CHECK(f.registry.tags.empty());
  CHECK(f.registry.count("PUT manifest") == 0);
}

TEST_CASE("a destination by digest takes that digest and no other") {
  Fixture f;
  const std::string manifest = f.source.add_image("{}", {"one"});
  f.source.set_top(manifest);
  SUBCASE("its own") {
    MemoryRegistry registry("reg.example:5000/app@" + Digest::of(manifest).str());
    const CopyEnvironment environment{[&]() -> CpuPool& { return f.pool; }, f.cache, {}};
    execute_copy(f.source, registry, f.options, environment, f.progress, {});
    CHECK(registry.count("PUT manifest by digest") == 1);
  }
  SUBCASE("another's, before anything is sent") {
    MemoryRegistry registry("reg.example:5000/app@" + Digest::of("other").str());
    const CopyEnvironment environment{[&]() -> CpuPool& { return f.pool; }, f.cache, {}};
    CHECK_THROWS_WITH_AS(execute_copy(f.source, registry, f.options, environment, f.progress, {}),
                         doctest::Contains("names the digest"), Error);
    CHECK(registry.log.empty());
  }
}

TEST_CASE("a dry run asks and changes nothing") {
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"one", "there"}));
  f.registry.blobs[Digest::of("there")] = "there";
  f.options.dry_run = true;
  const CopyReport report = f.run();
  CHECK(f.registry.count("PUT") == 0);
  CHECK(f.registry.count("mount") == 0);
  CHECK(report.bytes_sent == 0);
  CHECK(std::count_if(report.blobs.begin(), report.blobs.end(),
                      [](const BlobReport& b) { return b.outcome == BlobOutcome::uploaded; }) == 2);
}

TEST_CASE(
    "layers given as tars are compressed, the manifest changes only there, and a second push reads "
    "no layer") {
  Fixture f;
  const std::string tar(300'000, 'x');
  const std::string config =
      R"({"rootfs":{"type":"layers","diff_ids":[")" + Digest::of(tar).str() + R"("]}})";
  f.source.set_top(f.source.add_image(config, {tar}, std::string(media_type::kOciLayer)));
  f.source.give_tars(true);
  const CopyReport report = f.run();
  const Manifest pushed = Manifest::parse(f.registry.manifests.at(report.manifest.digest));
  REQUIRE(pushed.layers().size() == 1);
  CHECK(pushed.layers()[0].media_type == media_type::kOciLayerGzip);
  CHECK(pushed.layers()[0].size < tar.size());
  CHECK(pushed.config().digest == Digest::of(config));
  CHECK(f.registry.blobs.count(pushed.layers()[0].digest) == 1);

  f.registry.log.clear();
  f.source.opened.clear();
  const CopyReport again = f.run();
  CHECK(again.skipped);
  CHECK(again.manifest.digest == report.manifest.digest);
  CHECK(f.registry.log == std::vector<std::string>{"GET manifest"});
  CHECK(f.source.opened.count(Digest::of(tar)) == 0);

  SUBCASE("another image with the same layer re-uses it through its diff ID") {
    const std::string other = R"({"author":"b","rootfs":{"type":"layers","diff_ids":[")" +
                              Digest::of(tar).str() + R"("]}})";
    f.source.set_top(f.source.add_image(other, {tar}, std::string(media_type::kOciLayer)));
    const CopyReport third = f.run();
    CHECK_FALSE(third.skipped);
    CHECK(f.source.opened.count(Digest::of(tar)) == 0);
    CHECK(f.registry.count("PUT stream") == 0);
  }
  SUBCASE("a forced format is not satisfied by another's blob") {
    f.options.compression = LayerCompression::zstd;
    f.options.force_compression = true;
    const CopyReport third = f.run();
    CHECK(Manifest::parse(f.registry.manifests.at(third.manifest.digest)).layers()[0].media_type ==
          media_type::kOciLayerZstd);
  }
}

TEST_CASE("a changed digest is refused with --preserve-digests") {
  Fixture f;
  f.source.set_top(
      f.source.add_image("{}", {std::string(1000, 'y')}, std::string(media_type::kOciLayer)));
  f.source.give_tars(true);
  f.options.preserve_digests = true;
  CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("--preserve-digests"), Error);
  CHECK(f.registry.tags.empty());
  CHECK(f.registry.count("PUT") == 0);

  SUBCASE("also when such an image is there already") {
    f.options.preserve_digests = false;
    f.run();
    f.options.preserve_digests = true;
    CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("--preserve-digests"), Error);
  }
}

// A gzip layer over `tar`, and an image with it whose configuration names the tar.
struct PackedImage {
  explicit PackedImage(MemorySource& source, std::string_view type = media_type::kOciLayerGzip,
                       LayerCompression format = LayerCompression::gzip)
      : tar(std::string(3000, 't') + std::string(type)) {
    CpuPool pool{1};
    layer = test::read_all(*compressing_source(memory_source(tar), {format, {}}, pool), 1000);
    config = R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[")" +
             Digest::of(tar).str() + R"("]}})";
    manifest = source.add_image(config, {layer}, std::string(type));
    source.set_top(manifest);
  }
  std::string tar, layer, config, manifest;
};

Manifest pushed(const Fixture& f, const CopyReport& report) {
  return Manifest::parse(f.registry.manifests.at(report.manifest.digest));
}

TEST_CASE("a converted image keeps its layers, and is found again by one question") {
  Fixture f;
  const PackedImage image(f.source);
  f.options.format = ManifestFormat::docker;
  const CopyReport report = f.run();
  const Manifest manifest = pushed(f, report);
  CHECK(manifest.media_type() == media_type::kDockerManifest);
  CHECK(manifest.config().digest == Digest::of(image.config));
  CHECK(f.registry.blobs.at(manifest.layers()[0].digest) == image.layer);
  REQUIRE(f.progress.notes.size() == 1);
  CHECK(f.progress.notes[0] ==
        "the image is converted to Docker's schema 2 (--format), which changes the digest from " +
            Digest::of(image.manifest).str() + " to " + report.manifest.digest.str());
  f.registry.log.clear();
  f.source.opened.clear();
  const CopyReport again = f.run();
  CHECK(again.skipped);
  CHECK(again.manifest.digest == report.manifest.digest);
  CHECK(f.registry.log == std::vector<std::string>{"HEAD manifest"});
  CHECK(f.source.opened.empty());
}

TEST_CASE("an index is converted with its images") {
  Fixture f;
  const std::string a = f.source.add_image(R"({"architecture":"amd64"})", {"layer a"});
  const std::string b = f.source.add_image(R"({"architecture":"arm64"})", {"layer b"});
  f.source.set_top(f.source.add_index(
      {{a, {"linux", "amd64", "", "", {}}}, {b, {"linux", "arm64", "", "", {}}}}));
  f.options.instances.kind = InstanceSelection::Kind::all;
  f.options.format = ManifestFormat::docker;
  const CopyReport report = f.run();
  const Index index = Index::parse(f.registry.manifests.at(report.manifest.digest));
  CHECK(index.media_type() == media_type::kDockerManifestList);
  REQUIRE(index.manifests().size() == 2);
  for (const Descriptor& child : index.manifests()) {
    CHECK(child.media_type == media_type::kDockerManifest);
    CHECK(child.size == f.registry.manifests.at(child.digest).size());
    REQUIRE(child.platform);
  }
  CHECK(index.manifests()[1].platform->architecture == "arm64");
  CHECK(f.run().skipped);
}

TEST_CASE("layers are compressed anew, with true types, and an unchanged image sends nothing") {
  struct Row {
    std::string_view type;
    LayerCompression now;
    std::optional<LayerCompression> wanted;
    std::optional<ManifestFormat> format;
    std::string_view becomes;
  };
  const Row rows[] = {{media_type::kOciLayerGzip,
                       LayerCompression::gzip,
                       LayerCompression::zstd,
                       {},
                       media_type::kOciLayerZstd},
                      {media_type::kOciLayerZstd,
                       LayerCompression::zstd,
                       {},
                       ManifestFormat::docker,
                       media_type::kDockerLayerGzip},
                      {media_type::kOciLayerZstd,
                       LayerCompression::zstd,
                       LayerCompression::gzip,
                       {},
                       media_type::kOciLayerGzip}};
  for (const Row& row : rows) {
    Fixture f;
    const PackedImage image(f.source, row.type, row.now);
    f.options.compression = row.wanted;
    f.options.format = row.format;
    const CopyReport report = f.run();
    const Descriptor layer = pushed(f, report).layers()[0];
    CHECK(layer.media_type == row.becomes);
    const std::string& bytes = f.registry.blobs.at(layer.digest);
    CHECK(layer.size == bytes.size());
    CHECK(test::read_all(*decompressing_source(memory_source(bytes), "it"), 1000) == image.tar);
    CHECK(f.registry.blobs.count(Digest::of(image.layer)) == 0);
    f.registry.log.clear();
    f.source.opened.clear();
    CHECK(f.run().skipped);
    CHECK(f.registry.log == std::vector<std::string>{"GET manifest"});
    CHECK(f.source.opened.count(Digest::of(image.layer)) == 0);
  }
}

TEST_CASE("a layer that is asked for in another compression is not taken over in its old one") {
  Fixture f;
  const PackedImage image(f.source);
  CHECK(pushed(f, f.run()).layers()[0].digest == Digest::of(image.layer));
  f.options.compression = LayerCompression::zstd;
  CHECK(pushed(f, f.run()).layers()[0].media_type == media_type::kOciLayerZstd);
}

TEST_CASE("a layer that is not what its configuration says is not sent") {
  Fixture f;
  PackedImage image(f.source);
  std::string config = image.config;
  config.replace(config.find(Digest::of(image.tar).str()), 71, Digest::of("another tar").str());
  f.source.set_top(f.source.add_image(config, {image.layer}));
  f.options.compression = LayerCompression::zstd;
  CHECK_THROWS_WITH_AS(
      f.run(), doctest::Contains(("has the digest " + Digest::of(image.tar).str()).c_str()), Error);
  CHECK(f.registry.tags.empty());
}

TEST_CASE("a place for plain layers gets their tars") {
  Fixture f;
  const PackedImage image(f.source);
  f.registry.wanted.layers = ImageForm::Layers::plain;
  const CopyReport report = f.run();
  const Descriptor layer = pushed(f, report).layers()[0];
  CHECK(layer.media_type == media_type::kOciLayer);
  CHECK(layer.size == image.tar.size());
  CHECK(f.registry.blobs.at(layer.digest) == image.tar);
  CHECK(f.run().skipped);
}

TEST_CASE("a zstd layer for a Docker image is refused before anything is sent") {
  Fixture f;
  const PackedImage image(f.source, media_type::kDockerLayerGzip);
  f.options.compression = LayerCompression::zstd;
  f.options.format = ManifestFormat::docker;
  CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("--format oci"), Error);
  CHECK(f.registry.log.empty());
}

TEST_CASE("nothing is sent of what --preserve-digests forbids") {
  Fixture f;
  const PackedImage image(f.source);
  f.options.preserve_digests = true;
  SUBCASE("a conversion") { f.options.format = ManifestFormat::docker; }
  SUBCASE("another compression") { f.options.compression = LayerCompression::zstd; }
  SUBCASE("none") { f.registry.wanted.layers = ImageForm::Layers::plain; }
  CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("--preserve-digests forbids it"), Error);
  CHECK(f.registry.log.empty());
}

TEST_CASE("a destination by digest takes no converted image") {
  Fixture f;
  const PackedImage image(f.source);
  MemoryRegistry registry("reg.example:5000/team/app@" + Digest::of(image.manifest).str());
  f.options.format = ManifestFormat::docker;
  const CopyEnvironment environment{[&]() -> CpuPool& { return f.pool; }, f.cache};
  CHECK_THROWS_WITH_AS(execute_copy(f.source, registry, f.options, environment, f.progress, {}),
                       doctest::Contains("the destination names the digest"), Error);
  CHECK(registry.log.empty());
}

TEST_CASE("a stop request ends a copy as interrupted") {
  Fixture f;
  f.source.set_top(f.source.add_image("{}", {"one"}));
  std::stop_source stop;
  stop.request_stop();
  try {
    f.run(stop.get_token());
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::interrupted);
  }
  CHECK(f.registry.tags.empty());
}

// --- destinations that want it otherwise than a registry

std::string gzipped(const std::string& bytes) {
  CpuPool pool(1);
  return test::read_all(
      compressing_source(memory_source(bytes), {LayerCompression::gzip, std::nullopt}, pool));
}

TEST_CASE("a destination that wants plain layers in order gets them so") {
  Fixture f;
  f.registry.wants = {.in_order = true};
  f.registry.wanted = {.layers = ImageForm::Layers::plain};
  const std::string large(100000, 'L');
  const std::string config = R"({"rootfs":{"diff_ids":[")" + Digest::of("small").str() + R"(",")" +
                             Digest::of(large).str() + R"("]}})";
  f.source.set_top(f.source.add_image(config, {gzipped("small"), gzipped(large)}));
  const CopyReport report = f.run();
  CHECK(f.registry.received ==
        std::vector<Digest>{Digest::of("small"), Digest::of(large), Digest::of(config)});
  const Manifest manifest = Manifest::parse(f.registry.manifests.at(report.manifest.digest));
  REQUIRE(manifest.layers().size() == 2);
  CHECK(manifest.layers()[1].digest == Digest::of(large));
  CHECK(manifest.layers()[1].size == large.size());
  CHECK(manifest.layers()[1].media_type == media_type::kOciLayer);
}

TEST_CASE("what a destination can never hold is said before anything is sent") {
  Fixture f;
  const std::string image = f.source.add_image("{}", {"a"});
  f.source.set_top(f.source.add_index({{image, Platform::parse("linux/amd64")}}));
  f.registry.wants = {.in_order = true, .indexes = false};
  f.options.instances.kind = InstanceSelection::Kind::all;
  CHECK_THROWS_WITH_AS(f.run(), doctest::Contains("holds one image"), Error);
  CHECK(f.registry.received.empty());
}

}  // namespace
}  // namespace tug
