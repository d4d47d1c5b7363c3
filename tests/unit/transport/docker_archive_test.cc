#include "transport/docker_archive.h"

#include "stream/compress.h"
#include "support/error_of.h"
#include "support/read_all.h"
#include "support/tar_bytes.h"
#include "support/temp_dir.h"
#include "transport/open.h"
#include "unit/transport/directory_fixture.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::check_error_parts;
using test::kNobody;
using test::kNoStop;
using test::read_all;
using test::tar_of;
using test::TarMember;
using test::TempDir;

std::unique_ptr<ImageSource> open(const std::string& rest) {
  return open_docker_archive(DockerArchiveReference::parse(rest), "/tmp", kNoStop);
}

std::string compressed(const std::string& bytes, LayerCompression format) {
  CpuPool pool(1);
  return read_all(compressing_source(memory_source(bytes), {format, std::nullopt}, pool));
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "\"" : ",\"") + text + "\"";
  return "[" + list + "]";
}

std::string config_of(const std::vector<std::string>& layers) {
  std::vector<std::string> ids;
  for (const std::string& layer : layers) ids.push_back(Digest::of(layer).str());
  return R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":)" +
         quoted_list(ids) + "}}";
}

std::string item(const std::string& config, const std::vector<std::string>& tags,
                 const std::vector<std::string>& layers) {
  return R"({"Config":")" + config + R"(","RepoTags":)" +
         (tags.empty() ? "null" : quoted_list(tags)) + R"(,"Layers":)" + quoted_list(layers) + "}";
}

const std::string kOne = "the first layer";
const std::string kTwo = "another layer";

// An archive of one image, whose layer members are `one` and `two`.
std::vector<TarMember> one_image(const std::string& one = kOne, const std::string& two = kTwo) {
  return {{"1.tar", one},
          {"2/layer.tar", two},
          {"c.json", config_of({kOne, kTwo})},
          {"manifest.json", "[" + item("c.json", {"app:1"}, {"1.tar", "2/layer.tar"}) + "]"}};
}

// Reads everything that the source has.
void read_image(ImageSource& source) {
  const RawManifest raw = source.manifest(kNoStop);
  const Manifest manifest = Manifest::parse(raw.bytes, raw.media_type);
  const std::vector<Blob> layers = source.layers(manifest);
  REQUIRE(layers.size() == 2);
  CHECK(read_all(layers[0].open(0)) == kOne);
  CHECK(read_all(layers[1].open(8)) == kTwo.substr(8));
  CHECK(read_all(source.blob(manifest.config()).open(0)) == config_of({kOne, kTwo}));
}

}  // namespace

TEST_CASE("references to images in a docker-archive") {
  const auto str = [](const std::string& rest) {
    return DockerArchiveReference::parse(rest).str();
  };
  CHECK(str("/a/b.tar") == "docker-archive:/a/b.tar");
  CHECK(str("b.tar:app") == "docker-archive:b.tar:docker.io/library/app:latest");
  CHECK(str("b.tar:q.io/t/app:1") == "docker-archive:b.tar:q.io/t/app:1");
  CHECK(str("b.tar:@3") == "docker-archive:b.tar:@3");
  const std::string digest = Digest::of("").str();
  for (const std::string& bad :
       {std::string(), std::string(":app"), std::string("x:"), std::string("x:@"),
        std::string("x:@-1"), std::string("x:App"), "x:app@" + digest}) {
    CAPTURE(bad);
    check_error(ErrorKind::usage, "docker-archive:", [&] { DockerArchiveReference::parse(bad); });
  }
  CHECK(parse_additional_tag("a/b:c").str() == "docker.io/a/b:c");
  CHECK(parse_additional_tag("localhost:5000/b:c").str() == "localhost:5000/b:c");
  for (const char* bad : {"a", "localhost:5000/b", "A:b", ""})
    check_error(ErrorKind::usage, "additional-tag", [&] { parse_additional_tag(bad); });
}

TEST_CASE("the manifest that containers/image makes of it") {
  const TempDir dir;
  const auto source = open(dir.write("x.tar", tar_of(one_image())));
  const std::string config = config_of({kOne, kTwo});
  const auto descriptor = [](std::string_view type, const std::string& bytes) {
    return R"({"mediaType":")" + std::string(type) + R"(","size":)" + std::to_string(bytes.size()) +
           R"(,"digest":")" + Digest::of(bytes).str() + "\"}";
  };
  CHECK(source->manifest(kNoStop).bytes ==
        R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
        R"("config":)" +
            descriptor(media_type::kDockerConfig, config) + R"(,"layers":[)" +
            descriptor(media_type::kDockerLayerGzip, kOne) + "," +
            descriptor(media_type::kDockerLayerGzip, kTwo) + "]}");
  const Manifest manifest = Manifest::parse(source->manifest(kNoStop).bytes);
  const Blob layer = source->layers(manifest).at(0);
  CHECK(static_cast<int>(layer.form) == static_cast<int>(Blob::Form::layer_tar));
  CHECK(layer.diff_id == Digest::of(kOne));
  CHECK(layer.open_size == kOne.size());
}

TEST_CASE("layers are found however they stand there") {
  const TempDir dir;
  const std::vector<std::vector<TarMember>> archives = {
      one_image(),
      one_image(compressed(kOne, LayerCompression::gzip), compressed(kTwo, LayerCompression::zstd)),
      {{"./2/layer.tar", "", '2', "../real.tar"},
       {"real.tar", kTwo},
       {"1.tar", "", '1', "one"},
       {"one", kOne},
       {"./c.json", config_of({kOne, kTwo})},
       {"./manifest.json", "[" + item("c.json", {}, {"./1.tar", "2/layer.tar"}) + "]"}},
  };
  for (const auto& members : archives) {
    const std::string tar = tar_of(members);
    read_image(*open(dir.write("x.tar", tar)));
    for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd})
      read_image(*open(dir.write("x.tar", compressed(tar, format))));
  }
}

TEST_CASE("of several images one is named") {
  const TempDir dir;
  const std::string manifest = "[" + item("a.json", {"app:1", "q.io/app:2"}, {"1.tar"}) + "," +
                               item("b.json", {}, {"2.tar"}) + "," +
                               item("b.json", {"docker.io/library/other:3"}, {"2.tar"}) + "]";
  const std::string path = dir.write("x.tar", tar_of({{"1.tar", kOne},
                                                      {"2.tar", kTwo},
                                                      {"a.json", config_of({kOne})},
                                                      {"b.json", config_of({kTwo})},
                                                      {"manifest.json", manifest}}));
  const auto layer_of = [&](const std::string& ref) {
    const auto source = open(path + ":" + ref);
    return read_all(source->layers(Manifest::parse(source->manifest(kNoStop).bytes)).at(0).open(0));
  };
  for (const char* ref : {"app:1", "docker.io/library/app:1", "q.io/app:2", "@0"})
    CHECK(layer_of(ref) == kOne);
  for (const char* ref : {"other:3", "@1", "@2"}) CHECK(layer_of(ref) == kTwo);
  check_error_parts(ErrorKind::usage, {"holds 3 images", "app:1, @1, docker.io/library/other:3"},
                    [&] { open(path); });
  check_error(ErrorKind::not_found, "no such image; the archive has app:1, @1",
              [&] { open(path + ":app:9"); });
  check_error(ErrorKind::not_found, "no such image", [&] { open(path + ":@3"); });

  const DockerArchiveReference archive = DockerArchiveReference::parse(path);
  CHECK(docker_archive_tags(archive, kNoStop) ==
        std::vector<std::string>{"app:1", "q.io/app:2", "@1", "docker.io/library/other:3"});
  const ListedImages listed = list_docker_archive(archive, kNoStop);
  CHECK(listed.unnamed == 1);
  REQUIRE(listed.images.size() == 3);
  CHECK(listed.images[0].name == "docker.io/library/app:1");
  CHECK(listed.images[1].reference.str() == "docker-archive:" + path + ":q.io/app:2");
  check_error(ErrorKind::usage, "names an image",
              [&] { list_docker_archive(DockerArchiveReference::parse(path + ":@0"), kNoStop); });
}

TEST_CASE("an archive that contradicts itself") {
  const TempDir dir;
  struct Case {
    std::vector<TarMember> members;
    ErrorKind kind;
    std::string says;
  };
  const auto with_manifest = [](const std::string& text) {
    std::vector<TarMember> members = one_image();
    members.back().content = text;
    return members;
  };
  const auto with_config = [](const std::string& text) {
    std::vector<TarMember> members = one_image();
    members[2].content = text;
    return members;
  };
  std::vector<TarMember> twice = one_image();
  twice.push_back(twice.back());
  const Case cases[] = {
      {{{"x", "y"}}, ErrorKind::local, "is no docker-archive: image: there is no manifest.json"},
      {{{"oci-layout", "{}"}}, ErrorKind::local, "oci-archive:"},
      {{{"repositories", "{}"}}, ErrorKind::local, "older than 1.10"},
      {twice, ErrorKind::integrity, "more than one member manifest.json"},
      {with_manifest("null"), ErrorKind::not_found, "holds no image"},
      {with_manifest("[]"), ErrorKind::not_found, "holds no image"},
      {with_manifest("{}"), ErrorKind::integrity, "not a list of images"},
      {with_manifest("[1]"), ErrorKind::integrity, "image 0: it is not an object"},
      {with_manifest("[{}]"), ErrorKind::integrity, "it has no Config"},
      {with_manifest(R"([{"Config":"c.json","Layers":"1.tar"}])"), ErrorKind::integrity,
       "Layers is not a list"},
      {with_manifest(R"([{"Config":"c.json","RepoTags":[1]}])"), ErrorKind::integrity,
       "a member of RepoTags is not a string"},
      {with_manifest("[" + item("c.json", {}, {"1.tar"}) + "]"), ErrorKind::integrity,
       "manifest.json lists 1 layer, the config 2"},
      {with_manifest("[" + item("d.json", {}, {}) + "]"), ErrorKind::local,
       "there is no d.json in"},
      {with_manifest("[" + item("../../etc/passwd", {}, {}) + "]"), ErrorKind::integrity,
       "leads out of the archive"},
      {with_manifest("[" + item("c.json", {}, {"1.tar", "/etc/passwd"}) + "]"),
       ErrorKind::integrity, "leads out of the archive"},
      {with_manifest("[" + item("c.json", {}, {"1.tar", "none.tar"}) + "]"), ErrorKind::local,
       "there is no none.tar in"},
      {with_manifest(std::string(kMaxManifestBytes + 1, ' ')), ErrorKind::local, "is larger than"},
      {with_config("{}"), ErrorKind::integrity, "there is no rootfs"},
      {with_config("not JSON"), ErrorKind::integrity, "c.json in"},
      {with_config(R"({"rootfs":{"diff_ids":["x","y"]}})"), ErrorKind::integrity,
       "\"x\" is no digest"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.says);
    check_error(c.kind, c.says, [&] { open(dir.write("x.tar", tar_of(c.members))); });
  }
}

TEST_CASE("a layer that is not what the config says is never given to its end") {
  const TempDir dir;
  const std::pair<std::string, std::string> cases[] = {
      {"the worst layer", "has the digest"},
      {compressed("the worst layer", LayerCompression::gzip), "has the digest"},
      {kOne + "!", "has the digest"},
  };
  for (const auto& [bytes, says] : cases) {
    const auto source = open(dir.write("x.tar", tar_of(one_image(bytes))));
    const Manifest manifest = Manifest::parse(source->manifest(kNoStop).bytes);
    check_error(ErrorKind::integrity, says,
                [&] { read_all(source->layers(manifest).at(0).open(0)); });
  }
  const std::string packed = compressed(kOne, LayerCompression::gzip);
  check_error(ErrorKind::integrity, "1.tar in", [&] {
    open(dir.write("x.tar", tar_of(one_image(packed.substr(0, packed.size() - 5)))));
  });
}

TEST_CASE("a docker-archive cut off anywhere is an error, or the image it was") {
  const TempDir dir;
  for (const std::string& tar :
       {tar_of(one_image()), compressed(tar_of(one_image()), LayerCompression::gzip)}) {
    const std::size_t step = tar.size() < 1000 ? 1 : 101;
    for (std::size_t size = 0; size < tar.size(); size += step) {
      CAPTURE(size);
      const std::string path = dir.write("x.tar", tar.substr(0, size));
      try {
        read_image(*open(path));
      } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::integrity || error.kind() == ErrorKind::local));
      }
    }
  }
}

// --- writing

namespace {

StreamedBlob plain_layer(const std::string& bytes, bool is_known) {
  StreamedBlob blob = test::stream_of(bytes);
  blob.media_type = media_type::kDockerLayer;
  if (is_known) blob.expected = test::descriptor_of(bytes, media_type::kDockerLayer);
  return blob;
}

std::string docker_manifest(const std::string& config, const std::vector<std::string>& layers) {
  std::string text = R"({"schemaVersion":2,"mediaType":")" +
                     std::string(media_type::kDockerManifest) + R"(","config":)" +
                     test::descriptor_json(std::string(media_type::kDockerConfig), config) +
                     R"(,"layers":[)";
  for (std::size_t i = 0; i < layers.size(); ++i) {
    text += (i == 0 ? "" : ",") +
            test::descriptor_json(std::string(media_type::kDockerLayer), layers[i]);
  }
  return text + "]}";
}

std::unique_ptr<ImageDestination> open_destination(
    const std::string& rest, const std::vector<RegistryReference>& additional = {}) {
  return open_docker_archive_destination(DockerArchiveReference::parse(rest), additional, "/tmp");
}

void put(ImageDestination& destination, const std::string& config,
         const std::vector<std::string>& layers, bool is_known) {
  for (const std::string& layer : layers)
    destination.put_stream(plain_layer(layer, is_known), kNobody, kNoStop);
  destination.put_blob(test::blob_of(config, media_type::kDockerConfig), kNobody, kNoStop);
  const std::string manifest = docker_manifest(config, layers);
  destination.put_manifest(test::descriptor_of(manifest, media_type::kDockerManifest), manifest,
                           destination.tag(), kNoStop);
}

}  // namespace

TEST_CASE("a docker-archive that was written is read, and is the same bytes each time") {
  const TempDir dir;
  const std::string config = config_of({kOne, kTwo, kOne});
  std::string first;
  for (const bool is_known : {false, true}) {
    const auto destination =
        open_destination(dir.path() + "/out.tar:q.io/app:1", {parse_additional_tag("other:2")});
    CHECK(destination->intake().in_order);
    CHECK_FALSE(destination->intake().indexes);
    CHECK(destination->tag() == "1");
    put(*destination, config, {kOne, kTwo, kOne}, is_known);
    CHECK(test::files_in(dir.path()).empty());
    destination->finish(kNoStop);
    const std::string bytes = read_file(dir.path() + "/out.tar", 1 << 20U);
    if (is_known) CHECK(bytes == first);
    first = bytes;
    if (!is_known) ::unlink((dir.path() + "/out.tar").c_str());
  }
  const std::string path = dir.path() + "/out.tar";
  CHECK(docker_archive_tags(DockerArchiveReference::parse(path), kNoStop) ==
        std::vector<std::string>{"q.io/app:1", "docker.io/library/other:2"});
  const auto source = open(path + ":other:2");
  const std::vector<Blob> layers = source->layers(Manifest::parse(source->manifest(kNoStop).bytes));
  REQUIRE(layers.size() == 3);
  CHECK(read_all(layers[2].open(0)) == kOne);
  const std::string member = std::string(Digest::of(kOne).hex()) + ".tar";
  CHECK(first.starts_with(member));
  CHECK(first.find(member + std::string("\0", 1), 100) > first.find("layer.tar"));
}

TEST_CASE("images go into one docker-archive after the other, whole or not at all") {
  const TempDir dir;
  const std::string path = dir.path() + "/out.tar";
  const auto image = [&](const std::string& name) {
    return ImageReference{Transport::docker_archive, path + name};
  };
  const std::string config = config_of({kOne, kTwo});
  const std::string other = config_of({kOne});
  const Descriptor lost = test::descriptor_of("of no use", media_type::kDockerLayer);
  std::string whole;
  for (const bool breaks_off : {false, true}) {
    ::unlink(path.c_str());
    const auto archive = open_shared_docker_archive(path, "/tmp");
    {
      const auto first = archive->next(image(":q.io/app:1"));
      put(*first, config, {kOne, kTwo}, false);
      first->finish(kNoStop);
    }
    if (breaks_off) {
      const auto broken = archive->next(image(":q.io/broken:1"));
      broken->put_stream(plain_layer("of no use", false), kNobody, kNoStop);
      CHECK(broken->has_blob(lost, kNoStop));
    }
    {
      const auto second = archive->next(image(""));
      CHECK(second->blob_size(Digest::of(kOne), kNoStop) == kOne.size());
      CHECK_FALSE(second->has_blob(lost, kNoStop));
      CHECK_FALSE(second->has_blob(test::descriptor_of(other, media_type::kDockerConfig), kNoStop));
      put(*second, other, {kOne}, true);
      second->finish(kNoStop);
    }
    {
      const auto again = archive->next(image(":q.io/app:2"));
      CHECK(again->has_blob(test::descriptor_of(config, media_type::kDockerConfig), kNoStop));
      const std::string manifest = docker_manifest(config, {kOne, kTwo});
      again->put_manifest(test::descriptor_of(manifest, media_type::kDockerManifest), manifest,
                          again->tag(), kNoStop);
      again->finish(kNoStop);
    }
    CHECK_THROWS_WITH_AS((void)archive->next(image(":q.io/app:2")), doctest::Contains("already"),
                         Error);
    CHECK_THROWS_AS((void)archive->next(image(":@0")), Error);
    CHECK(test::files_in(dir.path()).empty());
    archive->finish(kNoStop);
    const std::string bytes = read_file(path, 1 << 20U);
    if (breaks_off) CHECK(bytes == whole);
    whole = bytes;
  }
  CHECK(docker_archive_tags(DockerArchiveReference::parse(path), kNoStop) ==
        std::vector<std::string>{"q.io/app:1", "q.io/app:2", "@1"});
  const auto source = open(path + ":@1");
  const std::vector<Blob> layers = source->layers(Manifest::parse(source->manifest(kNoStop).bytes));
  REQUIRE(layers.size() == 1);
  CHECK(read_all(layers[0].open(0)) == kOne);
}

TEST_CASE("an image that breaks off in a pipe cannot be taken back") {
  const TempDir dir;
  const std::string path = dir.path() + "/pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const auto archive = open_shared_docker_archive(path, "/tmp");
  const ImageReference image{Transport::docker_archive, path + ":app:1"};
  (void)archive->next(image);  // brought nothing
  archive->next(image)->put_stream(plain_layer(kOne, true), kNobody, kNoStop);
  CHECK_THROWS_WITH_AS((void)archive->next(image), doctest::Contains("broke off"), Error);
}

TEST_CASE("what old versions of Docker read is spelled as Go spells it") {
  const TempDir dir;
  const std::string config =
      "{ \"os\" : \"linux\",\n \"config\": {\"Cmd\": [\"a b\", \"\\\"{<&>,:\\\\\"], \"\\u00fc\": "
      "\" [ü\u2028\" },"
      "\"n\": 1e2, \"created\":null, \"rootfs\":{\"diff_ids\":[\"" +
      Digest::of(kOne).str() + "\"]}}";
  const auto destination = open_destination(dir.path() + "/out.tar");
  put(*destination, config, {kOne}, false);
  destination->finish(kNoStop);
  const std::string bytes = read_file(dir.path() + "/out.tar", 1 << 20U);
  const std::string expected =
      R"({"architecture":null,"config":{"Cmd":["a b","\"{\u003c\u0026\u003e,:\\"],"\u00fc":" [ü\u2028"},)"
      R"("container":null,"container_config":null,"created":null,"docker_version":null,"id":")";
  CHECK(bytes.find(expected) != std::string::npos);
  CHECK(bytes.find(R"(","os":"linux"})") != std::string::npos);
}

TEST_CASE("nothing is added to an archive that is there") {
  const TempDir dir;
  dir.write("old.tar", "anything");
  check_error(ErrorKind::local, "docker-archive doesn't support modifying existing images",
              [&] { open_destination(dir.path() + "/old.tar:app"); });
  dir.write("empty.tar", "");
  put(*open_destination(dir.path() + "/empty.tar"), config_of({}), {}, false);
  CHECK(read_file(dir.path() + "/empty.tar", 10).empty());  // it was not finished
  check_error(ErrorKind::usage, "a position is for reading", [] { open_destination("x:@0"); });
}

TEST_CASE("what nobody could load is not written") {
  const TempDir dir;
  const auto fails = [&](ErrorKind kind, const char* says, auto work) {
    const auto destination = open_destination(dir.path() + "/out.tar");
    check_error(kind, says, [&] { work(*destination); });
  };
  fails(ErrorKind::integrity, "layer 1 is", [](ImageDestination& to) {
    put(to, config_of({kOne, "something else"}), {kOne, kTwo}, false);
  });
  fails(ErrorKind::integrity, "the config lists 1 layer, the manifest 2", [](ImageDestination& to) {
    put(to, config_of({kOne}), {kOne, kTwo}, false);
  });
  fails(ErrorKind::usage, "needs all layers", [](ImageDestination& to) {
    const std::string config = config_of({kOne});
    to.put_blob(test::blob_of(config, media_type::kDockerConfig), kNobody, kNoStop);
    const std::string manifest = docker_manifest(config, {kOne});
    to.put_manifest(test::descriptor_of(manifest, media_type::kDockerManifest), manifest, {},
                    kNoStop);
  });
  fails(ErrorKind::integrity, "the config", [](ImageDestination& to) {
    to.put_blob(test::blob_called(test::descriptor_of("{}", media_type::kDockerConfig), "[]"),
                kNobody, kNoStop);
  });
  CHECK(test::files_in(dir.path()).empty());
}

}  // namespace tug
