#include "copy/policy.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>

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
        R"({"default":[{"type":"reject"}],"transports":{"docker":[]}})"}) {
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

}  // namespace
}  // namespace tug
