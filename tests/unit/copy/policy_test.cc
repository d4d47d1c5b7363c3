#include "copy/policy.h"

#include "copy/policy_scopes.h"
#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tug {
namespace {

constexpr const char* kPolicy = R"({
  "default": [{"type": "reject"}],
  "transports": {
    "docker": {
      "": [{"type": "insecureAcceptAnything"}],
      "reg.example/secret": [{"type": "reject"}],
      "reg.example/secret/but/this": [{"type": "insecureAcceptAnything"}],
      "*.signed.example": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]
    },
    "oci": {"/srv/images": [{"type": "insecureAcceptAnything"}]}
  }
})";

TEST_CASE("the most specific scope of the transport decides") {
  const Policy policy = Policy::parse(kPolicy, "/etc/policy.json");
  struct Row {
    const char* source;
    const char* refusal;  // "" = accepted
  };
  const Row rows[] = {
      {"docker://other.example/x", ""},
      {"docker://reg.example/secret", "rejects"},
      {"docker://reg.example/secret/a:1", "rejects"},
      {"docker://reg.example/secret/but/this:1", ""},
      {"docker://reg.example/secretive", ""},
      {"docker://a.b.signed.example/x", "demands a signature (signedBy)"},
      {"oci:/srv/images/app:latest", ""},
      {"oci:/srv/imagesx/app", "rejects"},
      {"dir:/srv/images", "rejects"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.source);
    const ImageReference source = ImageReference::parse(row.source);
    if (*row.refusal == '\0') {
      CHECK_NOTHROW(policy.check(source));
    } else {
      CHECK_THROWS_WITH_AS(policy.check(source), doctest::Contains(row.refusal), Error);
      CHECK_THROWS_WITH_AS(policy.check(source), doctest::Contains("/etc/policy.json"), Error);
    }
  }
}

TEST_CASE("a broken policy is refused, naming the file") {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"default":[]})", R"({"default":[{"type":"whatever"}]})",
        R"({"default":[{"type":"reject"}],"transports":{"docker":[]}})",
        R"({"default":[{"type":"reject"}],"transports":null})",
        R"({"default":[{"type":"reject"}],"transport":{}})",
        R"({"default":[{"type":"insecureAcceptAnything","extra":1}]})",
        R"({"default":[{"type":"reject"}],"transports":{"docker":{"":[{"type":"signedBy"}]}}})",
        R"({"default":[{"type":"reject"}],"transports":{"oci":{"/a/":[{"type":"reject"}]}}})"}) {
    CAPTURE(text);
    try {
      Policy::parse(text, "/p.json");
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).find("/p.json") != std::string::npos);
    }
  }
}

TEST_CASE("a signature as later versions demand it rejects, and the rest of the file counts") {
  for (const char* keys : {R"("keyPaths": ["/k"])", R"("keyDatas": ["aGVsbG8="])",
                           R"("fulcio": {"oidcIssuer": "i"}, "rekorPublicKeyPath": "/k")",
                           R"("pki": {}, "signedIdentity": {"type": "matchRepository"})"}) {
    INFO(keys);
    const Policy policy = Policy::parse(
        R"({"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"a.example":
            [{"type": "sigstoreSigned", )" +
            std::string(keys) + "}]}}}",
        "p");
    CHECK_NOTHROW(policy.check(ImageReference::parse("docker://b.example/x")));
    CHECK_THROWS_WITH_AS(policy.check(ImageReference::parse("docker://a.example/x")),
                         doctest::Contains("sigstoreSigned"), Error);
  }
}

TEST_CASE("a rule for a directory is one for every link to it") {
  const test::TempDir dir;
  const std::string real = std::filesystem::canonical(dir.path()).string() + "/real";
  std::filesystem::create_directories(real + "/layout");
  std::filesystem::create_symlink("real", dir.path() + "/link");
  for (const char* name : {"oci:", "oci-archive:", "dir:"}) {
    CAPTURE(name);
    const auto scopes = policy_scopes(ImageReference::parse(name + dir.path() + "/link/layout"));
    REQUIRE(scopes.size() > 2);
    CHECK(scopes[0] == real + "/layout");
    CHECK(scopes[1] == real);
    CHECK(scopes.back().empty());
  }
  const auto missing = policy_scopes(ImageReference::parse("oci:" + dir.path() + "/link/none:ref"));
  CHECK(missing[0] == real + "/none");
}

TEST_CASE("the scopes of a daemon's image are those of its name") {
  using Lines = std::vector<std::string>;
  CHECK(policy_scopes(ImageReference::parse("docker-daemon:app:1")) ==
        Lines{"docker.io/library/app:1", "docker.io/library/app", "docker.io/library", "docker.io",
              "*.io", ""});
  CHECK(policy_scopes(ImageReference::parse("docker-daemon:sha256:" + std::string(64, '0'))) ==
        Lines{""});
}

TEST_CASE("the scopes of an image in a store are its names there, the store and its directory") {
  using Lines = std::vector<std::string>;
  const auto parse = [](std::string_view text) {
    return ImageName::parse(text, [](const std::string&) { return std::nullopt; });
  };
  const std::string id(64, '7');
  CHECK(storage_scopes({"vfs", "/s/./root/", parse("app:1"), id}) ==
        Lines{"[vfs@/s/root]docker.io/library/app:1@" + id, "[vfs@/s/root]docker.io/library/app:1",
              "[vfs@/s/root]docker.io/library/app", "[vfs@/s/root]docker.io/library",
              "[vfs@/s/root]docker.io", "[vfs@/s/root]", "[/s/root]"});
  CHECK(storage_scopes({"vfs", "/s", parse("@" + id), id}) ==
        Lines{"[vfs@/s]@" + id, "[vfs@/s]", "[/s]"});
}

TEST_CASE("scopes that never name an image are none") {
  struct Row {
    const char* transport;
    std::vector<const char*> good, bad;
  };
  const Row rows[] = {
      {"oci", {"/a", "/a/b:c", "/..a"}, {"/", "/a/", "/a//b", "/a/./b", "/a/..", "a", "."}},
      {"docker-archive", {}, {"/a", "a"}},
      {"containers-storage",
       {"[/a]", "[vfs@/a]", "[/a]app", "[vfs@/a]app:1"},
       {"app", "[", "[]", "[a]", "[@/a]", "[vfs@]", "[vfs@a]", "[/a]app@", "[/a]app@1"}},
      {"docker-daemon", {"docker.io", "x"}, {}},
      {"docker", {"*.io", "/"}, {}},
      {"unknown", {"x"}, {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.transport);
    for (const char* scope : row.good) {
      CAPTURE(scope);
      CHECK(is_policy_scope(row.transport, scope));
    }
    for (const char* scope : row.bad) {
      CAPTURE(scope);
      CHECK_FALSE(is_policy_scope(row.transport, scope));
    }
  }
}

}  // namespace
}  // namespace tug
