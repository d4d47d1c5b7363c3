#include "stream/compress.h"
#include "support/error_of.h"
#include "support/read_all.h"
#include "support/tar_bytes.h"
#include "support/temp_dir.h"
#include "transport/new_archive.h"
#include "transport/oci_layout.h"
#include "transport/open.h"
#include "unit/transport/directory_fixture.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::kNobody;
using test::kNoStop;
using test::MemorySource;
using test::read_all;
using test::tar_of;
using test::TarMember;
using test::TempDir;

OciReference reference(const std::string& rest) {
  return OciReference::parse(rest, Transport::oci_archive);
}

std::unique_ptr<ImageSource> open(const std::string& rest) {
  return open_oci_archive(reference(rest), "/tmp", kNoStop);
}

std::unique_ptr<ImageDestination> open_destination(const std::string& rest) {
  return open_oci_archive_destination(reference(rest), "/tmp", ImageForm::Layers::compressed,
                                      nullptr);
}

const std::string kConfig = R"({"architecture":"amd64","os":"linux"})";

std::string entry(const std::string& bytes, const std::string& name) {
  return test::descriptor_json(
      std::string(media_type::kOciManifest), bytes,
      R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name + R"("})");
}

// The members of a layout with one image.
std::vector<TarMember> layout(const std::string& layer = "the layer") {
  MemorySource memory;
  const std::string manifest = memory.add_image(kConfig, {"the layer"});
  const auto blob = [](const std::string& name, const std::string& bytes) {
    return TarMember{"./blobs/sha256/" + std::string(Digest::of(name).hex()), bytes};
  };
  return {blob("the layer", layer),
          blob(kConfig, kConfig),
          blob(manifest, manifest),
          {"./index.json", R"({"schemaVersion":2,"manifests":[)" + entry(manifest, "v1") + "]}"},
          {"./oci-layout", R"({"imageLayoutVersion":"1.0.0"})"}};
}

}  // namespace

TEST_CASE("a layout in a tar is read as one in a directory") {
  const TempDir dir;
  const std::string path = dir.write("x.tar", tar_of(layout()));
  for (const std::string& rest : {path, path + ":v1", path + ":@0"}) {
    const auto source = open(rest);
    CHECK(source->describe() == "oci-archive:" + rest);
    const RawManifest raw = source->manifest(kNoStop);
    const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
    CHECK(read_all(source->layers(manifest).at(0).open(0)) == "the layer");
    CHECK(read_all(source->layers(manifest).at(0).open(4)) == "layer");
    CHECK(read_all(source->blob(manifest.config()).open(0)) == kConfig);
  }
  const ListedImages listed = list_oci_archive(reference(path), kNoStop);
  REQUIRE(listed.images.size() == 1);
  CHECK(listed.images[0].reference.str() == "oci-archive:" + path + ":v1");
}

TEST_CASE("what is wrong with it is said in its own words") {
  const TempDir dir;
  const std::string path = dir.write("x.tar", tar_of(layout()));
  check_error(ErrorKind::not_found, "oci-archive:" + path + ":v2: no such image",
              [&] { open(path + ":v2"); });
  check_error(ErrorKind::usage, "names an image",
              [&] { list_oci_archive(reference(path + ":v1"), kNoStop); });
  check_error(ErrorKind::usage, "oci-archive: needs the path", [] { reference(""); });

  check_error(ErrorKind::local, "docker-archive:", [&] {
    open(dir.write("docker.tar", tar_of({{"manifest.json", "[]"}})));
  });
  check_error(ErrorKind::local, "is no OCI layout", [&] {
    open(dir.write("other.tar", tar_of({{"file", "content"}})));
  });
  std::vector<TarMember> twice = layout();
  twice.push_back({"index.json", R"({"schemaVersion":2,"manifests":[]})"});
  check_error(ErrorKind::integrity, "more than one member index.json",
              [&] { open(dir.write("twice.tar", tar_of(twice))); });
  std::vector<TarMember> without = layout();
  without.erase(without.begin());
  const auto source = open(dir.write("without.tar", tar_of(without)));
  const Manifest manifest = Manifest::parse(source->manifest(kNoStop).bytes);
  check_error(ErrorKind::local, "there is no blobs/sha256/",
              [&] { (void)source->layers(manifest).at(0).open(0); });
  const auto longer = open(dir.write("longer.tar", tar_of(layout("the layer and more"))));
  check_error(ErrorKind::integrity, "has 18 bytes, but its descriptor says 9",
              [&] { (void)longer->layers(manifest).at(0).open(0); });
}

TEST_CASE("cut off anywhere it is an error, or the image it was") {
  const TempDir dir;
  const std::string tar = tar_of(layout());
  for (std::size_t size = 0; size < tar.size(); size += 101) {
    CAPTURE(size);
    const std::string path = dir.write("x.tar", tar.substr(0, size));
    try {
      const auto source = open(path);
      const Manifest manifest = Manifest::parse(source->manifest(kNoStop).bytes);
      CHECK(read_all(source->layers(manifest).at(0).open(0)) == "the layer");
    } catch (const Error& error) {
      CHECK((error.kind() == ErrorKind::integrity || error.kind() == ErrorKind::local));
    }
  }
}

TEST_CASE("an image that was written is read, and is the same bytes each time") {
  const TempDir dir;
  MemorySource memory;
  const std::string text = memory.add_image(kConfig, {"layer one", "layer two"});
  std::string first;
  for (int round = 0; round < 2; ++round) {
    const auto destination = open_destination(dir.path() + "/out.tar:v1");
    CHECK(destination->intake().in_order);
    CHECK_FALSE(destination->existing(kNoStop));
    test::put_image(*destination, memory, text);
    if (round == 0) CHECK(test::files_in(dir.path()).empty());
    destination->finish(kNoStop);
    const std::string bytes = read_file(dir.path() + "/out.tar", 1 << 20U);
    if (round > 0) CHECK(bytes == first);
    first = bytes;
  }
  const auto source = open(dir.path() + "/out.tar:v1");
  CHECK(source->manifest(kNoStop).bytes == text);
  const Manifest manifest = Manifest::parse(text);
  CHECK(read_all(source->layers(manifest).at(1).open(0)) == "layer two");
  CHECK(read_all(source->blob(manifest.config()).open(0)) == kConfig);
}

TEST_CASE("an index with its images, streams, and what is there twice") {
  const TempDir dir;
  MemorySource memory;
  const std::string a = memory.add_image(R"({"architecture":"amd64"})", {"shared", "a"});
  const std::string b = memory.add_image(R"({"architecture":"arm64"})", {"shared", "b"});
  const std::string index =
      memory.add_index({{a, Platform::parse("linux/amd64")}, {b, Platform::parse("linux/arm64")}});
  const auto destination = open_destination(dir.path() + "/out.tar");
  const Descriptor made = destination->put_stream(test::stream_of("streamed"), kNobody, kNoStop);
  CHECK(made.digest == Digest::of("streamed"));
  CHECK(made.size == 8);
  destination->put_stream(test::stream_of("streamed"), kNobody, kNoStop);
  test::put_image(*destination, memory, index, std::string(media_type::kOciIndex));
  destination->finish(kNoStop);
  const std::string bytes = read_file(dir.path() + "/out.tar", 1 << 20U);
  for (const char* content : {"shared", "streamed"}) {
    const std::string name = "blobs/sha256/" + std::string(Digest::of(content).hex());
    const std::size_t found = bytes.find(name);
    REQUIRE(found != std::string::npos);
    CHECK(bytes.find(name, found + 1) == std::string::npos);
  }
  CHECK(open(dir.path() + "/out.tar")->manifest(kNoStop).bytes == index);
}

TEST_CASE("content that is not what it is called never becomes an archive") {
  const TempDir dir;
  const Descriptor called = test::descriptor_of("the layer", media_type::kOciLayer);
  for (const char* bytes : {"the liar.", "the layer!", "the"}) {
    const auto destination = open_destination(dir.path() + "/out.tar");
    check_error(ErrorKind::integrity, "out.tar is not written",
                [&] { destination->put_blob(test::blob_called(called, bytes), kNobody, kNoStop); });
  }
  CHECK(test::files_in(dir.path()).empty());
  check_error(ErrorKind::usage, "a position is for reading", [] { open_destination("x:@1"); });
  check_error(ErrorKind::usage, "no image can have the name", [] { open_destination("x:a b"); });
}

TEST_CASE("images go into one oci-archive after the other, whole or not at all") {
  const TempDir dir;
  const std::string path = dir.path() + "/out.tar";
  MemorySource memory;
  const std::string one = memory.add_image(kConfig, {"shared", "one"});
  const std::string two = memory.add_image(kConfig, {"shared", "two"});
  const auto archive =
      open_shared_oci_archive(path, "/tmp", ImageForm::Layers::compressed, nullptr);
  const auto image = [&](const std::string& name) {
    return ImageReference{Transport::oci_archive, path + name};
  };
  const auto put = [&](const std::string& name, const std::string& manifest) {
    const auto destination = archive->next(image(name));
    test::put_image(*destination, memory, manifest);
    destination->finish(kNoStop);
  };
  put(":one", one);
  archive->next(image(":lost"))->put_blob(test::blob_of("lost", "x/y"), kNobody, kNoStop);
  put(":two", two);
  put(":again", one);
  CHECK(archive->next(image(":new"))->has_blob(test::descriptor_of("shared", "x/y"), kNoStop));
  check_error(ErrorKind::usage, "the name two already",
              [&] { (void)archive->next(image(":two")); });
  CHECK(test::files_in(dir.path()).empty());
  archive->finish(kNoStop);
  CHECK(open(path + ":one")->manifest(kNoStop).bytes == one);
  CHECK(open(path + ":two")->manifest(kNoStop).bytes == two);
  CHECK(open(path + ":again")->manifest(kNoStop).bytes == one);
  CHECK(list_oci_archive(reference(path), kNoStop).images.size() == 3);
  const std::string bytes = read_file(path, 1 << 20U);
  CHECK(bytes.find(Digest::of("lost").hex()) == std::string::npos);
  const std::string shared = "blobs/sha256/" + std::string(Digest::of("shared").hex());
  CHECK(bytes.find(shared) == bytes.rfind(shared));
}

TEST_CASE("an archive gets no more members than can be read") {
  const TempDir dir;
  NewArchive archive(dir.path() + "/out.tar", "/tmp");
  archive.begin_image({});
  std::size_t members = 0;
  check_error(ErrorKind::limit, "more than 100000 members", [&] {
    while (archive.claim(std::to_string(members))) ++members;
  });
  CHECK(members == 99'998);
}

}  // namespace tug
