#include "transport/storage_reference.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

namespace tug {
namespace {

const std::string kId = "cafe56789012345678901234567890123456789012345678901234567890abcd";
const std::string kDigest =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// A store with one image, kId.
std::optional<std::string> find_id(const std::string& text) {
  if (kId.starts_with(text)) return kId;
  return std::nullopt;
}

std::string normalised(const std::string& text) { return ImageName::parse(text, find_id).str(); }

ErrorKind kind_of_failure(const std::string& text) {
  try {
    ImageName::parse(StorageReference::parse(text).image, find_id);
  } catch (const Error& error) {
    return error.kind();
  }
  FAIL(text << " was accepted");
  return ErrorKind::usage;
}

}  // namespace

TEST_CASE("the store in brackets is taken apart as containers/image does") {
  struct Case {
    std::string text;
    StoreSpec store;
    std::string image;
  };
  const Case cases[] = {
      {"[/r]a", {"", "/r", "", {}}, "a"},
      {"[overlay@/r]a:1", {"overlay", "/r", "", {}}, "a:1"},
      {"[overlay2@/r]a", {"overlay", "/r", "", {}}, "a"},
      {"[vfs@/r+/run]a", {"vfs", "/r", "/run", {}}, "a"},
      {"[vfs@/r+/run:vfs.imagestore=/x,y=z]a",
       {"vfs", "/r", "/run", {"vfs.imagestore=/x", "y=z"}},
       "a"},
      {"[/r:o=1]a", {"", "/r", "", {"o=1"}}, "a"},
      {"[/r]a]b", {"", "/r", "", {}}, "a]b"},
      {"[/r+/run:a=b+c:d]@id", {"", "/r", "/run", {"a=b+c:d"}}, "@id"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const StorageReference reference = StorageReference::parse(c.text);
    REQUIRE(reference.store.has_value());
    CHECK(*reference.store == c.store);
    CHECK(reference.image == c.image);
  }
  CHECK_FALSE(StorageReference::parse("localhost/a:1").store.has_value());
  for (const std::string bad : {"", "[", "[/r", "[/r]", "[]a", "[@/r]a", "[overlay@]a", "[r]a",
                                "[overlay@r]a", "[/r+run]a", "[/r+]a"}) {
    CAPTURE(bad);
    CHECK(kind_of_failure(bad) == ErrorKind::usage);
  }
}

TEST_CASE("names are normalised, ids and their beginnings win over names") {
  struct Case {
    std::string text;
    std::string expected;
  };
  const Case cases[] = {
      {"many", "docker.io/library/many:latest"},
      {"many:3", "docker.io/library/many:3"},
      {"ns/many", "docker.io/ns/many:latest"},
      {"localhost/many:3", "localhost/many:3"},
      {"localhost:5000", "docker.io/library/localhost:5000"},
      {"localhost:5000/many", "localhost:5000/many:latest"},
      {"example.com/a/b:t", "example.com/a/b:t"},
      {"example.com:5000/a", "example.com:5000/a:latest"},
      {"index.docker.io/library/many", "docker.io/library/many:latest"},
      {"many@" + kDigest, "docker.io/library/many@" + kDigest},
      {"many:3@" + kDigest, "docker.io/library/many:3@" + kDigest},
      {"many:3@" + kId, "docker.io/library/many:3@" + kId},
      {"many@" + kDigest + "@" + kId, "docker.io/library/many@" + kDigest + "@" + kId},
      {"many:3@" + kDigest + "@cafe", "docker.io/library/many:3@" + kDigest + "@" + kId},
      {"@" + kId, "@" + kId},
      {"@caf", "@" + kId},
      {kId, "@" + kId},
      {"cafe", "@" + kId},
      {"caf", "@" + kId},
      {"ca", "docker.io/library/ca:latest"},  // too short for the beginning of an id
      {"cafe:latest", "docker.io/library/cafe:latest"},
      {"docker.io/library/cafe", "docker.io/library/cafe:latest"},
      {"cafd", "docker.io/library/cafd:latest"},  // no such id
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(normalised(c.text) == c.expected);
  }
}

TEST_CASE("references that are nothing are refused before the store is asked for a name") {
  const std::vector<std::string> bad = {
      "@",
      "many@",
      "many@xyz",
      "many@ca",
      "many@sha256:00",
      "Many",
      "LOCALHOST/x",
      "localhost/Many",
      "many:",
      "many:-x",
      "many:a b",
      "many::3",
      "many/",
      "/many",
      "many:3@" + kDigest + "@",
      "many@" + kDigest + "@" + kDigest,
      "localhost/many:" + std::string(129, 'x'),
  };
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK(kind_of_failure(text) == ErrorKind::usage);
  }
}

TEST_CASE("the repository of a name ends before tag and digest, not at a port") {
  CHECK(repository_of("localhost/many:3") == "localhost/many");
  CHECK(repository_of("localhost:5000/many") == "localhost:5000/many");
  CHECK(repository_of("localhost:5000/many:3@" + kDigest) == "localhost:5000/many");
  CHECK(repository_of("a@" + kDigest) == "a");
  CHECK(repository_of("") == "");
}

}  // namespace tug
