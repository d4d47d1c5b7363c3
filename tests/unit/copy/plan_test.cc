#include "copy/plan.h"

#include "support/memory_images.h"

#include <tug/error.h>

#include <doctest/doctest.h>

namespace tug {
namespace {

using test::MemorySource;

const Platform kAmd64{"linux", "amd64", "", "", {}};
const Platform kArm64{"linux", "arm64", "", "", {}};

CopyOptions options_for(InstanceSelection::Kind kind) {
  CopyOptions options;
  options.instances.kind = kind;
  options.platform = kAmd64;
  return options;
}

TEST_CASE("a plan names every distinct blob once, the largest first") {
  MemorySource source;
  source.set_top(source.add_image("{}", {"small", "a much larger layer", "small"}));
  const CopyPlan plan = make_plan(source, CopyOptions(), {}, {});
  REQUIRE(plan.blobs.size() == 3);
  CHECK(plan.blobs[0].blob.descriptor.digest == Digest::of("a much larger layer"));
  CHECK(plan.blobs[1].blob.descriptor.digest == Digest::of("small"));
  CHECK(plan.blobs[2].is_config);
  REQUIRE(plan.nodes.size() == 1);
  CHECK(plan.nodes[0].image->layers == std::vector<std::size_t>{1, 0, 1});
  CHECK(plan.nodes[0].image->config == 2);
  CHECK_FALSE(plan.has_unmade_blobs());
}

TEST_CASE("an index gives the instance of the platform, all of them, some, or none") {
  MemorySource source;
  const std::string amd64 = source.add_image(R"({"architecture":"amd64"})", {"layer of amd64"});
  const std::string arm64 = source.add_image(R"({"architecture":"arm64"})", {"layer of arm64"});
  source.set_top(source.add_index({{amd64, kAmd64}, {arm64, kArm64}}));

  SUBCASE("system") {
    const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::system), {}, {});
    REQUIRE(plan.nodes.size() == 1);
    CHECK(plan.top().descriptor().digest == Digest::of(amd64));
  }
  SUBCASE("another platform") {
    CopyOptions options = options_for(InstanceSelection::Kind::system);
    options.platform = kArm64;
    CHECK(make_plan(source, options, {}, {}).top().descriptor().digest == Digest::of(arm64));
  }
  SUBCASE("all: children before the index") {
    const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::all), {}, {});
    REQUIRE(plan.nodes.size() == 3);
    CHECK(plan.top().index);
    CHECK(plan.top().index->children == std::vector<std::size_t>{0, 1});
    CHECK(plan.blobs.size() == 4);
  }
  SUBCASE("index only") {
    const CopyPlan plan =
        make_plan(source, options_for(InstanceSelection::Kind::index_only), {}, {});
    REQUIRE(plan.nodes.size() == 1);
    CHECK(plan.blobs.empty());
  }
  SUBCASE("chosen platforms") {
    CopyOptions options = options_for(InstanceSelection::Kind::platforms);
    options.instances.platforms = {kArm64};
    const CopyPlan plan = make_plan(source, options, {}, {});
    REQUIRE(plan.nodes.size() == 2);
    CHECK(plan.top().index->children == std::vector<std::size_t>{CopyPlan::kNoNode, 0});
  }
  SUBCASE("a platform that is not there names those that are") {
    CopyOptions options = options_for(InstanceSelection::Kind::system);
    options.platform = {"linux", "s390x", "", "", {}};
    try {
      make_plan(source, options, {}, {});
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).find("linux/amd64, linux/arm64") != std::string::npos);
    }
  }
}

TEST_CASE("indexes nested too deeply are refused") {
  MemorySource source;
  std::string bytes = source.add_image("{}", {"layer"});
  for (int depth = 0; depth < 100; ++depth) bytes = source.add_index({{bytes, kAmd64}});
  source.set_top(bytes);
  for (const auto kind : {InstanceSelection::Kind::system, InstanceSelection::Kind::all}) {
    CHECK_THROWS_WITH_AS(make_plan(source, options_for(kind), {}, {}),
                         doctest::Contains("nested more than 8 deep"), Error);
  }
}

TEST_CASE("a plan names manifests in the format that is asked for") {
  MemorySource source;
  const std::string image = source.add_image("{}", {"a layer"});
  source.set_top(source.add_index({{image, kAmd64}}));
  CopyOptions options = options_for(InstanceSelection::Kind::all);
  options.format = ManifestFormat::oci;
  CHECK(make_plan(source, options, {}, {}).changes.empty());

  options.format = ManifestFormat::docker;
  const CopyPlan plan = make_plan(source, options, {}, {});
  REQUIRE(plan.nodes.size() == 2);
  CHECK(plan.nodes[0].original.digest == Digest::of(image));
  const Manifest& converted = plan.nodes[0].image->manifest;
  CHECK(converted.media_type() == media_type::kDockerManifest);
  CHECK(converted.layers()[0].media_type == media_type::kDockerLayerGzip);
  CHECK(plan.top().index->index.media_type() == media_type::kDockerManifestList);
  CHECK(plan.blobs[0].blob.descriptor.media_type == media_type::kDockerLayerGzip);
  CHECK(source.opened.empty());
  REQUIRE(plan.changes.size() == 1);
  CHECK(plan.changes[0] == "the image is converted to Docker's schema 2 (--format)");

  options.preserve_digests = true;
  CHECK_THROWS_WITH_AS(make_plan(source, options, {}, {}),
                       doctest::Contains("--preserve-digests forbids it"), Error);
}

// A Docker image with one layer; its bytes.
std::string add_docker_image(MemorySource& source, const std::string& config,
                             const std::string& layer,
                             std::string_view config_type = media_type::kDockerConfig) {
  source.add(config);
  source.add(layer);
  const std::string text =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)" +
      test::descriptor_json(std::string(config_type), config) + R"(,"layers":[)" +
      test::descriptor_json(std::string(media_type::kDockerLayerGzip), layer) + "]}";
  source.add(text);
  return text;
}

TEST_CASE("what a place holds decides where the user does not") {
  MemorySource source;
  const ImageForm wants_oci{.format = ManifestFormat::oci};
  const ImageForm takes_oci_only{.format = ManifestFormat::oci, .holds_any_format = false};
  CopyOptions options;

  SUBCASE("it is converted") {
    source.set_top(add_docker_image(source, R"({"os":"linux","architecture":"arm"})", "a layer"));
    const CopyPlan plan = make_plan(source, options, wants_oci, {});
    CHECK(plan.top().descriptor().media_type == media_type::kOciManifest);
    const Blob& config = plan.blobs[plan.top().image->config].blob;
    CHECK(config.descriptor == plan.top().image->manifest.config());
    CHECK(Digest::of(test::read_all(*config.open(0), 10)) == config.descriptor.digest);
    options.format = ManifestFormat::docker;
    CHECK(make_plan(source, options, wants_oci, {}).changes.empty());
  }
  SUBCASE("unless digests are to be preserved, and it can hold it so") {
    source.set_top(add_docker_image(source, "{}", "a layer"));
    options.preserve_digests = true;
    CHECK(make_plan(source, options, wants_oci, {}).changes.empty());
    CHECK_THROWS_WITH_AS(make_plan(source, options, takes_oci_only, {}),
                         doctest::Contains("forbids"), Error);
  }
  SUBCASE("what cannot be converted stays, where it can") {
    source.set_top(add_docker_image(source, "{}", "x", "application/vnd.docker.plugin.v1+json"));
    CHECK(make_plan(source, options, wants_oci, {}).changes.empty());
    CHECK_THROWS_WITH_AS(make_plan(source, options, takes_oci_only, {}),
                         doctest::Contains("not the image of a container"), Error);
    options.format = ManifestFormat::oci;
    CHECK_THROWS_WITH_AS(make_plan(source, options, wants_oci, {}),
                         doctest::Contains("not the image of a container"), Error);
  }
}

TEST_CASE("a configuration that is not what its digest says is not converted") {
  MemorySource source;
  std::string text = add_docker_image(source, R"({"os":"linux"})", "a layer");
  const std::string digest = Digest::of(R"({"os":"linux"})").str();
  text.replace(text.find(digest), digest.size(), Digest::of("a layer").str());
  source.set_top(text);
  CopyOptions options;
  options.format = ManifestFormat::oci;
  source.replace(Digest::of("a layer"), "another");
  CHECK_THROWS_WITH_AS(make_plan(source, options, {}, {}), doctest::Contains("another digest"),
                       Error);
}

// --- layers

std::string config_for(const std::vector<std::string>& tars) {
  std::string ids;
  for (const std::string& tar : tars)
    ids += (ids.empty() ? "\"" : ",\"") + Digest::of(tar).str() + "\"";
  return R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[)" + ids +
         "]}}";
}

TEST_CASE("which layers are made anew") {
  using Layers = ImageForm::Layers;
  constexpr auto kGzip = LayerCompression::gzip;
  constexpr auto kZstd = LayerCompression::zstd;
  struct Row {
    std::string_view type;
    std::optional<LayerCompression> wanted;
    Layers layers;
    std::optional<ManifestFormat> format;
    bool is_made;
  };
  const Row rows[] = {
      {media_type::kOciLayerGzip, {}, Layers::any, {}, false},
      {media_type::kOciLayer, {}, Layers::any, {}, false},
      {media_type::kOciLayer, kGzip, Layers::any, {}, true},
      {media_type::kOciLayerGzip, kGzip, Layers::any, {}, false},
      {media_type::kOciLayerGzip, kZstd, Layers::any, {}, true},
      {media_type::kOciLayerGzip, kZstd, Layers::kept, {}, false},
      {media_type::kOciLayer, {}, Layers::kept, {}, false},
      {media_type::kOciLayer, {}, Layers::compressed, {}, true},
      {media_type::kOciLayerZstd, {}, Layers::compressed, {}, false},
      {media_type::kOciLayerZstd, {}, Layers::kept, ManifestFormat::docker, true},
      {media_type::kOciLayerGzip, {}, Layers::any, ManifestFormat::docker, false},
      {media_type::kOciLayerGzip, {}, Layers::plain, {}, true},
      {media_type::kOciLayer, {}, Layers::plain, {}, false},
      {"application/vnd.example.data.tar+gzip", kZstd, Layers::any, {}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.type);
    MemorySource source;
    source.set_top(source.add_image(config_for({"the tar"}), {"layer"}, std::string(row.type)));
    CopyOptions options;
    options.compression = row.wanted;
    options.format = row.format;
    const CopyPlan plan = make_plan(source, options, {.layers = row.layers}, {});
    const PlannedBlob& layer = plan.blobs[plan.top().image->layers[0]];
    CHECK((layer.blob.form == Blob::Form::layer_tar) == row.is_made);
    CHECK(layer.is_recompressed == row.is_made);
    CHECK(plan.has_unmade_blobs() == row.is_made);
    CHECK(plan.changes.empty() == !(row.is_made || row.format));
    if (row.is_made) CHECK(layer.blob.diff_id == Digest::of("the tar"));
    options.preserve_digests = true;
    if (plan.changes.empty() || (!row.wanted && row.layers == Layers::compressed)) {
      CHECK(make_plan(source, options, {.layers = row.layers}, {}).changes.empty());
    } else {
      CHECK_THROWS_WITH_AS(make_plan(source, options, {.layers = row.layers}, {}),
                           doctest::Contains("--preserve-digests"), Error);
    }
  }
}

TEST_CASE("a layer whose tar the configuration does not name stays where it may") {
  MemorySource source;
  source.set_top(source.add_image("{}", {"layer"}, std::string(media_type::kOciLayer)));
  CopyOptions options;
  CHECK_FALSE(
      make_plan(source, options, {.layers = ImageForm::Layers::compressed}, {}).has_unmade_blobs());
  options.compression = LayerCompression::gzip;
  CHECK_THROWS_WITH_AS(make_plan(source, options, {}, {}), doctest::Contains("does not name"),
                       Error);
}

TEST_CASE("a child named twice is copied once") {
  MemorySource source;
  const std::string image = source.add_image("{}", {"layer"});
  source.set_top(source.add_index({{image, kAmd64}, {image, kArm64}}));
  const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::all), {}, {});
  CHECK(plan.nodes.size() == 2);
  CHECK(plan.top().index->children == std::vector<std::size_t>{0, 0});
}

TEST_CASE("a foreign layer with URLs stays where it is") {
  MemorySource source;
  source.add("{}");
  const std::string foreign =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)" +
      test::descriptor_json(std::string(media_type::kDockerConfig), "{}") + R"(,"layers":[)" +
      test::descriptor_json(std::string(media_type::kDockerForeignLayerGzip), "far away",
                            R"(,"urls":["https://example.com/x"])") +
      "]}";
  source.set_top(foreign);
  const CopyPlan plan = make_plan(source, CopyOptions(), {}, {});
  CHECK(plan.nodes[0].image->layers == std::vector<std::size_t>{CopyPlan::kNoBlob});
  CHECK(plan.blobs.size() == 1);
}

}  // namespace
}  // namespace tug
