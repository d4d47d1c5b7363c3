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
  const CopyPlan plan = make_plan(source, CopyOptions(), {});
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
    const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::system), {});
    REQUIRE(plan.nodes.size() == 1);
    CHECK(plan.top().descriptor().digest == Digest::of(amd64));
  }
  SUBCASE("another platform") {
    CopyOptions options = options_for(InstanceSelection::Kind::system);
    options.platform = kArm64;
    CHECK(make_plan(source, options, {}).top().descriptor().digest == Digest::of(arm64));
  }
  SUBCASE("all: children before the index") {
    const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::all), {});
    REQUIRE(plan.nodes.size() == 3);
    CHECK(plan.top().index);
    CHECK(plan.top().index->children == std::vector<std::size_t>{0, 1});
    CHECK(plan.blobs.size() == 4);
  }
  SUBCASE("index only") {
    const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::index_only), {});
    REQUIRE(plan.nodes.size() == 1);
    CHECK(plan.blobs.empty());
  }
  SUBCASE("chosen platforms") {
    CopyOptions options = options_for(InstanceSelection::Kind::platforms);
    options.instances.platforms = {kArm64};
    const CopyPlan plan = make_plan(source, options, {});
    REQUIRE(plan.nodes.size() == 2);
    CHECK(plan.top().index->children == std::vector<std::size_t>{CopyPlan::kNoNode, 0});
  }
  SUBCASE("a platform that is not there names those that are") {
    CopyOptions options = options_for(InstanceSelection::Kind::system);
    options.platform = {"linux", "s390x", "", "", {}};
    try {
      make_plan(source, options, {});
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
    CHECK_THROWS_WITH_AS(make_plan(source, options_for(kind), {}),
                         doctest::Contains("nested more than 8 deep"), Error);
  }
}

TEST_CASE("a manifest of another format than was asked for is refused") {
  MemorySource source;
  source.set_top(source.add_image("{}", {"a layer"}));
  CopyOptions options;
  options.format = ManifestFormat::oci;
  CHECK_NOTHROW(make_plan(source, options, {}));
  options.format = ManifestFormat::docker;
  CHECK_THROWS_WITH_AS(make_plan(source, options, {}),
                       doctest::Contains("does not convert it to Docker's schema 2"), Error);
}

TEST_CASE("a child named twice is copied once") {
  MemorySource source;
  const std::string image = source.add_image("{}", {"layer"});
  source.set_top(source.add_index({{image, kAmd64}, {image, kArm64}}));
  const CopyPlan plan = make_plan(source, options_for(InstanceSelection::Kind::all), {});
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
  const CopyPlan plan = make_plan(source, CopyOptions(), {});
  CHECK(plan.nodes[0].image->layers == std::vector<std::size_t>{CopyPlan::kNoBlob});
  CHECK(plan.blobs.size() == 1);
}

}  // namespace
}  // namespace tug
