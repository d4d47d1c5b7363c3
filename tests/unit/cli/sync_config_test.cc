#include "cli/sync_config.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::cli;
using namespace tug::test;

namespace {

using Texts = std::vector<std::string>;
using Selection = SyncRepository::Selection;

SyncConfig parsed(const std::string& text) { return parse_sync_config(text, "sync.yml"); }

}  // namespace

TEST_CASE("a sync file names the images of registries") {
  const SyncConfig config = parsed(R"(
registry.example.com:5000:
  images-by-semver:
    alpine: ">= 3.12.0"
    old: 1.10
  images:
    busybox: []
    redis:
      - "1.0"
      - 2.0
      - 3.10
      - sha256:0000000000000000000000000000000011111111111111111111111111111111
    nothing:
  images-by-tag-regex:
    nginx: ^1\.13\.[12]-alpine-perl$
  credentials:
    username: john
    password: 0123
  tls-verify: true
  cert-dir: /home/john/certs
quay.io:
  tls-verify: false
  images:
    coreos/etcd: [latest]
)");
  REQUIRE(config.registries.size() == 2);
  CHECK(config.notes.empty());
  const SyncRegistry& first = config.registries[0];
  CHECK(first.name == "registry.example.com:5000");
  REQUIRE(first.repositories.size() == 6);
  CHECK(first.repositories[0].name == "busybox");
  CHECK(first.repositories[0].selection == Selection::all_tags);
  CHECK(first.repositories[1].selection == Selection::listed);
  CHECK(first.repositories[1].images ==
        Texts{"1.0", "2.0", "3.10",
              "sha256:0000000000000000000000000000000011111111111111111111111111111111"});
  CHECK(first.repositories[1].where == "registry.example.com:5000.images.redis in sync.yml");
  CHECK(first.repositories[2].selection == Selection::all_tags);
  CHECK(first.repositories[3].selection == Selection::by_regex);
  CHECK(first.repositories[3].filter == R"(^1\.13\.[12]-alpine-perl$)");
  CHECK(first.repositories[4].selection == Selection::by_semver);
  CHECK(first.repositories[4].filter == ">= 3.12.0");
  CHECK(first.repositories[5].filter == "1.10");
  REQUIRE(first.credentials);
  CHECK(first.credentials->first == "john");
  CHECK(first.credentials->second.reveal() == "0123");
  CHECK(first.tls_verify == true);
  CHECK(first.cert_dir == "/home/john/certs");
  const SyncRegistry& second = config.registries[1];
  CHECK(second.tls_verify == false);
  CHECK_FALSE(second.credentials);
  CHECK_FALSE(second.cert_dir);
  CHECK(second.repositories[0].images == Texts{"latest"});
}

TEST_CASE("what is not given stays unset, and JSON is YAML") {
  CHECK(parsed("").registries.empty());
  const SyncConfig config = parsed(
      R"({"a.example": {"images": {"x": ["1"]}, "credentials": null, "cert-dir": "", "tls-verify": null},
          "b.example": null, "c.example": {"images": null, "credentials": {}}})");
  REQUIRE(config.registries.size() == 3);
  CHECK_FALSE(config.registries[0].credentials);
  CHECK_FALSE(config.registries[0].cert_dir);
  CHECK_FALSE(config.registries[0].tls_verify);
  CHECK(config.registries[1].repositories.empty());
  CHECK_FALSE(config.registries[2].credentials);
}

TEST_CASE("a key that nothing reads is noted") {
  const SyncConfig config = parsed("a.example: {image: {x: []}, images-by-tag-regexp: {x: y}}");
  REQUIRE(config.notes.size() == 2);
  CHECK(config.notes[0] ==
        "a.example.image in sync.yml: no such key, left out (did you mean images?)");
  CHECK(config.registries[0].repositories.empty());
}

TEST_CASE("what is wrong is named by file and key, without its value") {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {
      {"[a]", "sync.yml: must be a mapping of registries, not a list"},
      {"a.example: x", "a.example in sync.yml: must be a mapping, not text"},
      {"a.example: {images: [x]}", "a.example.images in sync.yml: must be a mapping, not a list"},
      {"a.example: {images: {x: v1}}",
       "a.example.images.x in sync.yml: must be a list of tags and digests, not text"},
      {"a.example: {images: {x: [null]}}", "must be text, not null"},
      {"a.example: {images: {x: [[y]]}}", "must be text, not a list"},
      {"a.example: {images-by-tag-regex: {x: [y]}}",
       "a.example.images-by-tag-regex.x in sync.yml: must be text, not a list"},
      {"a.example: {images-by-semver: {x: }}", "must be text, not null"},
      {"a.example: {credentials: s3cret}",
       "a.example.credentials in sync.yml: must be a mapping, not text"},
      {"a.example: {credentials: {password: s3cret}}", "user name must not be empty"},
      {"a.example: {credentials: {username: 'a:b', password: s3cret}}", "contain a colon"},
      {"a.example: {tls-verify: 17}",
       "a.example.tls-verify in sync.yml: must be true or false, not a number"},
      {"a.example: {cert-dir: [x]}", "must be text, not a list"},
      {"a.example: {images: {x: [}", "sync.yml: line 1"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const Error error = error_of([&] { (void)parsed(row.text); });
    CHECK(error.kind() == ErrorKind::usage);
    INFO("the error: ", error.what());
    CHECK(std::string(error.what()).find(row.message) != std::string::npos);
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
  }
  check_error(ErrorKind::usage, "nested too deeply",
              [] { (void)parsed("a: " + std::string(100, '[') + std::string(100, ']')); });
  check_error(ErrorKind::usage, "larger than",
              [] { (void)parsed(std::string(kMaxSyncConfigBytes + 1, ' ')); });
}
