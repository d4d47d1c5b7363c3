#include "tug/reference.h"

#include "support/error_of.h"

#include <string>

namespace tug {
namespace {

using test::check_error;
using test::error_of;

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

TEST_CASE("references are normalised as Docker does it") {
  const std::pair<std::string, std::string> cases[] = {
      {"alpine", "docker.io/library/alpine:latest"},
      {"alpine:3.19", "docker.io/library/alpine:3.19"},
      {"library/alpine", "docker.io/library/alpine:latest"},
      {"user/app:1", "docker.io/user/app:1"},
      {"docker.io/alpine", "docker.io/library/alpine:latest"},
      {"index.docker.io/alpine", "docker.io/library/alpine:latest"},
      {"index.docker.io/user/app", "docker.io/user/app:latest"},
      {"docker.io/a/b/c", "docker.io/a/b/c:latest"},
      {"docker.io", "docker.io/library/docker.io:latest"},
      {"quay.io/app", "quay.io/app:latest"},
      {"quay.io/a/b/c/d:x", "quay.io/a/b/c/d:x"},
      {"localhost/app", "localhost/app:latest"},
      {"localhost:5000/app", "localhost:5000/app:latest"},
      {"localhost:5000", "docker.io/library/localhost:5000"},
      {"registry:5000/app:1", "registry:5000/app:1"},
      {"registry/app", "docker.io/registry/app:latest"},
      {"REG.Example:443/app", "REG.Example:443/app:latest"},
      {"127.0.0.1:80/app", "127.0.0.1:80/app:latest"},
      {"[::1]:5000/x", "[::1]:5000/x:latest"},
      {"[fe80::1]/x/y:1", "[fe80::1]/x/y:1"},
      {"reg.example/a.b_c__d---e/f-1:T_a.g-1", "reg.example/a.b_c__d---e/f-1:T_a.g-1"},
      {"reg.example/app:" + std::string(128, 't'), "reg.example/app:" + std::string(128, 't')},
      {"reg.example/" + std::string(243, 'n'), "reg.example/" + std::string(243, 'n') + ":latest"},
      {"alpine@" + kDigest, "docker.io/library/alpine@" + kDigest},
      {"localhost:5000/app@" + kDigest, "localhost:5000/app@" + kDigest},
      {"app:_", "docker.io/library/app:_"},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& normal = row.second;
    CAPTURE(text);
    const auto reference = RegistryReference::parse(text);
    CHECK(reference.str() == normal);
    CHECK(RegistryReference::parse(normal) == reference);
    CHECK(is_repository_name(reference.repository()));
  }
}

TEST_CASE("a reference has its parts") {
  const auto tagged = RegistryReference::parse("localhost:5000/team/app:1");
  CHECK(tagged.registry() == "localhost:5000");
  CHECK(tagged.repository() == "team/app");
  CHECK(tagged.name() == "localhost:5000/team/app");
  CHECK(tagged.tag() == "1");
  CHECK(!tagged.digest());
  CHECK(tagged.identifier() == "1");

  const auto digested = RegistryReference::parse("localhost:5000/team/app@" + kDigest);
  CHECK(!digested.tag());
  REQUIRE(digested.digest());
  CHECK(digested.digest()->str() == kDigest);
  CHECK(digested.identifier() == kDigest);
}

TEST_CASE("a reference gets another tag or digest, or none") {
  const auto reference = RegistryReference::parse("localhost:5000/app:1");
  CHECK(reference.with_tag("2").str() == "localhost:5000/app:2");
  CHECK(reference.with_digest(Digest::parse(kDigest)).str() == "localhost:5000/app@" + kDigest);
  CHECK(reference.with_digest(Digest::parse(kDigest)).with_tag("3").str() ==
        "localhost:5000/app:3");
  CHECK(reference.without_identifier().str() == "localhost:5000/app");
  check_error(ErrorKind::usage, "is no tag", [&] { return reference.with_tag("a/b"); });
  check_error(ErrorKind::usage, "where a tag belongs", [&] { return reference.with_tag(""); });
}

TEST_CASE("a bad reference is refused and the message says why") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty image reference"},
      {"Alpine", "invalid reference \"Alpine\": repository name must be lower case"},
      {"reg.example/Team/app:1", "repository name must be lower case"},
      {"LOCALHOST/app",
       "repository name must be lower case (hint: its first part is a registry only with a dot"},
      {" alpine", "space at byte 1"},
      {"al pine", "space at byte 3"},
      {"alpine\n", "control character 0x0a at byte 7"},
      {"alp\x1b[31mine", "control character 0x1b at byte 4"},
      {std::string("alp\0ine", 7), "control character 0x00 at byte 4"},
      {"alpine\x7f", "control character 0x7f at byte 7"},
      {"alpine:", "nothing after the colon, where a tag belongs"},
      {"alpine:" + std::string(300, 't'), "the tag is 300 characters long; 128 are allowed"},
      {"alpine:" + std::string(129, 't'), "the tag is 129 characters long"},
      {"alpine:-x", "\"-x\" is no tag"},
      {"alpine:.x", "\".x\" is no tag"},
      {"alpine:a+b", "\"a+b\" is no tag"},
      {"alpine:a:b", "\"a:b\" is no tag"},
      {"alpine:\xC3\xA4", "is no tag"},
      {"alpine:1@" + kDigest, "a tag and a digest together are not supported"},
      {"alpine@", "\"sha256:\" and 64 hex digits expected"},
      {"alpine@sha256:abc", "exactly 64 lower-case hex digits must follow"},
      {"alpine@sha256:../../x", "exactly 64 lower-case hex digits must follow"},
      {"alpine@md5:abc", "unsupported digest algorithm \"md5\""},
      {"alpine@" + kDigest + "@" + kDigest, "exactly 64 lower-case hex digits"},
      {"alpine@" + kDigest + ":1", "exactly 64 lower-case hex digits"},
      {kHex, "this is an image ID"},
      {"/alpine", "empty component"},
      {"//alpine", "empty component"},
      {"a//b", "empty component"},
      {"user/", "empty component"},
      {"docker.io/", "no repository name"},
      {"localhost:5000/:1", "no repository name"},
      {"@" + kDigest, "no repository name"},
      {":1", "no repository name"},
      {"-a", "\"-a\" in the repository name"},
      {"a-", "\"a-\" in the repository name"},
      {"a..b", "\"a..b\" in the repository name"},
      {"a___b", "\"a___b\" in the repository name"},
      {"a._b", "\"a._b\" in the repository name"},
      {"a/../b", "\"..\" in the repository name"},
      {"reg.example/.", "\".\" in the repository name"},
      {"\xC3\xA4pp", "in the repository name"},
      {"a%2fb", "in the repository name"},
      {"a?b", "in the repository name"},
      {"a#b", "in the repository name"},
      {"..:5000/x", "\"..\" is no registry host"},
      {"-reg.example/x", "is no registry host"},
      {"reg_istry.example/x", "is no registry host"},
      {"a..b/x", "is no registry host"},
      {"a./x", "is no registry host"},
      {"[::1/x", "is no registry host"},
      {"[]:5000/x", "is no registry host"},
      {"[1]:5000/x", "is no registry host"},
      {"[::g]:5000/x", "is no registry host"},
      {"[::1]5000/x", "is no registry host"},
      {"::1/x", "is no registry host"},
      {"localhost:/x", "\"\" is no port"},
      {"localhost:0/x", "\"0\" is no port"},
      {"localhost:65536/x", "\"65536\" is no port"},
      {"localhost:5000000000000000000000/x", "is no port"},
      {"localhost:+80/x", "is no port"},
      {"localhost:80:81/x", "is no port"},
      {"https://reg.example/x", "a reference has no scheme (hint: leave out \"https://\")"},
      {"docker://reg.example/x", "a reference has no scheme"},
      {"reg.example/" + std::string(244, 'n'), "the name is 256 characters long; 255 are allowed"},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& problem = row.second;
    CAPTURE(text);
    check_error(ErrorKind::usage, problem, [&] { return RegistryReference::parse(text); });
  }
}

TEST_CASE("a message about a reference has no control characters and is short") {
  const std::string text = "\x1b]0;x\x07" + std::string(100'000, 'x');
  const std::string what = error_of([&] { return RegistryReference::parse(text); }).what();
  CHECK(what.find_first_of("\x1b\x07") == std::string::npos);
  CHECK(what.size() < 400);
}

TEST_CASE("a password in a reference is refused and not shown") {
  for (const char* text : {"user:s3cret@reg.example/app", "user:s3cret@reg.example:5000/app:1",
                           "user:s3/cret@reg/app"}) {
    CAPTURE(text);
    const Error error = error_of([&] { return RegistryReference::parse(text); });
    const std::string what = error.what();
    CHECK(what.find("cret") == std::string::npos);
    CHECK(what.find("--dest-creds") != std::string::npos);
  }
  for (const char* text :
       {"dokcer://user:s3cret@reg.example/app", "https://user:s3cret@reg.example/app",
        "docker:user:s3cret@reg.example/app", "user:s3cret@reg.example/app"}) {
    CAPTURE(text);
    const std::string what = error_of([&] { return ImageReference::parse(text); }).what();
    CHECK(what.find("cret") == std::string::npos);
  }
}

TEST_CASE("a repository alone has neither tag nor digest") {
  CHECK(RegistryReference::parse_repository("alpine").str() == "docker.io/library/alpine");
  CHECK(RegistryReference::parse_repository("localhost:5000/a/b").str() == "localhost:5000/a/b");
  for (const auto& text :
       {std::string("alpine:1"), std::string("localhost:5000"), "alpine@" + kDigest}) {
    check_error(ErrorKind::usage, "without tag or digest",
                [&] { return RegistryReference::parse_repository(text); });
  }
  check_error(ErrorKind::usage, "empty image reference",
              [] { return RegistryReference::parse_repository(""); });
  check_error(ErrorKind::usage, "lower case",
              [] { return RegistryReference::parse_repository("A"); });
}

TEST_CASE("a registry that was read as a tag is pointed out") {
  CHECK(RegistryReference::parse("registry:5000").misreading_hint() ==
        "registry:5000 was read as docker.io/library/registry:5000; if it is a registry, a "
        "repository name must "
        "follow: registry:5000/NAME");
  for (const char* text :
       {"registry", "registry:5", "registry:5000/x", "user/registry:5000", "alpine:3.19"}) {
    CHECK(RegistryReference::parse(text).misreading_hint() == "");
  }
}

TEST_CASE("truncated references parse or are refused, and what parses survives a round trip") {
  for (const auto& whole : {"reg.example:5000/team/a__b-c.d/app@" + kDigest,
                            std::string("[::1]:5000/team/app:v1.2-x")}) {
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const auto text = whole.substr(0, size);
      CAPTURE(text);
      try {
        const auto reference = RegistryReference::parse(text);
        CHECK(RegistryReference::parse(reference.str()) == reference);
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
      }
    }
  }
}

TEST_CASE("repository names and tags are told from others") {
  CHECK(is_repository_name("a"));
  CHECK(is_repository_name("a/b-c/d_e/f__g/h.i/0"));
  CHECK(is_repository_name(std::string(255, 'a')));
  for (const auto& name :
       {std::string(), std::string(256, 'a'), std::string("a/"), std::string("/a"),
        std::string("A"), std::string("a:b"), std::string("a_-b")}) {
    CHECK(!is_repository_name(name));
  }
  CHECK(is_tag("latest"));
  CHECK(is_tag("_"));
  CHECK(is_tag("0.A-b_c"));
  for (const char* tag : {"", ".a", "-a", "a b", "a/b", "a@b", "\xC3\xA4"}) CHECK(!is_tag(tag));
}

TEST_CASE("an argument is split into transport and rest") {
  struct Case {
    std::string text;
    Transport transport;
    std::string rest;
  };
  const Case cases[] = {
      {"docker://alpine", Transport::docker, "alpine"},
      {"docker://localhost:5000/a:1", Transport::docker, "localhost:5000/a:1"},
      {"oci:/a b/\xC3\xA4:ref:x", Transport::oci, "/a b/\xC3\xA4:ref:x"},
      {"oci-archive:x.tar", Transport::oci_archive, "x.tar"},
      {"dir:.", Transport::dir, "."},
      {"docker-archive:x.tar:a:1", Transport::docker_archive, "x.tar:a:1"},
      {"docker-daemon:a:1", Transport::docker_daemon, "a:1"},
      {"containers-storage:[overlay@/a+/b]x", Transport::containers_storage, "[overlay@/a+/b]x"},
      {"sif:x", Transport::sif, "x"},
      {"ostree:x", Transport::ostree, "x"},
      {"atomic:x", Transport::atomic, "x"},
      {"tarball:x", Transport::tarball, "x"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const auto reference = ImageReference::parse(c.text);
    CHECK(to_string(reference.transport) == to_string(c.transport));
    CHECK(reference.rest == c.rest);
    CHECK(reference.str() == c.text);
  }
}

TEST_CASE("an argument that names no transport is refused with a hint") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty image name"},
      {"alpine",
       "invalid image name \"alpine\": no transport (hint: an image in a registry is written "
       "docker://alpine)"},
      {"alpine:latest",
       "unknown transport \"alpine\" (hint: an image in a registry is written "
       "docker://alpine:latest)"},
      {"localhost:5000/a:1", "written docker://localhost:5000/a:1)"},
      {"https://reg.example/a",
       "unknown transport \"https\" (hint: an image in a registry is written "
       "docker://reg.example/a)"},
      {"docker:alpine", "\"docker:\" must be followed by \"//\" (hint: docker://alpine)"},
      {"docker:/alpine", "must be followed by \"//\""},
      {"dokcer://alpine", "did you mean \"docker://\"?"},
      {"Docker://alpine", "did you mean \"docker://\"?"},
      {"oci-archiv:x.tar", "did you mean \"oci-archive:\"?"},
      {"container-storage:x", "did you mean \"containers-storage:\"?"},
      {"docker://", "nothing after \"docker://\""},
      {"oci:", "nothing after \"oci:\""},
      {":x", "unknown transport \"\""},
      {"oci:/a\nb", "control character 0x0a at byte 7"},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& problem = row.second;
    CAPTURE(text);
    check_error(ErrorKind::usage, problem, [&] { return ImageReference::parse(text); });
  }
}

}  // namespace
}  // namespace tug
