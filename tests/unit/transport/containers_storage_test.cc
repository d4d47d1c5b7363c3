#include "transport/containers_storage.h"

#include "base/fd.h"
#include "support/error_of.h"
#include "support/read_all.h"
#include "unit/transport/storage_fixture.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error_parts;
using test::MadeLayer;
using test::make_layer;
using test::make_manifest;
using test::StoreFixture;

const std::string kConfig = R"({"architecture":"amd64","os":"linux"})";
const std::string kBase(64, '1');
const std::string kTop(64, '2');
const std::string kImage = "ab" + std::string(62, 'c');

StorageEnvironment bare_environment() {
  StorageEnvironment environment;
  environment.system_root = "/none";
  environment.variable = [](const char*) { return std::nullopt; };
  return environment;
}

std::unique_ptr<ImageSource> open(const StoreFixture& store, const std::string& image) {
  return open_containers_storage(
      StorageReference::parse("[" + store.driver() + "@" + store.root() + "]" + image),
      bare_environment(), nullptr, {});
}

std::string read_all(const Blob& blob) { return test::read_all(blob.open(0), 1000); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A store with one image of two layers, named localhost/many:3 and localhost/many:4.
class OneImage {
 public:
  OneImage() {
    store.add(base);
    store.add(top);
    manifest = make_manifest(kConfig, {base.tar, top.tar});
    digest = Digest::of(manifest).str();
    store.add_image(kImage, {"localhost/many:3", "localhost/many:4"}, kTop,
                    {{"manifest", manifest},
                     {"manifest-" + digest, manifest},
                     {Digest::of(kConfig).str(), kConfig}});
  }
  StoreFixture store;
  MadeLayer base = make_layer(kBase, "", {{"a", "content of a", '0', "", 0}});
  MadeLayer top = make_layer(kTop, kBase, {{"b", "content of b", '0', "", 0}});
  std::string manifest;
  std::string digest;
};

}  // namespace

TEST_CASE(
    "an image of the store yields its manifest, its config, and its layers as tars, base first") {
  OneImage image;
  const auto source = open(image.store, "localhost/many:3");
  CHECK(source->describe() ==
        "containers-storage:[overlay@" + image.store.root() + "]localhost/many:3");
  const RawManifest raw = source->manifest(std::stop_token());
  CHECK(raw.bytes == image.manifest);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  CHECK(read_all(source->blob(manifest.config())) == kConfig);
  const std::vector<Blob> layers = source->layers(manifest);
  REQUIRE(layers.size() == 2);
  CHECK(layers[0].form == Blob::Form::layer_tar);
  CHECK(layers[0].diff_id == image.base.diff_id());
  CHECK(layers[0].open_size == image.base.tar.size());
  CHECK(read_all(layers[0]) == image.base.tar);
  CHECK(read_all(layers[1]) == image.top.tar);
}

TEST_CASE("every form of a reference finds the image that it means, and no other") {
  OneImage image;
  const std::string other = Digest::of("other").str();
  const std::vector<std::string> good = {
      "localhost/many:3",
      "localhost/many:4",
      kImage,
      "@" + kImage,
      "abc",
      "@abc",
      "localhost/many:3@" + kImage,
      "localhost/many:zzz@" + kImage,
      "localhost/many@" + image.digest,
      "localhost/many:zzz@" + image.digest,
      "localhost/many@" + image.digest + "@" + kImage,
  };
  for (const std::string& text : good) {
    CAPTURE(text);
    CHECK(open(image.store, text)->manifest(std::stop_token()).bytes == image.manifest);
  }
  const std::vector<std::string> absent = {
      "many:3",
      "localhost/many",
      "localhost/many:5",
      "localhost/other:3@" + kImage,
      "localhost/other@" + image.digest,
      "localhost/many@" + other,
      "localhost/many@" + Digest::of(kConfig).str(),
      "@" + std::string(64, 'd'),
  };
  for (const std::string& text : absent) {
    CAPTURE(text);
    check_error_parts(ErrorKind::not_found, {"does not resolve to an image ID"},
                      [&] { open(image.store, text); });
  }
}

TEST_CASE("a name that is not there is answered with the one that is") {
  OneImage image;
  check_error_parts(ErrorKind::not_found,
                    {"docker.io/library/many:3", "the store has localhost/many:3"},
                    [&] { open(image.store, "many:3"); });
  check_error_parts(ErrorKind::not_found, {"the store has localhost/many:"},
                    [&] { open(image.store, "localhost/mani:3"); });
}

TEST_CASE("of several manifests the last is the default, and a digest chooses") {
  OneImage image;
  const std::string second = image.manifest + "\n";
  image.store.add_image(std::string(64, 'e'), {"localhost/two:1"}, kTop,
                        {{"manifest", second},
                         {"manifest-" + Digest::of(second).str(), second},
                         {"manifest-" + image.digest, image.manifest}});
  CHECK(open(image.store, "localhost/two:1")->manifest(std::stop_token()).bytes == second);
  CHECK(open(image.store, "localhost/two@" + image.digest)->manifest(std::stop_token()).bytes ==
        image.manifest);
}

TEST_CASE("the original blob of a layer is known when the store hashed it") {
  StoreFixture store;
  const std::string compressed = "the gzip of the layer";
  const MadeLayer base = make_layer(kBase, "", {{"a", "content", '0', "", 0}});
  const MadeLayer top = make_layer(kTop, kBase, {{"b", "content", '0', "", 0}});
  const std::string fields =
      R"(,"compressed-diff-digest":")" + Digest::of(compressed).str() + R"(","compressed-size":)";
  store.add(base, fields + std::to_string(compressed.size()));
  store.add(top, fields + "1");
  const std::string manifest = make_manifest(kConfig, {compressed, compressed});
  store.add_image(kImage, {"localhost/a:1"}, kTop, {{"manifest", manifest}});
  const auto source = open(store, "localhost/a:1");
  const std::vector<Blob> layers = source->layers(Manifest::parse(manifest));
  REQUIRE(layers.size() == 2);
  CHECK(layers[0].descriptor_verified);
  CHECK(layers[0].descriptor.digest == Digest::of(compressed));
  CHECK_FALSE(layers[1].descriptor_verified);  // another size than the manifest's
}

TEST_CASE(
    "the instances of a list are found in other records; those that are not there are named") {
  OneImage image;
  const std::string here = R"({"mediaType":")" + std::string(media_type::kOciManifest) +
                           R"(","digest":")" + image.digest + R"(","size":)" +
                           std::to_string(image.manifest.size()) +
                           R"(,"platform":{"os":"linux","architecture":"amd64"}})";
  const std::string absent = R"({"mediaType":")" + std::string(media_type::kOciManifest) +
                             R"(","digest":")" + Digest::of("x").str() +
                             R"(","size":1,"platform":{"os":"linux","architecture":"arm64"}})";
  const std::string list = R"({"schemaVersion":2,"mediaType":")" +
                           std::string(media_type::kOciIndex) + R"(","manifests":[)" + here + "," +
                           absent + "]}";
  image.store.add_image(std::string(64, 'f'), {"localhost/list:1"}, "", {{"manifest", list}});
  const auto source = open(image.store, "localhost/list:1");
  const RawManifest raw = source->manifest(std::stop_token());
  CHECK(raw.bytes == list);
  const Index index = Index::parse(raw.bytes, raw.media_type);
  const RawManifest instance = source->manifest(index.manifests().at(0), std::stop_token());
  CHECK(instance.bytes == image.manifest);
  const Manifest manifest = Manifest::parse(instance.bytes, instance.media_type);
  CHECK(read_all(source->layers(manifest).at(1)) == image.top.tar);
  CHECK(read_all(source->blob(manifest.config())) == kConfig);
  check_error_parts(ErrorKind::local, {"linux/arm64", Digest::of("x").str(), "not in the store"},
                    [&] { (void)source->manifest(index.manifests().at(1), std::stop_token()); });
}

TEST_CASE("an instance that no record has by its digest is read from where the list got it") {
  OneImage image;
  StoreFixture other("vfs");
  const MadeLayer layer = make_layer(kBase, "", {{"c", "of the other store", '0', "", 0}});
  const std::string config = R"({"architecture":"arm64","os":"linux"})";
  const std::string manifest = make_manifest(config, {layer.tar});
  other.add(layer);
  other.add_image(kImage, {"localhost/other:1"}, kBase,
                  {{"manifest", manifest}, {Digest::of(config).str(), config}});
  const std::string place = "containers-storage:[vfs@" + other.root() + "+/run]localhost/";
  const auto list_with = [&](const std::string& origin) {
    const std::string list = R"({"schemaVersion":2,"mediaType":")" +
                             std::string(media_type::kOciIndex) + R"(","manifests":[)" +
                             test::descriptor_json(media_type::kOciManifest, manifest) + "]}";
    image.store.add_image(std::string(64, 'f'), {"localhost/list:1"}, "",
                          {{"manifest", list},
                           {"instances.json", R"({"":"ffff",")" + Digest::of(manifest).str() +
                                                  R"(":")" + origin + "\"}"}});
    return open(image.store, "localhost/list:1");
  };
  const auto instance_of = [](ImageSource& source) {
    const Index index = Index::parse(source.manifest(std::stop_token()).bytes);
    return source.manifest(index.manifests().at(0), std::stop_token());
  };
  SUBCASE("another store") {
    const auto source = list_with(place + "other:1");
    const RawManifest instance = instance_of(*source);
    CHECK(instance.bytes == manifest);
    const Manifest parsed = Manifest::parse(instance.bytes, instance.media_type);
    CHECK(read_all(source->layers(parsed).at(0)) == layer.tar);
    CHECK(read_all(source->blob(parsed.config())) == config);
  }
  SUBCASE("an image that is not there any more") {
    check_error_parts(ErrorKind::local, {Digest::of(manifest).str(), "not in the store"},
                      [&] { (void)instance_of(*list_with(place + "gone:1")); });
  }
  SUBCASE("a name that means another image by now") {
    other.add_image(std::string(64, 'd'), {"localhost/moved:1"}, kBase,
                    {{"manifest", make_manifest(kConfig, {layer.tar})}});
    check_error_parts(ErrorKind::local, {Digest::of(manifest).str(), "not in the store"},
                      [&] { (void)instance_of(*list_with(place + "moved:1")); });
  }
  SUBCASE("no store") {
    check_error_parts(ErrorKind::local, {Digest::of(manifest).str(), "not in the store"},
                      [&] { (void)instance_of(*list_with("docker://reg.example/other:1")); });
  }
}

TEST_CASE("signatures in the store are told of, unless they may stay behind or are none") {
  struct Case {
    std::string key;
    std::string bytes;
    bool note_signatures;
    std::size_t notes;
  };
  const std::string own = "signature-" + std::string(64, 'a');
  for (const Case& c : {Case{"signatures", "signed", true, 1}, Case{own, "signed", true, 1},
                        Case{own, "", true, 0}, Case{own, "signed", false, 0}}) {
    CAPTURE(c.key);
    StoreFixture store;
    const MadeLayer layer = make_layer(kBase, "", {{"a", "content", '0', "", 0}});
    store.add(layer);
    store.add_image(kImage, {"localhost/signed:1"}, kBase,
                    {{"manifest", make_manifest(kConfig, {layer.tar})}, {c.key, c.bytes}});
    std::vector<std::string> notes;
    open_containers_storage(
        StorageReference::parse("[overlay@" + store.root() + "]localhost/signed:1"),
        bare_environment(), [&](std::string_view text) { notes.emplace_back(text); }, {},
        c.note_signatures);
    CHECK(notes.size() == c.notes);
    if (!notes.empty()) CHECK(notes[0].starts_with("tug copies no signatures"));
  }
}

TEST_CASE("damaged records and big data are errors that name the image or the file") {
  SUBCASE("another number of layers than the manifest names") {
    OneImage image;
    const std::string one = make_manifest(kConfig, {image.base.tar});
    image.store.add_image(std::string(64, 'e'), {"localhost/one:1"}, kTop, {{"manifest", one}});
    const auto source = open(image.store, "localhost/one:1");
    check_error_parts(ErrorKind::integrity, {"2 layers", "manifest names 1"},
                      [&] { (void)source->layers(Manifest::parse(one)); });
  }
  SUBCASE("a layer's record is missing") {
    OneImage image;
    image.store.dir().write("overlay-layers/layers.json", "[]");
    check_error_parts(ErrorKind::local, {kImage, "a record of its layers is missing"},
                      [&] { open(image.store, "localhost/many:3"); });
  }
  SUBCASE("the manifest is missing") {
    OneImage image;
    fs::remove(image.store.image_directory(kImage) + "/manifest");
    check_error_parts(ErrorKind::local, {kImage, "manifest is missing or damaged"},
                      [&] { open(image.store, "localhost/many:3"); });
  }
  SUBCASE("the manifest is another one") {
    OneImage image;
    image.store.dir().write("overlay-images/" + kImage + "/manifest", "{}");
    check_error_parts(ErrorKind::local, {kImage, "manifest is missing or damaged"},
                      [&] { open(image.store, "localhost/many:3"); });
  }
  SUBCASE("the config is another one") {
    OneImage image;
    const auto source = open(image.store, "localhost/many:3");
    const Descriptor config = Manifest::parse(image.manifest).config();
    const std::string file = "overlay-images/" + kImage + "/=" + base64_encode(config.digest.str());
    image.store.dir().write(file, std::string(kConfig.size(), ' '));
    check_error_parts(ErrorKind::integrity, {image.store.root() + "/" + file},
                      [&] { read_all(source->blob(config)); });
  }
  SUBCASE("images.json is broken") {
    OneImage image;
    image.store.dir().write("overlay-images/images.json", "[{");
    check_error_parts(ErrorKind::integrity, {"images.json"},
                      [&] { open(image.store, "localhost/many:3"); });
  }
}

TEST_CASE("a schema 1 image is refused clearly when its manifest is parsed") {
  StoreFixture store;
  const std::string schema1 =
      R"({"schemaVersion":1,"name":"x","tag":"1","architecture":"amd64","fsLayers":[],"history":[],"signatures":[{}]})";
  store.add_image(kImage, {"localhost/old:1"}, "", {{"manifest", schema1}});
  const auto source = open(store, "localhost/old:1");
  const RawManifest raw = source->manifest(std::stop_token());
  check_error_parts(ErrorKind::integrity, {"schema 1"},
                    [&] { parse_manifest_or_index(raw.bytes, raw.media_type); });
}

TEST_CASE("an image that is removed while it is read is an error") {
  OneImage image;
  const auto source = open(image.store, "localhost/many:3");
  const std::vector<Blob> layers = source->layers(Manifest::parse(image.manifest));
  fs::remove_all(image.store.layer_directory(kBase));
  check_error_parts(ErrorKind::local, {image.store.layer_directory(kBase), "removed"},
                    [&] { read_all(layers[0]); });
}

TEST_CASE("an image is deleted with the layers that nothing else needs") {
  if (::geteuid() != 0) return;
  OneImage one;
  StoreFixture& store = one.store;
  fs::create_directories(store.root() + "/overlay-containers");
  const auto erase = [&] {
    delete_from_containers_storage(
        StorageReference::parse("[overlay@" + store.root() + "]localhost/many:4"),
        bare_environment(), {});
  };
  const auto records = [&](const std::string& kind) {
    return read_file(store.root() + "/overlay-" + kind + "/" + kind + ".json", 1 << 20);
  };
  const std::string other(64, '3');
  bool base_stays = false;
  bool top_stays = false;
  SUBCASE("all of them") {}
  SUBCASE("not one under another image") {
    store.add_image(other, {}, kBase, {{"manifest", one.manifest}});
    base_stays = true;
  }
  SUBCASE("not one under a layer of this start of the machine") {
    store.dir().write("overlay-layers/volatile-layers.json",
                      R"([{"id":"x","parent":")" + kBase + R"("}])");
    base_stays = true;
  }
  SUBCASE("not one that is another image's for other users") {
    store.dir().write("overlay-images/images.json", R"([{"id":")" + other +
                                                        R"(","mapped-layers":[")" + kTop +
                                                        R"("]},)" + records("images").substr(1));
    base_stays = top_stays = true;
  }
  erase();
  CHECK_FALSE(contains(records("images"), kImage));
  CHECK_FALSE(fs::exists(store.image_directory(kImage)));
  for (const auto& layer : {std::pair{kBase, base_stays}, {kTop, top_stays}}) {
    const auto& id = layer.first;
    const bool stays = layer.second;
    CAPTURE(id);
    CHECK(contains(records("layers"), R"("id":")" + id) == stays);
    CHECK(fs::exists(store.layer_directory(id)) == stays);
    CHECK(fs::exists(store.tar_split_path(id)) == stays);
  }
  CHECK_FALSE(contains(records("layers"), "incomplete"));
  check_error_parts(ErrorKind::not_found, {"does not resolve to an image ID"}, erase);
}

TEST_CASE("an image that a container uses is not deleted") {
  if (::geteuid() != 0) return;
  for (const char* file : {"containers.json", "volatile-containers.json"}) {
    OneImage one;
    one.store.dir().write("overlay-containers/" + std::string(file),
                          R"([{"id":"the-container","image":")" + kImage + R"("}])");
    check_error_parts(ErrorKind::denied, {kImage, "used by the container the-container"}, [&] {
      delete_from_containers_storage(
          StorageReference::parse("[overlay@" + one.store.root() + "]localhost/many:3"),
          bare_environment(), {});
    });
    CHECK(open(one.store, "localhost/many:3")->manifest({}).bytes == one.manifest);
  }
}

TEST_CASE("the store and the driver come from the environment when the reference names none") {
  OneImage image;
  StorageEnvironment environment = bare_environment();
  const std::string conf = image.store.dir().write(
      "storage.conf", "[storage]\ngraphroot = '" + image.store.root() + "'\n");
  environment.variable = [&](const char* name) -> std::optional<std::string> {
    if (std::string_view(name) == "CONTAINERS_STORAGE_CONF") return conf;
    return std::nullopt;
  };
  const auto source = open_containers_storage(StorageReference::parse("localhost/many:4"),
                                              environment, nullptr, {});
  CHECK(source->describe() == "containers-storage:localhost/many:4");
  CHECK(source->manifest(std::stop_token()).bytes == image.manifest);
}

}  // namespace tug
