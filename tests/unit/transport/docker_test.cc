#include "transport/docker.h"

#include "support/error_of.h"
#include "support/read_all.h"
#include "support/some_bytes.h"
#include "unit/transport/registry_fixture.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <doctest/doctest.h>

#include <initializer_list>
#include <stop_token>
#include <string>
#include <vector>

namespace tug {
namespace {

using test::ClientFixture;
using test::ScriptedRegistry;

const std::string kConfig = R"({"architecture":"amd64","os":"linux"})";
const std::stop_token kNoStop;

std::string descriptor_json(std::string_view type, const std::string& bytes) {
  return R"({"mediaType":")" + std::string(type) + R"(","digest":")" + Digest::of(bytes).str() +
         R"(","size":)" + std::to_string(bytes.size()) + "}";
}

const std::string kManifest = R"({"schemaVersion":2,"mediaType":")" +
                              std::string(media_type::kOciManifest) + R"(","config":)" +
                              descriptor_json(media_type::kOciConfig, kConfig) + R"(,"layers":[)" +
                              descriptor_json(media_type::kOciLayerGzip, "layer") + "]}";

// A registry with the image team/app:1.
class Published : public ScriptedRegistry {
 public:
  Published() {
    const std::string type(media_type::kOciManifest);
    content["/v2/team/app/manifests/1"] = {type, kManifest};
    content["/v2/team/app/manifests/" + Digest::of(kManifest).str()] = {type, kManifest};
    content["/v2/team/app/blobs/" + Digest::of(kConfig).str()] = {"application/octet-stream",
                                                                  kConfig};
  }
};

Descriptor manifest_descriptor(std::uint64_t size = kManifest.size()) {
  return {
      std::string(media_type::kOciManifest), Digest::of(kManifest), size, {}, {}, "", std::nullopt};
}

ErrorKind kind_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  FAIL("no error");
  return ErrorKind::usage;
}

}  // namespace

TEST_CASE("a registry as source gives the manifest of a tag or digest, and small blobs") {
  Published registry;
  ClientFixture client;
  const auto source =
      open_registry_source(client.hosts, registry.reference("team/app:1"), client.access, kNoStop);
  CHECK(source->describe() == "docker://" + registry.server().authority() + "/team/app:1");
  REQUIRE(source->repository().has_value());
  CHECK(source->repository()->repository() == "team/app");
  const RawManifest raw = source->manifest(kNoStop);
  CHECK(raw.bytes == kManifest);
  CHECK(raw.media_type == media_type::kOciManifest);
  CHECK(source->manifest(manifest_descriptor(), kNoStop).bytes == kManifest);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  const auto config = source->blob(manifest.config()).open(2);
  std::vector<std::byte> buffer(100);
  REQUIRE(config->read(buffer) == kConfig.size() - 2);
  CHECK(std::string(reinterpret_cast<const char*>(buffer.data()), kConfig.size() - 2) ==
        kConfig.substr(2));
}

TEST_CASE("a manifest of another size than its descriptor says is refused") {
  Published registry;
  ClientFixture client;
  const auto source =
      open_registry_source(client.hosts, registry.reference("team/app:1"), client.access, kNoStop);
  CHECK(kind_of([&] {
          (void)source->manifest(manifest_descriptor(kManifest.size() + 1), kNoStop);
        }) == ErrorKind::integrity);
}

TEST_CASE("a tag that is not there has the one that was meant as a hint, if there is a list") {
  Published registry;
  ClientFixture client;
  const auto hint = [&](const std::string& rest) {
    const auto source =
        open_registry_source(client.hosts, registry.reference(rest), client.access, kNoStop);
    try {
      (void)source->manifest(kNoStop);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::not_found);
      CHECK(error.http_status() == 404);
      return error.hint();
    }
    return std::string("no error");
  };
  const std::string name = registry.server().authority() + "/team/app";
  struct Case {
    const char* list;
    const char* rest;
    std::string hint;
  };
  const std::string none;
  const Case cases[] = {
      {R"({"name":"team/app","tags":["1.0","v1.10","latest"]})", "team/app:v1.1O",
       "did you mean " + name + ":v1.10?"},
      {R"({"tags":["1.0","latest2"]})", "team/app", "did you mean " + name + ":latest2?"},
      {R"({"tags":["1.0","v1.10"]})", "team/app:something", none},
      {R"({"tags":["v1.1O"]})", "team/app:v1.1O", none},
      {R"({"tags":null})", "team/app:v1.1O", none},
      {R"({"tags":["not a tag"]})", "team/app:v1.1O", none},
      {R"(<html>)", "team/app:v1.1O", none},
  };
  for (const Case& c : cases) {
    CAPTURE(c.list);
    registry.content["/v2/team/app/tags/list"] = {"application/json", c.list};
    CHECK(hint(c.rest) == c.hint);
  }
  registry.content.erase("/v2/team/app/tags/list");
  CHECK(hint("team/app:v1.1O").empty());
  registry.content["/v2/team/app/tags/list"] = {"application/json", R"({"tags":["1.0"]})"};
  CHECK(hint("team/app@" + Digest::of("").str()).empty());
}

TEST_CASE("layers of a registry are read, small ones and large ones") {
  Published registry;
  const std::string large = test::some_bytes(1'000'000);
  registry.content["/v2/team/app/blobs/" + Digest::of("layer").str()] = {"", "layer"};
  registry.content["/v2/team/app/blobs/" + Digest::of(large).str()] = {"", large};
  ClientFixture client;
  const auto source =
      open_registry_source(client.hosts, registry.reference("team/app:1"), client.access, kNoStop);
  const auto layers = source->layers(Manifest::parse(kManifest));
  REQUIRE(layers.size() == 1);
  CHECK(test::read_all(layers[0].open(0)) == "layer");
  CHECK(test::read_all(layers[0].open(3)) == "er");
  const Descriptor descriptor{.media_type = "", .digest = Digest::of(large), .size = large.size()};
  CHECK(test::read_all(source->blob(descriptor).open(0)) == large);
  CHECK(test::read_all(source->blob(descriptor).open(999'000)) == large.substr(999'000));
}

TEST_CASE("what is not there as a source is not found") {
  Published registry;
  ClientFixture client;
  const auto absent =
      open_registry_source(client.hosts, registry.reference("team/app:2"), client.access, kNoStop);
  CHECK(kind_of([&] { (void)absent->manifest(kNoStop); }) == ErrorKind::not_found);
  const auto layers = absent->layers(Manifest::parse(kManifest));
  REQUIRE(layers.size() == 1);
  CHECK(kind_of([&] { layers[0].open(0); }) == ErrorKind::not_found);
}

TEST_CASE("mirrors are asked first; what they have not, and break off, comes from the registry") {
  const std::string large = test::some_bytes(1'000'000);
  const Descriptor large_blob{.media_type = "", .digest = Digest::of(large), .size = large.size()};
  const std::string large_path = "/v2/team/app/blobs/" + large_blob.digest.str();
  const std::string manifest_path = "/v2/team/app/manifests/1";
  Published registry;
  registry.content["/v2/team/app/blobs/" + Digest::of("layer").str()] = {"", "layer"};
  registry.content[large_path] = {"", large};
  ScriptedRegistry empty;
  Published mirror;  // without the layers
  ClientFixture client;
  const auto use = [&](std::initializer_list<const ScriptedRegistry*> mirrors) {
    std::string conf = "[[registry]]\nlocation = \"" + registry.server().authority() + "\"\n";
    for (const ScriptedRegistry* each : mirrors)
      conf += "[[registry.mirror]]\nlocation = \"" + each->server().authority() + "\"\n";
    client.registries_conf.merge(conf, "test.conf");
  };
  const auto open = [&] {
    return open_registry_source(client.hosts, registry.reference("team/app:1"), client.access,
                                kNoStop);
  };
  use({&empty, &mirror});
  const auto source = open();
  CHECK(source->describe() == "docker://" + registry.server().authority() + "/team/app:1");
  CHECK(source->manifest(kNoStop).bytes == kManifest);
  CHECK(registry.server().request_count() == 0);
  CHECK(source->repository()->registry() == mirror.server().authority());
  const Manifest manifest = Manifest::parse(kManifest);
  CHECK(test::read_all(source->blob(manifest.config()).open(0)) == kConfig);
  const std::size_t asked_of_empty = empty.server().request_count();
  CHECK(registry.server().request_count() == 0);
  CHECK(test::read_all(source->blob(large_blob).open(10)) == large.substr(10));
  CHECK(test::read_all(source->layers(manifest)[0].open(0)) == "layer");
  CHECK(empty.server().request_count() == asked_of_empty);

  client.access.no_mirrors = true;
  const std::size_t before = mirror.server().request_count();
  CHECK(open()->manifest(kNoStop).bytes == kManifest);
  CHECK(mirror.server().request_count() == before);
  client.access.no_mirrors = false;

  // Nobody has it: the registry's own answer decides, the mirrors' stand beside it.
  registry.content.erase(manifest_path);
  mirror.content.erase(manifest_path);
  const Error error = test::error_of([&] { (void)open()->manifest(kNoStop); });
  CAPTURE(std::string(error.what()));
  CHECK(error.kind() == ErrorKind::not_found);
  CHECK(error.http_status() == 404);
  for (const ScriptedRegistry* each :
       std::initializer_list<const ScriptedRegistry*>{&empty, &mirror})
    CHECK(
        std::string(error.what()).find("its mirror " + each->server().authority() + "/team/app") !=
        std::string::npos);
}

TEST_CASE("credentials that were given for a registry go to no mirror of it") {
  const auto basic = [](const test::HttpRequest& request, test::HttpConnection& connection) {
    if (request.path() == "/v2/team/app/manifests/1" && request.has_header("Authorization"))
      return connection.send(
          {200, {{"Content-Type", std::string(media_type::kOciManifest)}}, kManifest});
    connection.send({401, {{"WWW-Authenticate", "Basic realm=\"x\""}}, ""});
  };
  test::HttpServer registry(basic);
  test::HttpServer mirror(basic);
  ClientFixture client;
  client.registries_conf.merge("[[registry]]\nlocation = \"" + registry.authority() +
                                   "\"\n[[registry.mirror]]\nlocation = \"" + mirror.authority() +
                                   "\"\n",
                               "test.conf");
  client.access.anonymous = false;
  client.access.authfile = "/dev/null";
  client.access.credentials = {"me", Secret("secret")};
  const auto source = open_registry_source(
      client.hosts, RegistryReference::parse(registry.authority() + "/team/app:1"), client.access,
      kNoStop);
  CHECK(source->manifest(kNoStop).bytes == kManifest);
  CHECK(mirror.request_count() > 0);
  for (const test::HttpRequest& request : mirror.requests())
    CHECK_FALSE(request.has_header("Authorization"));
}

TEST_CASE(
    "a registry as destination knows what is there, and takes what is broken there for absent") {
  Published registry;
  registry.content["/v2/team/app/manifests/bad"] = {std::string(media_type::kOciManifest),
                                                    std::string(5 << 20, ' ')};
  ClientFixture client;
  const auto open = [&](const std::string& rest) {
    return open_registry_destination(client.hosts, registry.reference(rest), client.access,
                                     kNoStop);
  };
  const auto here = open("team/app:1");
  CHECK(here->tag() == "1");
  CHECK(here->existing(kNoStop)->digest == Digest::of(kManifest));
  CHECK(here->existing_manifest(kNoStop)->bytes == kManifest);
  CHECK(here->read_small_blob(Manifest::parse(kManifest).config(), kNoStop) == kConfig);
  CHECK(here->has_manifest(manifest_descriptor(), kNoStop));
  CHECK(here->has_blob(Manifest::parse(kManifest).config(), kNoStop));
  CHECK(here->blob_size(Digest::of(kConfig), kNoStop) == kConfig.size());

  const auto absent = open("team/app:2");
  CHECK_FALSE(absent->existing(kNoStop).has_value());
  CHECK_FALSE(absent->existing_manifest(kNoStop).has_value());
  CHECK_FALSE(absent->has_blob(Manifest::parse(kManifest).layers()[0], kNoStop));
  CHECK_FALSE(absent->read_small_blob(Manifest::parse(kManifest).layers()[0], kNoStop).has_value());

  CHECK_FALSE(open("team/app:bad")->existing_manifest(kNoStop).has_value());
  CHECK_FALSE(open("team/app@" + Digest::of(kManifest).str())->tag().has_value());
}

TEST_CASE("only a sibling repository of the same registry is asked for a mount") {
  Published registry;
  ClientFixture client;
  const auto destination = open_registry_destination(client.hosts, registry.reference("team/app:1"),
                                                     client.access, kNoStop);
  const Descriptor layer = Manifest::parse(kManifest).layers()[0];
  CHECK_FALSE(
      destination->mount_blob(layer, RegistryReference::parse("other.example/team/base"), kNoStop));
  CHECK_FALSE(destination->mount_blob(layer, registry.reference("team/app"), kNoStop));
  CHECK(registry.server().request_count() == 0);
  CHECK_FALSE(destination->mount_blob(layer, registry.reference("team/base"),
                                      kNoStop));  // this registry answers 404
  CHECK(registry.server().request_count() > 0);
}

}  // namespace tug
