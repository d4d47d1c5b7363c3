#include "transport/dir.h"

#include "support/error_of.h"
#include "support/read_all.h"
#include "support/temp_dir.h"
#include "unit/transport/directory_fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error_parts;
using test::kNobody;
using test::kNoStop;
using test::MemorySource;
using test::TempDir;

std::string hex(const std::string& bytes) { return std::string(Digest::of(bytes).hex()); }

// An image with two layers, in a directory.
class Image {
 public:
  Image() : text_(source_.add_image("{}", {"one", "two"})) { copy_to(path()); }

  void copy_to(const std::string& path) {
    const auto destination = open_dir_destination(path);
    put_image(*destination, source_, text_);
    destination->finish(kNoStop);
  }
  [[nodiscard]] std::string path() const { return dir_.path() + "/image"; }
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] static std::set<std::string> files(const std::string& manifest = "manifest.json") {
    return {"version", manifest, hex("{}"), hex("one"), hex("two")};
  }

 private:
  TempDir dir_;
  MemorySource source_;
  std::string text_;
};

// Opens everything that a copy would.
void read_image(const std::string& path) {
  const auto source = open_dir(path, nullptr);
  const RawManifest raw = source->manifest(kNoStop);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  test::read_all(source->blob(manifest.config()).open(0));
  for (const Blob& layer : source->layers(manifest)) test::read_all(layer.open(0));
}

}  // namespace

TEST_CASE("an image is written as plain files, and read back") {
  const Image image;
  CHECK(test::files_in(image.path()) == Image::files());
  CHECK(read_file(image.path() + "/version", 100) == "Directory Transport Version: 1.1\n");
  const auto source = open_dir(image.path(), nullptr);
  CHECK(source->describe() == "dir:" + image.path());
  const RawManifest raw = source->manifest(kNoStop);
  CHECK(raw.bytes == image.text());
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  CHECK(test::read_all(source->layers(manifest).at(1).open(1)) == "wo");
  const auto destination = open_dir_destination(image.path());
  CHECK(destination->existing(kNoStop)->digest == Digest::of(image.text()));
  CHECK(destination->existing_manifest(kNoStop)->bytes == image.text());
  CHECK(destination->read_small_blob(manifest.config(), kNoStop) == "{}");
  CHECK(destination->blob_size(Digest::of("two"), kNoStop) == 3);
  CHECK_FALSE(destination->tag().has_value());
}

TEST_CASE("opening a destination makes nothing") {
  const TempDir dir;
  const auto destination = open_dir_destination(dir.path() + "/new");
  CHECK_FALSE(destination->existing(kNoStop).has_value());
  CHECK_FALSE(destination->has_blob(test::blob_of("x").descriptor, kNoStop));
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("an index lies in manifest.json, its images beside it") {
  const TempDir dir;
  MemorySource source;
  const std::string amd64 = source.add_image("{}", {"one"});
  const std::string arm64 = source.add_image("{ }", {"two"});
  const std::string index = source.add_index(
      {{amd64, Platform::parse("linux/amd64")}, {arm64, Platform::parse("linux/arm64")}});
  const auto destination = open_dir_destination(dir.path());
  put_image(*destination, source, index, std::string(media_type::kOciIndex));
  destination->finish(kNoStop);
  CHECK(test::files_in(dir.path()) ==
        std::set<std::string>{"version", "manifest.json", hex(amd64) + ".manifest.json",
                              hex(arm64) + ".manifest.json", hex("{}"), hex("{ }"), hex("one"),
                              hex("two")});
  const auto back = open_dir(dir.path(), nullptr);
  CHECK(back->manifest(kNoStop).bytes == index);
  const Descriptor child = test::descriptor_of(arm64, media_type::kOciManifest);
  CHECK(back->manifest(child, kNoStop).bytes == arm64);
  CHECK(destination->has_manifest(child, kNoStop));
  fs::remove(dir.path() + "/" + hex("two"));
  CHECK_FALSE(destination->has_manifest(child, kNoStop));
}

TEST_CASE("a new image replaces the old one and its signatures, and nothing else") {
  Image image;
  const TempDir dir;
  MemorySource other;
  const std::string child = other.add_image("{ }", {"two", "other"});
  const std::string index = other.add_index({{child, Platform::parse("linux/amd64")}});
  {
    const auto destination = open_dir_destination(dir.path());
    put_image(*destination, other, index, std::string(media_type::kOciIndex));
    destination->finish(kNoStop);
  }
  dir.write("signature-1", "s");
  dir.write(hex(child) + ".signature-1", "s");
  dir.write("notes.txt", "mine");
  image.copy_to(dir.path());
  std::set<std::string> expected = Image::files();
  expected.insert("notes.txt");
  CHECK(test::files_in(dir.path()) == expected);
  read_image(dir.path());
}

TEST_CASE("until the new image is whole, the old one is what it was") {
  const Image image;
  {
    const auto destination = open_dir_destination(image.path());
    destination->put_blob(test::blob_of("of another image"), kNobody, kNoStop);
    check_error_parts(ErrorKind::integrity, {image.path() + "/" + hex("expected")}, [&] {
      destination->put_blob(test::blob_called(test::blob_of("expected").descriptor, "else"),
                            kNobody, kNoStop);
    });
  }
  read_image(image.path());
  CHECK(open_dir(image.path(), nullptr)->manifest(kNoStop).bytes == image.text());
}

TEST_CASE("an image whose blobs another process took away is not made complete") {
  Image image;
  const TempDir dir;
  MemorySource source;
  const std::string text = source.add_image("{}", {"one"});
  const auto destination = open_dir_destination(dir.path());
  put_image(*destination, source, text);
  fs::remove(dir.path() + "/" + hex("one"));
  check_error_parts(ErrorKind::local, {dir.path() + "/" + hex("one") + " is gone"},
                    [&] { destination->finish(kNoStop); });
  CHECK_FALSE(fs::exists(dir.path() + "/manifest.json"));
}

TEST_CASE("a blob that is made while it is written gets the name that it turns out to have") {
  const TempDir dir;
  const auto destination = open_dir_destination(dir.path());
  const Descriptor made = destination->put_stream(test::stream_of("made"), kNobody, kNoStop);
  CHECK(made == test::descriptor_of("made", media_type::kOciLayerGzip));
  CHECK(read_file(dir.path() + "/" + hex("made"), 100) == "made");
}

TEST_CASE("a directory with anything else in it is refused, and stays as it is") {
  const TempDir dir;
  dir.write("full/precious", "x");
  dir.write("other/version", "Directory Transport Version: 2.0\n");
  dir.write("file", "x");
  check_error_parts(ErrorKind::local, {dir.path() + "/full is not empty", "no dir: image"},
                    [&] { open_dir_destination(dir.path() + "/full"); });
  check_error_parts(ErrorKind::local, {dir.path() + "/other is not empty"},
                    [&] { open_dir_destination(dir.path() + "/other"); });
  check_error_parts(ErrorKind::local, {dir.path() + "/file is not a directory"},
                    [&] { open_dir_destination(dir.path() + "/file"); });
  check_error_parts(ErrorKind::local, {dir.path() + "/no does not exist"},
                    [&] { open_dir_destination(dir.path() + "/no/image"); });
  check_error_parts(ErrorKind::usage, {"dir:PATH"}, [&] { open_dir_destination(""); });
  CHECK(test::files_in(dir.path()) ==
        std::set<std::string>{"full/precious", "other/version", "file"});
}

TEST_CASE("signatures are told of, when somebody wants to know") {
  const Image image;
  std::vector<std::string> notes;
  const auto note = [&](std::string_view text) { notes.emplace_back(text); };
  (void)open_dir(image.path(), note);
  CHECK(notes.empty());
  image.dir().write("image/signature-1", "s");
  (void)open_dir(image.path(), note);
  REQUIRE(notes.size() == 1);
  CHECK(notes.front().find(image.path()) != std::string::npos);
}

TEST_CASE("damaged images fail with the class of the fault and the name of the file") {
  struct Case {
    std::string name;
    ErrorKind kind;
    std::string file;
    std::function<void(const std::string& path)> damage;  // of the file
  };
  const auto replace_by = [](const std::string& bytes) {
    return [bytes](const std::string& path) {
      fs::remove(path);
      write_file_atomically(path, bytes, 0644);
    };
  };
  const auto remove = [](const std::string& path) { fs::remove(path); };
  const auto cut = [](const std::string& path) { fs::resize_file(path, 1); };
  const auto link_to = [](const char* target) {
    return [target](const std::string& path) {
      fs::remove(path);
      fs::create_symlink(target, path);
    };
  };
  const auto fifo = [](const std::string& path) {
    fs::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  };
  const std::string layer = hex("one");
  const Case cases[] = {
      {"another version", ErrorKind::integrity, "version", replace_by("Version: 9\n")},
      {"huge version", ErrorKind::local, "version", replace_by(std::string(100'000, ' '))},
      {"no manifest", ErrorKind::local, "manifest.json", remove},
      {"a manifest over 4 MiB", ErrorKind::local, "manifest.json",
       replace_by(std::string(kMaxManifestBytes + 1, ' '))},
      {"a manifest that is a FIFO", ErrorKind::local, "manifest.json", fifo},
      {"a manifest out of the directory", ErrorKind::local, "manifest.json",
       link_to("/etc/hostname")},
      {"no layer", ErrorKind::local, layer, remove},
      {"a short layer", ErrorKind::integrity, layer, cut},
      {"a long layer", ErrorKind::integrity, layer, replace_by("one and more")},
      {"a layer that is a FIFO", ErrorKind::local, layer, fifo},
      {"a layer out of the directory", ErrorKind::local, layer, link_to("../../etc/hostname")},
      {"no config", ErrorKind::local, hex("{}"), remove},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Image image;
    c.damage(image.path() + "/" + c.file);
    check_error_parts(c.kind, {image.path() + "/" + c.file}, [&] { read_image(image.path()); });
  }
  check_error_parts(ErrorKind::local, {"/none/such does not exist"},
                    [&] { open_dir("/none/such", nullptr); });
}

TEST_CASE("a child of an index that is another one is refused") {
  const Image image;
  const Descriptor child = test::descriptor_of("{\"x\":1}", media_type::kOciManifest);
  const std::string name = hex("{\"x\":1}") + ".manifest.json";
  image.dir().write("image/" + name, "{\"x\":2}");
  const auto source = open_dir(image.path(), nullptr);
  check_error_parts(ErrorKind::integrity, {image.path() + "/" + name, "damaged"},
                    [&] { (void)source->manifest(child, kNoStop); });
  image.dir().write("image/" + name, "{\"x\":22}");
  check_error_parts(ErrorKind::integrity, {image.path() + "/" + name, "8 bytes"},
                    [&] { (void)source->manifest(child, kNoStop); });
}

}  // namespace tug
