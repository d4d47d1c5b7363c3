#include "transport/storage_store.h"

#include "base/fd.h"
#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace tug {
namespace {

using test::TempDir;

std::string id(char c) { return std::string(64, c); }

std::string image(const std::string& id, const std::string& names, const std::string& more = {}) {
  return R"({"id":")" + id + R"(","names":[)" + names + "]" + more + "}";
}

std::string layer(const std::string& id, const std::string& parent, const std::string& more = {}) {
  return R"({"id":")" + id + R"(")" + (parent.empty() ? "" : R"(,"parent":")" + parent + R"(")") +
         more + "}";
}

StorageConfig config(const std::string& root, const std::string& driver = "overlay") {
  StorageConfig config;
  config.driver = driver;
  config.graph_root = root;
  return config;
}

StoreSnapshot snapshot(const StorageConfig& config) {
  return StoreSnapshot::read(StorePaths::find(config, nullptr));
}

const StoredImage& found(const StoreSnapshot& snapshot, std::string_view text) {
  const StoredImage* image = snapshot.find_image(text);
  REQUIRE(image != nullptr);
  return *image;
}

}  // namespace

TEST_CASE("an image is found by id, by exact name, by an unambiguous beginning of its id") {
  TempDir root;
  const std::string one = "abc1" + std::string(60, '0');
  const std::string two = "abc2" + std::string(60, '0');
  root.write("overlay-images/images.json", "[" + image(one, R"("localhost/a:1","localhost/a:2")") +
                                               "," + image(two, R"("abc1")") + "," +
                                               image(id('d'), "") + "]");
  const StoreSnapshot store = snapshot(config(root.path()));
  CHECK(found(store, one).id == one);
  CHECK(found(store, "localhost/a:2").id == one);
  CHECK(found(store, "abc2").id == two);
  CHECK(found(store, "abc1").id == two);  // a name wins over the beginning of an id
  CHECK(found(store, "d").id == id('d'));
  CHECK(store.find_image("abc") == nullptr);  // ambiguous
  CHECK(store.find_image("localhost/a") == nullptr);
  CHECK(store.find_image("") == nullptr);
}

TEST_CASE("several stores are searched in order, and the first one rules its images' names") {
  TempDir main;
  TempDir extra;
  TempDir images;
  main.write("overlay-images/images.json", "[" + image(id('a'), R"("x/a:new")") + "]");
  images.write("overlay-images/images.json", "[" + image(id('c'), R"("x/c:1")") + "]");
  extra.write("overlay-images/images.json",
              "[" + image(id('c'), R"("x/c:old")") + "," + image(id('b'), R"("x/b:1")") + "]");
  StorageConfig both = config(main.path());
  both.image_store = images.path();
  both.additional_image_stores = {extra.path(), main.path(), "/none"};
  const StoreSnapshot store = snapshot(both);
  CHECK(found(store, "x/a:new").id == id('a'));
  CHECK(found(store, "x/b:1").directory == extra.path() + "/overlay-images/" + id('b'));
  CHECK(found(store, "x/c:1").directory == images.path() + "/overlay-images/" + id('c'));
  CHECK(store.find_image("x/c:old") == nullptr);
}

TEST_CASE("layers are chained from base to top, over several stores") {
  TempDir main;
  TempDir extra;
  main.write("vfs-layers/layers.json",
             "[" + layer("top", "middle") + "," +
                 layer("dead", "base", R"(,"flags":{"incomplete":true})") + "," +
                 layer("on-dead", "dead") + "," + layer("loop", "loop") + "," +
                 layer("orphan", "gone") + "]");
  main.write("vfs-layers/volatile-layers.json",
             "[" + layer("middle", "base") + "," + layer("top", "other") + "]");
  extra.write("vfs-layers/layers.json", "[" + layer("base", "") + "," + layer("middle", "") + "]");
  StorageConfig both = config(main.path(), "vfs");
  both.additional_image_stores = {extra.path()};
  const StoreSnapshot store = snapshot(both);
  const auto chain = store.chain("top");
  REQUIRE(chain.has_value());
  REQUIRE(chain->size() == 3);
  CHECK(chain->at(0)->id == "base");
  CHECK(chain->at(1)->id == "middle");
  CHECK(chain->at(2)->id == "top");
  CHECK(store.chain("")->empty());
  for (const std::string broken : {"dead", "on-dead", "loop", "orphan", "none"}) {
    CAPTURE(broken);
    CHECK_FALSE(store.chain(broken).has_value());
  }
}

TEST_CASE("the fields of a layer that push needs") {
  const std::string digest = Digest::of("x").str();
  const std::string other = Digest::of("y").str();
  const auto layers = detail::parse_layers(
      "[" +
          layer("a", "",
                R"(,"diff-digest":")" + digest + R"(","diff-size":3,"compressed-diff-digest":")" +
                    other + R"(","compressed-size":2,"compression":2,"uidset":[0],"unknown":{})") +
          "]",
      "layers.json");
  REQUIRE(layers.size() == 1);
  CHECK(layers[0].diff_id == Digest::of("x"));
  CHECK(layers[0].diff_size == 3);
  CHECK(layers[0].compressed_digest == Digest::of("y"));
  CHECK(layers[0].compressed_size == 2);
  const auto toc = detail::parse_layers(
      "[" +
          layer("a", "",
                R"(,"diff-size":-1,"toc-digest":")" + other +
                    R"(","flags":{"expected-layer-diffid":")" + digest + R"("})") +
          "]",
      "layers.json");
  CHECK(toc.at(0).diff_id == Digest::of("x"));
  CHECK_FALSE(toc.at(0).diff_size.has_value());
}

TEST_CASE("big data files are named as containers/storage names them") {
  const auto images =
      detail::parse_images("[" + image(id('a'), "") + "]", "images.json", "/s/overlay-images", 0);
  const StoredImage& stored = images.at(0);
  CHECK(stored.big_data_path("manifest") == "/s/overlay-images/" + id('a') + "/manifest");
  CHECK(stored.big_data_path("instances.json") ==
        "/s/overlay-images/" + id('a') + "/instances.json");
  CHECK(stored.big_data_path("sha256:ab") == "/s/overlay-images/" + id('a') + "/=c2hhMjU2OmFi");
  CHECK(stored.big_data_path("signature-1") ==
        "/s/overlay-images/" + id('a') + "/=c2lnbmF0dXJlLTE=");
}

TEST_CASE("a digest means an image by its record or by any of its manifests") {
  const Digest stale = Digest::of("stale");
  const Digest one = Digest::of("1");
  const Digest config_digest = Digest::of("config");
  const auto images = detail::parse_images(
      "[" +
          image(id('a'), R"("h/n:1","h/m@)" + one.str() + R"(")",
                R"(,"digest":")" + stale.str() + R"(","big-data-digests":{"manifest":")" +
                    one.str() + R"(","manifest-)" + stale.str() + R"(":")" + stale.str() +
                    R"(",")" + config_digest.str() + R"(":")" + config_digest.str() + R"("})") +
          "]",
      "images.json", "/s", 0);
  const StoredImage& stored = images.at(0);
  CHECK(stored.has_manifest_digest(stale));
  CHECK(stored.has_manifest_digest(one));
  CHECK_FALSE(stored.has_manifest_digest(config_digest));
  CHECK(stored.manifest_key(one) == "manifest");
  CHECK(stored.manifest_key(stale) == "manifest-" + stale.str());
  CHECK(stored.manifest_key(config_digest) == "");
  CHECK(stored.has_name_in("h/n"));
  CHECK(stored.has_name_in("h/m"));
  CHECK_FALSE(stored.has_name_in("h"));
}

TEST_CASE("missing and empty record files are empty stores") {
  TempDir root;
  CHECK(snapshot(config(root.path())).images().empty());
  root.write("overlay-images/images.json", "");
  root.write("overlay-layers/layers.json", " \n");
  CHECK(snapshot(config(root.path())).images().empty());
  root.write("overlay-images/images.json", "null");
  CHECK(snapshot(config(root.path())).images().empty());
}

TEST_CASE("broken records are an error that names the file") {
  for (const std::string text :
       {"[", "{}", "[{}]", R"([{"id":"../../etc"}])", R"([{"id":"a/b"}])", R"([{"id":".."}])",
        R"([{"id":"a","layer":"/x"}])", R"([{"id":"a","id":"b"}])"}) {
    CAPTURE(text);
    TempDir root;
    root.write("overlay-images/images.json", text);
    try {
      snapshot(config(root.path()));
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::integrity);
      CHECK(std::string(error.what()).find(root.path() + "/overlay-images/images.json") !=
            std::string::npos);
    }
  }
  TempDir root;
  root.write("overlay-layers/layers.json", R"([{"id":"a","parent":"../x"}])");
  CHECK_THROWS_AS(snapshot(config(root.path())), Error);
}

TEST_CASE("the driver is the one that has images; of several the preferred, with a note") {
  TempDir root;
  std::vector<std::string> notes;
  const auto note = [&](std::string_view text) { notes.emplace_back(text); };
  StorageConfig any = config(root.path(), "");
  try {
    StorePaths::find(any, note);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::not_found);
  }
  root.write("vfs-images/images.json", "[]");
  CHECK(StorePaths::find(any, note).driver == "vfs");
  CHECK(notes.empty());
  root.write("overlay-images/images.json", "[]");
  CHECK(StorePaths::find(any, note).driver == "overlay");
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("overlay, vfs") != std::string::npos);
  any.driver_priority = {"vfs"};
  CHECK(StorePaths::find(any, note).driver == "vfs");
  any.driver = "overlay";
  CHECK(StorePaths::find(any, note).driver == "overlay");
}

TEST_CASE("drivers that cannot be read are refused by name, with a way round") {
  TempDir root;
  for (const std::string driver : {"btrfs", "zfs"}) {
    root.write(driver + "-images/images.json", "[]");
    try {
      StorePaths::find(config(root.path(), driver), nullptr);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(error.message().find(driver) != std::string::npos);
      CHECK(error.hint().find("podman save") != std::string::npos);
    }
  }
  CHECK_THROWS_AS(StorePaths::find(config(root.path(), "aufs"), nullptr), Error);
}

TEST_CASE("a store is read while another process holds its lock, and no lock file is made") {
  TempDir root;
  root.write("overlay-images/images.json", "[" + image(id('a'), R"("x/a:1")") + "]");
  CHECK(snapshot(config(root.path())).images().size() == 1);
  CHECK_FALSE(std::filesystem::exists(root.path() + "/overlay-images/images.lock"));
  root.write("overlay-images/images.lock", "");
  const UniqueFd holder(::open(root.at("overlay-images/images.lock").c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  REQUIRE(::fcntl(holder.get(), F_OFD_SETLK, &lock) == 0);
  CHECK(snapshot(config(root.path())).images().size() == 1);
  lock.l_type = F_UNLCK;
  REQUIRE(::fcntl(holder.get(), F_OFD_SETLK, &lock) == 0);
  CHECK(snapshot(config(root.path())).images().size() == 1);
  lock.l_type = F_WRLCK;  // nothing of ours is left on the file
  CHECK(::fcntl(holder.get(), F_OFD_SETLK, &lock) == 0);
}

}  // namespace tug
