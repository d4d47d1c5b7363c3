#include "transport/oci_layout.h"

#include "support/error_of.h"
#include "support/read_all.h"
#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error_parts;
using test::TempDir;

const std::string kSha256Empty = Digest::of("").str();

std::string json_descriptor(std::string_view type, const std::string& digest, std::uint64_t size,
                            const std::string& more = {}) {
  return R"({"mediaType":")" + std::string(type) + R"(","digest":")" + digest + R"(","size":)" +
         std::to_string(size) + more + "}";
}

std::string named(const std::string& name) {
  return R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name + R"("})";
}

// A layout with one small image; tests damage what they are about.
class Layout {
 public:
  Layout() {
    dir_.write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    config_ = put_blob(R"({"architecture":"amd64","os":"linux"})", media_type::kOciConfig);
    layer_ = put_blob("the layer's bytes", media_type::kOciLayerGzip);
    manifest_text_ = R"({"schemaVersion":2,"mediaType":")" + std::string(media_type::kOciManifest) +
                     R"(","config":)" + text_of(config_) + R"(,"layers":[)" + text_of(layer_) +
                     "]}";
    manifest_ = put_blob(manifest_text_, media_type::kOciManifest);
    write_index({text_of(manifest_, named("1.0"))});
  }

  Descriptor put_blob(const std::string& bytes, std::string_view type) {
    const Digest digest = Digest::of(bytes);
    dir_.write("blobs/sha256/" + std::string(digest.hex()), bytes);
    return {std::string(type), digest, bytes.size(), {}, {}, "", std::nullopt};
  }
  static std::string text_of(const Descriptor& d, const std::string& more = {}) {
    return json_descriptor(d.media_type, d.digest.str(), d.size, more);
  }
  void write_index(const std::vector<std::string>& descriptors) const {
    std::string list;
    for (const std::string& d : descriptors) list += (list.empty() ? "" : ",") + d;
    dir_.write("index.json", R"({"schemaVersion":2,"manifests":[)" + list + "]}");
  }
  [[nodiscard]] std::string blob_path(const Descriptor& d) const {
    return path() + "/blobs/sha256/" + std::string(d.digest.hex());
  }
  [[nodiscard]] const std::string& path() const { return dir_.path(); }
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  std::unique_ptr<ImageSource> open(const std::string& selector = {}) const {
    return open_oci_layout(OciReference::parse(path() + selector), std::nullopt);
  }

  Descriptor config_{"", Digest::of(""), 0, {}, {}, "", std::nullopt};
  Descriptor layer_ = config_;
  Descriptor manifest_ = config_;
  std::string manifest_text_;

 private:
  TempDir dir_;
};

std::string read_all(const Blob& blob, std::uint64_t offset = 0) {
  return test::read_all(blob.open(offset), 7);
}

// Opens everything that the reference leads to, as a copy would.
void read_image(const Layout& layout, const std::string& selector = {}) {
  const std::unique_ptr<ImageSource> source = layout.open(selector);
  RawManifest raw = source->manifest(std::stop_token());
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  read_all(source->blob(manifest.config()));
  for (const Blob& layer : source->layers(manifest)) read_all(layer);
}

}  // namespace

TEST_CASE("an oci reference ends its path at the first colon") {
  struct Case {
    std::string text;
    OciReference expected;
  };
  const Case cases[] = {
      {"app", {"app", "", std::nullopt}},
      {"/a/b", {"/a/b", "", std::nullopt}},
      {"app:", {"app", "", std::nullopt}},
      {"app:1.0", {"app", "1.0", std::nullopt}},
      {"app:host:5000/name:tag@sha256:00", {"app", "host:5000/name:tag@sha256:00", std::nullopt}},
      {"app:@0", {"app", "", 0}},
      {"app:@17", {"app", "", 17}},
      {"dir@x:y", {"dir@x", "y", std::nullopt}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(OciReference::parse(c.text) == c.expected);
  }
  CHECK(OciReference::parse("app:x").str() == "oci:app:x");
  CHECK(OciReference::parse("app:@3").str() == "oci:app:@3");
  for (const std::string bad :
       {"", ":tag", "app:@", "app:@x", "app:@-1", "app:@1x", "app:@99999999999999999999"}) {
    CAPTURE(bad);
    check_error_parts(ErrorKind::usage, {}, [&] { OciReference::parse(bad); });
  }
}

TEST_CASE("a layout yields its manifest, config and layers byte for byte") {
  Layout layout;
  const auto source = layout.open();
  CHECK(source->describe() == "oci:" + layout.path());
  const RawManifest raw = source->manifest(std::stop_token());
  CHECK(raw.bytes == layout.manifest_text_);
  CHECK(raw.media_type == media_type::kOciManifest);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  CHECK(read_all(source->blob(manifest.config())) == R"({"architecture":"amd64","os":"linux"})");
  const std::vector<Blob> layers = source->layers(manifest);
  REQUIRE(layers.size() == 1);
  CHECK(layers[0].form == Blob::Form::exact);
  CHECK(layers[0].open_size == layout.layer_.size);
  CHECK(read_all(layers[0]) == "the layer's bytes");
  for (std::uint64_t offset = 0; offset <= layers[0].open_size; ++offset) {
    CHECK(read_all(layers[0], offset) == std::string("the layer's bytes").substr(offset));
  }
}

TEST_CASE("one of several images is chosen by name or by position") {
  Layout layout;
  const Descriptor other = layout.put_blob(layout.manifest_text_ + "\n", media_type::kOciManifest);
  layout.write_index({Layout::text_of(layout.manifest_, named("1.0")),
                      Layout::text_of(other, named("reg:5000/a/b:2")), Layout::text_of(other)});
  const std::stop_token none;
  CHECK(layout.open(":1.0")->manifest(none).bytes == layout.manifest_text_);
  CHECK(layout.open(":reg:5000/a/b:2")->manifest(none).bytes == layout.manifest_text_ + "\n");
  CHECK(layout.open(":@0")->manifest(none).bytes == layout.manifest_text_);
  CHECK(layout.open(":@2")->manifest(none).bytes == layout.manifest_text_ + "\n");
  check_error_parts(ErrorKind::usage, {layout.path(), "3 images", "1.0, reg:5000/a/b:2, @2"},
                    [&] { layout.open(); });
  check_error_parts(ErrorKind::not_found,
                    {layout.path(), "1.0, reg:5000/a/b:2, @2", "did you mean \"1.0\"?"},
                    [&] { layout.open(":1.1"); });
  check_error_parts(ErrorKind::not_found, {":@3", "1.0, reg:5000/a/b:2, @2"},
                    [&] { layout.open(":@3"); });
}

TEST_CASE("of two images with one name the first is taken, as containers/image does") {
  Layout layout;
  const Descriptor other = layout.put_blob(layout.manifest_text_ + "\n", media_type::kOciManifest);
  layout.write_index(
      {Layout::text_of(layout.manifest_, named("1")), Layout::text_of(other, named("1"))});
  CHECK(layout.open(":1")->manifest(std::stop_token()).bytes == layout.manifest_text_);
}

TEST_CASE("a long list of images is cut in the message") {
  Layout layout;
  std::vector<std::string> entries;
  for (int i = 0; i < 25; ++i)
    entries.push_back(Layout::text_of(layout.manifest_, named("v" + std::to_string(i))));
  layout.write_index(entries);
  check_error_parts(ErrorKind::usage, {"v0, v1, v2, v3, v4, v5, v6, v7, v8, v9 and 15 more"},
                    [&] { layout.open(); });
}

TEST_CASE("a nested index is reached through its descriptor") {
  Layout layout;
  const std::string text = R"({"schemaVersion":2,"mediaType":")" +
                           std::string(media_type::kOciIndex) + R"(","manifests":[)" +
                           Layout::text_of(layout.manifest_) + "]}";
  const Descriptor inner = layout.put_blob(text, media_type::kOciIndex);
  layout.write_index({Layout::text_of(inner)});
  const auto source = layout.open();
  const RawManifest raw = source->manifest(std::stop_token());
  CHECK(raw.media_type == media_type::kOciIndex);
  const Index index = Index::parse(raw.bytes, raw.media_type);
  CHECK(source->manifest(index.manifests().at(0), std::stop_token()).bytes ==
        layout.manifest_text_);
}

TEST_CASE("a shared blob directory stands in for the layout's own") {
  Layout layout;
  TempDir shared;
  fs::rename(layout.path() + "/blobs/sha256", shared.path() + "/sha256");
  check_error_parts(ErrorKind::local, {layout.path() + "/blobs/sha256/"},
                    [&] { read_image(layout); });
  const auto source = open_oci_layout(OciReference::parse(layout.path()), shared.path());
  CHECK(source->manifest(std::stop_token()).bytes == layout.manifest_text_);
  CHECK(read_all(source->blob(layout.config_)).size() == layout.config_.size);
  check_error_parts(ErrorKind::local, {shared.path() + "/none"}, [&] {
    open_oci_layout(OciReference::parse(layout.path()), shared.path() + "/none");
  });
}

TEST_CASE("links inside the layout are followed") {
  Layout layout;
  fs::rename(layout.path() + "/blobs/sha256", layout.path() + "/store");
  fs::create_directory_symlink("../store", layout.path() + "/blobs/sha256");
  const std::string layer = layout.path() + "/store/" + std::string(layout.layer_.digest.hex());
  fs::rename(layer, layer + ".moved");
  fs::create_symlink(fs::path(layer + ".moved").filename(), layer);
  read_image(layout);
}

TEST_CASE("a directory that is no layout is refused, and the message says why") {
  TempDir temp;
  check_error_parts(ErrorKind::local, {temp.path() + "/none"}, [&] {
    open_oci_layout(OciReference::parse(temp.path() + "/none"), std::nullopt);
  });
  const std::string file = temp.write("image.tar", "x");
  check_error_parts(ErrorKind::local, {file, "oci-archive:"},
                    [&] { open_oci_layout(OciReference::parse(file), std::nullopt); });
  check_error_parts(ErrorKind::local, {temp.path() + "/oci-layout", "no OCI layout"},
                    [&] { open_oci_layout(OciReference::parse(temp.path()), std::nullopt); });
}

TEST_CASE("damaged layouts fail with the class of the fault and the name of the file") {
  struct Case {
    std::string name;
    ErrorKind kind;
    std::function<std::vector<std::string>(Layout&)> damage;  // returns what the message must say
  };
  const auto write = [](const char* file, std::string text) {
    return [file, text = std::move(text)](Layout& layout) {
      layout.dir().write(file, text);
      return std::vector<std::string>{layout.path() + "/" + file};
    };
  };
  const auto index_of = [](std::string descriptor) {
    return [descriptor = std::move(descriptor)](Layout& layout) {
      layout.write_index({descriptor});
      return std::vector<std::string>{layout.path() + "/index.json"};
    };
  };
  const std::string manifest_type(media_type::kOciManifest);
  const Case cases[] = {
      {"missing oci-layout", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.path() + "/oci-layout");
         return std::vector<std::string>{l.path() + "/oci-layout"};
       }},
      {"oci-layout is not JSON", ErrorKind::integrity, write("oci-layout", "1.0.0")},
      {"oci-layout is empty", ErrorKind::integrity, write("oci-layout", "")},
      {"oci-layout without version", ErrorKind::integrity, write("oci-layout", "{}")},
      {"another version", ErrorKind::integrity,
       write("oci-layout", R"({"imageLayoutVersion":"2.0.0"})")},
      {"version is a number", ErrorKind::integrity,
       write("oci-layout", R"({"imageLayoutVersion":1})")},
      {"huge oci-layout", ErrorKind::local, write("oci-layout", std::string(100'000, ' '))},
      {"missing index.json", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.path() + "/index.json");
         return std::vector<std::string>{l.path() + "/index.json"};
       }},
      {"empty index.json", ErrorKind::integrity, write("index.json", "")},
      {"broken index.json", ErrorKind::integrity,
       write("index.json", R"({"schemaVersion":2,"manifests":[)")},
      {"index.json is a list", ErrorKind::integrity, write("index.json", "[]")},
      {"index.json with a duplicate key", ErrorKind::integrity,
       write("index.json", R"({"schemaVersion":2,"manifests":[],"manifests":[]})")},
      {"index.json 10,000 levels deep", ErrorKind::integrity,
       write("index.json", R"({"schemaVersion":2,"x":)" + std::string(10'000, '[') +
                               std::string(10'000, ']') + "}")},
      {"an index without images", ErrorKind::not_found,
       [](Layout& l) {
         l.write_index({});
         return std::vector<std::string>{l.path(), "no image"};
       }},
      {"bad hex", ErrorKind::integrity,
       index_of(json_descriptor(manifest_type, "sha256:" + std::string(64, 'g'), 2))},
      {"upper-case hex", ErrorKind::integrity,
       index_of(json_descriptor(manifest_type, "sha256:" + std::string(64, 'A'), 2))},
      {"path in a digest", ErrorKind::integrity,
       index_of(json_descriptor(manifest_type, "sha256:../../x", 2))},
      {"unknown algorithm", ErrorKind::integrity,
       index_of(json_descriptor(manifest_type, "blake3:" + std::string(64, 'a'), 2))},
      {"negative size", ErrorKind::integrity,
       index_of(R"({"mediaType":")" + manifest_type + R"(","digest":")" + kSha256Empty +
                R"(","size":-1})")},
      {"manifest over 4 MiB", ErrorKind::limit,
       [&](Layout& l) {
         const Descriptor big = l.put_blob(std::string(kMaxManifestBytes + 1, ' '), manifest_type);
         l.write_index({Layout::text_of(big)});
         return std::vector<std::string>{l.path(), big.digest.str()};
       }},
      {"missing manifest", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.manifest_));
         return std::vector<std::string>{l.blob_path(l.manifest_), "No such file"};
       }},
      {"other manifest of the same size", ErrorKind::integrity,
       [](Layout& l) {
         l.dir().write("blobs/sha256/" + std::string(l.manifest_.digest.hex()),
                       std::string(l.manifest_text_.size(), '{'));
         return std::vector<std::string>{l.blob_path(l.manifest_), "damaged"};
       }},
      {"truncated manifest", ErrorKind::integrity,
       [](Layout& l) {
         fs::resize_file(l.blob_path(l.manifest_), l.manifest_.size - 1);
         return std::vector<std::string>{l.blob_path(l.manifest_),
                                         std::to_string(l.manifest_.size - 1) + " bytes"};
       }},
      {"missing config", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.config_));
         return std::vector<std::string>{l.blob_path(l.config_)};
       }},
      {"missing layer", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         return std::vector<std::string>{l.blob_path(l.layer_)};
       }},
      {"short layer", ErrorKind::integrity,
       [](Layout& l) {
         fs::resize_file(l.blob_path(l.layer_), 3);
         return std::vector<std::string>{l.blob_path(l.layer_), "3 bytes", "says 17"};
       }},
      {"long layer", ErrorKind::integrity,
       [](Layout& l) {
         fs::resize_file(l.blob_path(l.layer_), 40);
         return std::vector<std::string>{l.blob_path(l.layer_), "40 bytes", "says 17"};
       }},
      {"layer is a FIFO", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         REQUIRE(::mkfifo(l.blob_path(l.layer_).c_str(), 0600) == 0);
         return std::vector<std::string>{l.blob_path(l.layer_), "not a regular file"};
       }},
      {"layer is a directory", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         fs::create_directory(l.blob_path(l.layer_));
         return std::vector<std::string>{l.blob_path(l.layer_), "not a regular file"};
       }},
      {"layer is an absolute link out of the layout", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         fs::create_symlink("/etc/hostname", l.blob_path(l.layer_));
         return std::vector<std::string>{l.blob_path(l.layer_), "symbolic link to /etc/hostname"};
       }},
      {"layer is a relative link out of the layout", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         fs::create_symlink("../../../../../../../../../etc/hostname", l.blob_path(l.layer_));
         return std::vector<std::string>{l.blob_path(l.layer_), "symbolic link"};
       }},
      {"layer is a link to itself", ErrorKind::local,
       [](Layout& l) {
         fs::remove(l.blob_path(l.layer_));
         fs::create_symlink(l.layer_.digest.hex(), l.blob_path(l.layer_));
         return std::vector<std::string>{l.blob_path(l.layer_), "symbolic link"};
       }},
      {"blobs is a link out of the layout", ErrorKind::local,
       [](Layout& l) {
         static const TempDir outside;
         fs::rename(l.path() + "/blobs/sha256", outside.at("sha256"));
         fs::remove(l.path() + "/blobs");
         fs::create_directory_symlink(outside.path(), l.path() + "/blobs");
         return std::vector<std::string>{l.path() + "/blobs/sha256/"};
       }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Layout layout;
    check_error_parts(c.kind, c.damage(layout), [&] { read_image(layout); });
  }
}

TEST_CASE("an index.json cut at any byte is an error of the file, never a crash or another image") {
  Layout layout;
  layout.write_index({Layout::text_of(layout.manifest_, named("1.0"))});
  const std::uint64_t size = fs::file_size(layout.path() + "/index.json");
  for (std::uint64_t cut = size - 1;; --cut) {
    fs::resize_file(layout.path() + "/index.json", cut);
    CAPTURE(cut);
    check_error_parts(ErrorKind::integrity, {layout.path() + "/index.json"},
                      [&] { layout.open(":1.0"); });
    if (cut == 0) break;
  }
}

TEST_CASE("a layer that shrinks while it is read never yields its last byte") {
  Layout layout;
  const Descriptor big = layout.put_blob(std::string(1 << 20, 'x'), media_type::kOciLayer);
  const auto image = layout.open();
  const std::unique_ptr<ByteSource> source = image->blob(big).open(0);
  std::vector<std::byte> buffer(4096);
  REQUIRE(source->read(buffer) > 0);
  fs::resize_file(layout.blob_path(big), 8192);
  check_error_parts(ErrorKind::local, {layout.blob_path(big)}, [&] {
    while (source->read(buffer) > 0) {
    }
  });
}

// --- referrers, and other images of the layout

namespace {
std::string referring_to(const Descriptor& subject, const std::string& text) {
  return R"({"schemaVersion":2,"mediaType":")" + std::string(media_type::kOciManifest) +
         R"(","artifactType":"a/b","config":)" + Layout::text_of(subject) +
         R"(,"layers":[],"x":")" + text + R"(","subject":)" + Layout::text_of(subject) + "}";
}
std::string tag_of(const Descriptor& subject) {
  return "sha256-" + std::string(subject.digest.hex());
}
std::vector<Digest> referrers_of(ImageSource& source, const Descriptor& subject) {
  std::vector<Digest> digests;
  for (const Descriptor& each : source.referrers(subject.digest, {}))
    digests.push_back(each.digest);
  return digests;
}
}  // namespace

TEST_CASE("referrers are entries with that subject, and what an entry of the tag's name lists") {
  Layout layout;
  const Descriptor one =
      layout.put_blob(referring_to(layout.manifest_, "one"), media_type::kOciManifest);
  const Descriptor two =
      layout.put_blob(referring_to(layout.manifest_, "two"), media_type::kOciManifest);
  const Descriptor others =
      layout.put_blob(referring_to(layout.layer_, "other"), media_type::kOciManifest);
  const Descriptor list = layout.put_blob(
      R"({"schemaVersion":2,"manifests":[)" + Layout::text_of(two) + "]}", media_type::kOciIndex);
  Descriptor lost = others;
  lost.digest = Digest::of("lost");
  layout.write_index({Layout::text_of(layout.manifest_, named("1.0")), Layout::text_of(lost),
                      Layout::text_of(one), Layout::text_of(others),
                      Layout::text_of(list, named(tag_of(layout.manifest_)))});
  const auto source = layout.open(":1.0");
  CHECK(referrers_of(*source, layout.manifest_) == std::vector<Digest>{one.digest, two.digest});
  CHECK(referrers_of(*source, two).empty());
  CHECK(Digest::of(source->beside(two)->manifest({}).bytes) == two.digest);
  CHECK(source->knows_attached(layout.manifest_.digest));
  CHECK_FALSE(source->knows_attached(two.digest));

  layout.dir().write("blobs/sha256/" + std::string(list.digest.hex()),
                     std::string(static_cast<std::size_t>(list.size), 'x'));
  check_error_parts(ErrorKind::integrity, {std::string(list.digest.hex())},
                    [&] { (void)source->referrers(layout.manifest_.digest, {}); });
}

TEST_CASE("what is attached to the only image does not make it one of several") {
  Layout layout;
  const std::string image = Layout::text_of(layout.manifest_, named("1.0"));
  const Descriptor referrer =
      layout.put_blob(referring_to(layout.manifest_, "one"), media_type::kOciManifest);
  const Descriptor signature =
      layout.put_blob(referring_to(layout.layer_, "signature"), media_type::kOciManifest);
  const std::string tag = tag_of(layout.manifest_);
  layout.write_index({Layout::text_of(referrer), image,
                      Layout::text_of(signature, named(tag + ".sig")),
                      Layout::text_of(signature, named(tag))});
  CHECK(Digest::of(layout.open("")->manifest({}).bytes) == layout.manifest_.digest);

  // One that cannot be read may be an image; so may what only looks like such a tag.
  Descriptor lost = referrer;
  lost.digest = Digest::of("lost");
  for (const std::string& other :
       {Layout::text_of(lost), Layout::text_of(layout.manifest_, named("2.0")),
        Layout::text_of(layout.manifest_, named("sha256-1"))}) {
    layout.write_index({Layout::text_of(referrer), image, other});
    check_error_parts(ErrorKind::usage, {"holds 3 images"}, [&] { (void)layout.open(""); });
  }
  // Nothing but what is attached: none of it is taken for the image.
  layout.write_index({Layout::text_of(referrer), Layout::text_of(signature, named(tag))});
  check_error_parts(ErrorKind::usage, {"holds 2 images"}, [&] { (void)layout.open(""); });
}

TEST_CASE("another image of a layout is opened by its name") {
  Layout layout;
  const std::string signature = tag_of(layout.manifest_) + ".sig";
  layout.write_index({Layout::text_of(layout.manifest_, named("1.0")),
                      Layout::text_of(layout.manifest_, named(signature))});
  const auto source = layout.open(":1.0");
  CHECK(source->knows_attached(layout.manifest_.digest));
  CHECK(source->beside("none", {}) == nullptr);
  const auto other = source->beside(signature, {});
  REQUIRE(other);
  CHECK(other->describe() == "oci:" + layout.path() + ":" + signature);
  CHECK(Digest::of(other->manifest({}).bytes) == layout.manifest_.digest);
}

}  // namespace tug
