#include "support/error_of.h"
#include "support/read_all.h"
#include "support/temp_dir.h"
#include "transport/oci_layout.h"
#include "unit/transport/directory_fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error_parts;
using test::kNobody;
using test::kNoStop;
using test::MemorySource;
using test::TempDir;

std::unique_ptr<ImageDestination> open_at(const std::string& path, const std::string& name = "",
                                          std::vector<std::string>* notes = nullptr) {
  return open_oci_layout_destination(OciReference::parse(name.empty() ? path : path + ":" + name),
                                     std::nullopt, ImageForm::Layers::compressed,
                                     [notes](std::string_view text) {
                                       if (notes != nullptr) notes->emplace_back(text);
                                     });
}

std::string blob_path(const std::string& bytes) {
  return "blobs/sha256/" + std::string(Digest::of(bytes).hex());
}

// One image, copied to `path`.
void copy_image_to(const std::string& path, const std::string& name,
                   const std::string& config = "{}") {
  MemorySource source;
  const std::string text = source.add_image(config, {"layer of " + config});
  const auto destination = open_at(path, name);
  put_image(*destination, source, text);
  destination->finish(kNoStop);
}

std::string manifest_of(const std::string& path, const std::string& name) {
  return open_oci_layout(OciReference::parse(path + ":" + name), std::nullopt)
      ->manifest(kNoStop)
      .bytes;
}

}  // namespace

TEST_CASE("an image is written as a layout, and read back") {
  const TempDir dir;
  const std::string path = dir.path() + "/new";
  MemorySource source;
  const std::string text = source.add_image("{}", {"one", "two"});
  {
    const auto destination = open_at(path, "1.0");
    CHECK(destination->describe() == "oci:" + path + ":1.0");
    CHECK(destination->tag() == "1.0");
    CHECK_FALSE(destination->repository().has_value());
    CHECK_FALSE(destination->existing(kNoStop).has_value());
    CHECK_FALSE(fs::exists(path));  // nothing is made by looking
    put_image(*destination, source, text);
    CHECK_FALSE(fs::exists(path + "/index.json"));
    destination->finish(kNoStop);
  }
  CHECK(test::files_in(path) == std::set<std::string>{"oci-layout", "index.json", blob_path("{}"),
                                                      blob_path("one"), blob_path("two"),
                                                      blob_path(text)});
  CHECK(read_file(path + "/oci-layout", 100) == R"({"imageLayoutVersion": "1.0.0"})");
  const auto back = open_oci_layout(OciReference::parse(path + ":1.0"), std::nullopt);
  const RawManifest raw = back->manifest(kNoStop);
  CHECK(raw.bytes == text);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  CHECK(test::read_all(back->layers(manifest).at(1).open(0)) == "two");
  CHECK(test::read_all(back->blob(manifest.config()).open(0)) == "{}");
  const auto again = open_at(path, "1.0");
  REQUIRE(again->existing(kNoStop).has_value());
  CHECK(again->existing(kNoStop)->digest == Digest::of(text));
  CHECK(again->existing_manifest(kNoStop)->bytes == text);
  CHECK(again->read_small_blob(manifest.config(), kNoStop) == "{}");
  CHECK(again->blob_size(Digest::of("two"), kNoStop) == 3);
  CHECK_FALSE(open_at(path, "2")->existing(kNoStop).has_value());
}

TEST_CASE("what is not whole does not count as there") {
  const TempDir dir;
  copy_image_to(dir.path(), "1");
  const std::string layer = dir.path() + "/" + blob_path("layer of {}");
  fs::resize_file(layer, 3);
  const auto destination = open_at(dir.path(), "1");
  CHECK_FALSE(destination->existing(kNoStop).has_value());
  CHECK_FALSE(destination->has_blob(test::blob_of("layer of {}").descriptor, kNoStop));
  destination->put_blob(test::blob_of("layer of {}"), kNobody, kNoStop);
  CHECK(read_file(layer, 100) == "layer of {}");
  CHECK(destination->existing(kNoStop).has_value());
}

TEST_CASE("images of other names stay, one of the same name is replaced") {
  const TempDir dir;
  copy_image_to(dir.path(), "1", R"({"a":1})");
  const std::string first = manifest_of(dir.path(), "1");
  copy_image_to(dir.path(), "2", R"({"a":2})");
  CHECK(manifest_of(dir.path(), "1") == first);
  const std::string second = manifest_of(dir.path(), "2");
  copy_image_to(dir.path(), "1", R"({"a":3})");
  CHECK(manifest_of(dir.path(), "1") != first);
  CHECK(manifest_of(dir.path(), "2") == second);
}

TEST_CASE("many that write into one layout at the same time all find their image there") {
  const TempDir dir;
  const std::string path = dir.path() + "/layout";
  std::vector<std::thread> writers;
  for (int i = 0; i < 12; ++i) {
    writers.emplace_back([&path, i] {
      copy_image_to(path, "v" + std::to_string(i), "{\"n\":" + std::to_string(i % 3) + "}");
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (int i = 0; i < 12; ++i) CHECK_FALSE(manifest_of(path, "v" + std::to_string(i)).empty());
  for (const std::string& file : test::files_in(path))
    CHECK(file.find(".tug") == std::string::npos);
}

TEST_CASE("an index has its images in the layout, and alone stands in index.json") {
  const TempDir dir;
  MemorySource source;
  const std::string amd64 = source.add_image("{}", {"amd64"});
  const std::string arm64 = source.add_image("{ }", {"arm64"});
  const std::string index = source.add_index(
      {{amd64, Platform::parse("linux/amd64")}, {arm64, Platform::parse("linux/arm64")}});
  const auto destination = open_at(dir.path(), "all");
  put_image(*destination, source, index, std::string(media_type::kOciIndex));
  destination->finish(kNoStop);
  CHECK(manifest_of(dir.path(), "all") == index);
  CHECK(open_oci_layout(OciReference::parse(dir.path()), std::nullopt)
            ->manifest(test::descriptor_of(arm64, media_type::kOciManifest), kNoStop)
            .bytes == arm64);
  CHECK(destination->has_manifest(test::descriptor_of(amd64, media_type::kOciManifest), kNoStop));
  fs::remove(dir.path() + "/" + blob_path("arm64"));
  CHECK_FALSE(
      destination->has_manifest(test::descriptor_of(arm64, media_type::kOciManifest), kNoStop));
}

TEST_CASE("content that is not what its name says never gets it") {
  const TempDir dir;
  const auto destination = open_at(dir.path());
  const Descriptor expected = test::blob_of("expected").descriptor;
  for (const char* content : {"expectex", "expecte", "expected and more", ""}) {
    CAPTURE(content);
    check_error_parts(ErrorKind::integrity, {dir.path() + "/" + blob_path("expected")}, [&] {
      destination->put_blob(test::blob_called(expected, content), kNobody, kNoStop);
    });
  }
  CHECK(test::files_in(dir.path()) == std::set<std::string>{"oci-layout"});
}

TEST_CASE("a blob that is made while it is written gets the name that it turns out to have") {
  const TempDir dir;
  const auto destination = open_at(dir.path());
  const Descriptor made = destination->put_stream(test::stream_of("made"), kNobody, kNoStop);
  CHECK(made == test::descriptor_of("made", media_type::kOciLayerGzip));
  CHECK(read_file(dir.path() + "/" + blob_path("made"), 100) == "made");
}

TEST_CASE("a stop leaves nothing of the blob behind") {
  const TempDir dir;
  const auto destination = open_at(dir.path());
  std::stop_source stop;
  stop.request_stop();
  check_error_parts(ErrorKind::interrupted, {}, [&] {
    destination->put_blob(test::blob_of("content"), kNobody, stop.get_token());
  });
  CHECK(test::files_in(dir.path()) == std::set<std::string>{"oci-layout"});
}

TEST_CASE("blobs go to a directory that layouts share") {
  const TempDir dir;
  const std::string shared = dir.path() + "/shared";
  const std::string path = dir.path() + "/layout";
  MemorySource source;
  const std::string text = source.add_image("{}", {"one"});
  const auto destination = open_oci_layout_destination(OciReference::parse(path + ":1"), shared,
                                                       ImageForm::Layers::compressed, nullptr);
  put_image(*destination, source, text);
  destination->finish(kNoStop);
  CHECK(test::files_in(path) == std::set<std::string>{"oci-layout", "index.json"});
  CHECK(fs::is_directory(path + "/blobs"));
  CHECK(test::files_in(shared).count("sha256/" + std::string(Digest::of("one").hex())) == 1);
  CHECK(open_oci_layout(OciReference::parse(path + ":1"), shared)->manifest(kNoStop).bytes == text);
  // The same image again, where another directory does not have its blobs.
  CHECK(destination->existing(kNoStop).has_value());
  CHECK_FALSE(open_at(path, "1")->existing(kNoStop).has_value());
}

TEST_CASE("a Docker manifest stays what it is, which the user is told") {
  const TempDir dir;
  const std::string type(media_type::kDockerManifest);
  MemorySource source;
  source.add("{}");
  const std::string text = R"({"schemaVersion":2,"mediaType":")" + type + R"(","config":)" +
                           test::descriptor_json(std::string(media_type::kDockerConfig), "{}") +
                           R"(,"layers":[]})";
  std::vector<std::string> notes;
  const auto destination = open_at(dir.path(), "1", &notes);
  put_image(*destination, source, text, type);
  destination->finish(kNoStop);
  CHECK(manifest_of(dir.path(), "1") == text);
  REQUIRE(notes.size() == 1);
  CHECK(notes.front().find("Docker manifest") != std::string::npos);
}

TEST_CASE("what a broken off copy left, or one that has just begun") {
  const TempDir dir;
  dir.write("layout/.tug-0123456789abcdef.tmp", "{");
  fs::create_directory(dir.path() + "/layout/blobs");
  copy_image_to(dir.path() + "/layout", "1", "{}");
  CHECK_FALSE(manifest_of(dir.path() + "/layout", "1").empty());
}

TEST_CASE("what is no layout is refused, with its name, and stays as it is") {
  struct Case {
    std::string name;
    ErrorKind kind;
    std::function<std::vector<std::string>(const TempDir&)> make;  // what the message must say
  };
  const Case cases[] = {
      {"a directory with something else", ErrorKind::local,
       [](const TempDir& dir) {
         dir.write("layout/precious", "x");
         return std::vector<std::string>{dir.path() + "/layout is not empty", "oci-layout"};
       }},
      {"a file", ErrorKind::local,
       [](const TempDir& dir) {
         dir.write("layout", "x");
         return std::vector<std::string>{dir.path() + "/layout", "oci-archive:"};
       }},
      {"another version", ErrorKind::integrity,
       [](const TempDir& dir) {
         dir.write("layout/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
         return std::vector<std::string>{dir.path() + "/layout/oci-layout", "2.0.0"};
       }},
      {"a broken index.json", ErrorKind::integrity,
       [](const TempDir& dir) {
         dir.write("layout/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
         dir.write("layout/index.json", R"({"schemaVersion":2,"manifests":[)");
         return std::vector<std::string>{dir.path() + "/layout/index.json"};
       }},
      {"a link to nowhere", ErrorKind::local,
       [](const TempDir& dir) {
         fs::create_symlink("nowhere", dir.path() + "/layout");
         return std::vector<std::string>{dir.path() + "/layout", "does not exist"};
       }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const TempDir dir;
    const std::vector<std::string> parts = c.make(dir);
    const auto before = test::files_in(dir.path());
    check_error_parts(c.kind, parts, [&] { open_at(dir.path() + "/layout", "1"); });
    CHECK(test::files_in(dir.path()) == before);
  }
  const TempDir dir;
  check_error_parts(ErrorKind::local, {dir.path() + "/no does not exist"},
                    [&] { open_at(dir.path() + "/no/layout"); });
  check_error_parts(ErrorKind::usage, {":@1", "a position is for reading"},
                    [&] { open_at(dir.path(), "@1"); });
  check_error_parts(ErrorKind::usage, {"no image can have the name \"_\""},
                    [&] { open_at(dir.path(), "_"); });
}

TEST_CASE("an empty directory becomes a layout, and so does what a copy left that broke off") {
  for (const char* left : {"", "blobs", "blobs/sha256"}) {
    CAPTURE(left);
    const TempDir dir;
    fs::create_directories(dir.path() + "/" + left);
    copy_image_to(dir.path(), "1");
    CHECK_FALSE(manifest_of(dir.path(), "1").empty());
  }
  const TempDir dir;
  open_at(dir.path(), "1")->put_blob(test::blob_of("layer of {}"), kNobody, kNoStop);
  copy_image_to(dir.path(), "1");
  CHECK_FALSE(manifest_of(dir.path(), "1").empty());
}

TEST_CASE("no link leads a writer out of the layout") {
  const TempDir outside;
  const TempDir dir;
  fs::create_directory(outside.path() + "/sha256");
  dir.write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  fs::create_directory_symlink(outside.path(), dir.path() + "/blobs");
  const auto destination = open_at(dir.path(), "1");
  check_error_parts(ErrorKind::local, {dir.path() + "/blobs"},
                    [&] { destination->put_blob(test::blob_of("content"), kNobody, kNoStop); });
  CHECK(test::files_in(outside.path()).empty());
  // A blob and index.json that are links out of it are replaced, not followed.
  fs::remove(dir.path() + "/blobs");
  fs::create_directories(dir.path() + "/blobs/sha256");
  const std::string precious = outside.write("precious", "layer of {}");
  fs::create_symlink(precious, dir.path() + "/" + blob_path("layer of {}"));
  CHECK_FALSE(destination->has_blob(test::blob_of("layer of {}").descriptor, kNoStop));
  copy_image_to(dir.path(), "1");
  CHECK(fs::is_regular_file(fs::symlink_status(dir.path() + "/" + blob_path("layer of {}"))));
  CHECK(read_file(precious, 100) == "layer of {}");
}

}  // namespace tug
