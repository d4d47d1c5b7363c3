#include "cli/image_list.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace tug;
using namespace tug::cli;

namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

Texts texts_of(const std::vector<ImagePair>& pairs) {
  Texts texts;
  for (const ImagePair& pair : pairs) texts.emplace_back(pair.source.str(), pair.destination.str());
  return texts;
}

Texts parsed(const std::string& text) { return texts_of(parse_image_list(text, "list")); }

std::string refusal(const std::string& text) {
  try {
    (void)parse_image_list(text, "list");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return "none";
}

ListedImages listed(const std::vector<std::string>& names) {
  ListedImages images;
  for (const std::string& name : names)
    images.images.push_back({name, {Transport::oci, "/layout:" + name}});
  return images;
}

std::vector<std::string> destinations(const std::string& prefix,
                                      const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const ImagePair& pair : pairs_below(prefix, listed(names)))
    result.push_back(pair.destination.str());
  return result;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("image list: words, quotes, comments, empty lines, line ends of DOS") {
  CHECK(parsed("") == Texts{});
  CHECK(parsed("# nothing\n\n  \t\n") == Texts{});
  CHECK(parsed("oci:/a docker://r.example/a:1\r\n\toci:/b\t docker://r.example/b # text\n") ==
        Texts{{"oci:/a", "docker://r.example/a:1"}, {"oci:/b", "docker://r.example/b"}});
  CHECK(parsed("'oci:/a b' \"docker://r.example/a\"\n"
               "\"oci:/q\\\"u\\\\o\\te\" docker://r.example/b\n"
               "oci:/c\\ d#e docker://r.example/c") ==
        Texts{{"oci:/a b", "docker://r.example/a"},
              {"oci:/q\"u\\o\\te", "docker://r.example/b"},
              {"oci:/c d#e", "docker://r.example/c"}});
}

TEST_CASE("image list: what is wrong is named with its line") {
  CHECK(refusal("\noci:/a\n") == "list, line 2: 1 word where SOURCE DESTINATION is expected");
  CHECK(refusal("a b c").find("line 1: 3 words") != std::string::npos);
  CHECK(refusal("oci:/a 'docker://r.example/a").find("the quote ' is not closed") !=
        std::string::npos);
  CHECK(refusal("oci:/a docker://r.example/a\\").find("after the last \\") != std::string::npos);
  CHECK(refusal("nothing docker://r.example/a").find("line 1: source: ") != std::string::npos);
  CHECK(refusal("oci:/a docker://r.example/A").find("lower case") != std::string::npos);
}

TEST_CASE("image list: a destination is named once") {
  CHECK(parsed("oci:/a docker://r.example/a\noci:/a docker://r.example/a:latest").size() == 1);
  CHECK(refusal("oci:/a docker://r.example/a\n\noci:/b docker://r.example/a:latest") ==
        "list, line 3: docker://r.example/a:latest gets another image in line 1");
}

TEST_CASE("image list: a name stands once in an archive, however its path is written") {
  CHECK(parsed("oci:/a docker-archive:x.tar:a:1\noci:/a docker-archive:./x.tar:a:1").size() == 1);
  CHECK(parsed("oci:/a docker-archive:x.tar:a:1\noci:/b docker-archive:y.tar:a:1").size() == 2);
  CHECK(refusal("oci:/a docker-archive:x.tar:a\noci:/b docker-archive:./x.tar:a:latest") ==
        "list, line 2: docker-archive:./x.tar:a:latest gets another image in line 1");
  CHECK(refusal("oci:/a oci-archive:/tmp/x.tar:a\noci:/b oci-archive:/tmp/../tmp/x.tar:a")
            .find("in line 1") != std::string::npos);
  // Without a name: any number of images, or one.
  CHECK(parsed("oci:/a docker-archive:x.tar\noci:/b docker-archive:x.tar").size() == 2);
  CHECK(parsed("oci:/a docker-archive:x.tar\noci:/a docker-archive:x.tar").size() == 1);
  CHECK(refusal("oci:/a oci-archive:x.tar\noci:/b oci-archive:x.tar").find("in line 1") !=
        std::string::npos);
  CHECK(refusal("oci:/a docker-archive:x.tar:@1").find("line 1: destination: ") !=
        std::string::npos);
}

TEST_CASE("all images: names stay in a layout and in an archive") {
  CHECK(destinations("oci:/x", {"v1", "quay.io/x/app:3"}) ==
        Names{"oci:/x:v1", "oci:/x:quay.io/x/app:3"});
  CHECK(destinations("oci-archive:/x", {"v1"}) == Names{"oci-archive:/x:v1"});
  CHECK(
      destinations("docker-archive:/x", {"app:2", "quay.io/x/app"}) ==
      Names{"docker-archive:/x:docker.io/library/app:2", "docker-archive:/x:quay.io/x/app:latest"});
  CHECK(destinations("docker-archive:/x:team", {"v1", "quay.io/x/app:3"}) ==
        Names{"docker-archive:/x:docker.io/library/team:v1",
              "docker-archive:/x:docker.io/team/x/app:3"});
}

TEST_CASE("all images: names become destinations below the prefix") {
  CHECK(destinations("docker://r.example:5000/team",
                     {"v1", "app:2", "sub/app", "quay.io/x/app:3", "localhost/mine:4",
                      "host:5000/y:5", "docker.io/library/z:6"}) ==
        Names{"docker://r.example:5000/team:v1", "docker://r.example:5000/team/app:2",
              "docker://r.example:5000/team/sub/app:latest", "docker://r.example:5000/team/x/app:3",
              "docker://r.example:5000/team/mine:4", "docker://r.example:5000/team/y:5",
              "docker://r.example:5000/team/library/z:6"});
  CHECK(destinations("docker://localhost:5000", {"app:2"}) ==
        Names{"docker://localhost:5000/app:2"});
}

TEST_CASE("all images: what cannot be a destination is refused") {
  CHECK_THROWS_WITH_AS(destinations("docker://r.example", {"v1"}),
                       doctest::Contains("names no repository"), Error);
  CHECK_THROWS_WITH_AS(destinations("docker://r.example/", {"a:1"}),
                       doctest::Contains("no place for many images"), Error);
  for (const char* prefix : {"dir:/x", "oci:", "oci:/x:a", "oci-archive::a", "docker-archive:/x:",
                             "docker-archive:/x:A", "docker-archive:/x:a:1"}) {
    CHECK_THROWS_WITH_AS(destinations(prefix, {"a:1"}),
                         doctest::Contains("no place for many images"), Error);
  }
  CHECK_THROWS_WITH_AS(destinations("docker-archive:/x", {"v1"}),
                       doctest::Contains("docker-archive:/x names no repository"), Error);
  CHECK_THROWS_WITH_AS(destinations("docker://r.example/p", {"quay.io/a:1", "ghcr.io/a:1"}),
                       doctest::Contains("would both go to r.example/p/a:1"), Error);
  CHECK_THROWS_WITH_AS(destinations("docker://r.example/p", {"Upper:1"}),
                       doctest::Contains("image \"Upper:1\""), Error);
}

TEST_CASE("shards: every destination is in exactly one, the same however it is written") {
  CHECK(Shard::parse("2/3").number == 2);
  for (const char* text : {"", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2", "1/9999999"})
    CHECK_THROWS_AS((void)Shard::parse(text), Error);
  std::size_t in_first = 0;
  for (int i = 0; i < 300; ++i) {
    const ImageReference destination =
        ImageReference::parse("docker://r.example/app" + std::to_string(i));
    int holders = 0;
    for (std::uint64_t number = 1; number <= 3; ++number) {
      const bool has = Shard{number, 3}.has(destination);
      holders += has ? 1 : 0;
      if (has && number == 1) ++in_first;
      CHECK(has == Shard{number, 3}.has(ImageReference::parse(destination.str() + ":latest")));
    }
    CHECK(holders == 1);
  }
  CHECK(in_first > 60);
  CHECK(in_first < 140);
  // Machines with another version of tug take the same parts.
  CHECK(Shard{738, 1000}.has(ImageReference::parse("docker://r.example/app0:1")));
}
