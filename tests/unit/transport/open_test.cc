#include "transport/open.h"

#include "support/temp_dir.h"
#include "unit/transport/registry_fixture.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <stop_token>
#include <string>

namespace tug {
namespace {

// What opening fails with, as "kind: message"; "" when it does not fail.
struct Outcome {
  std::string kind;
  std::string text;
};

Outcome open_end(bool source, const std::string& reference) {
  test::ClientFixture client;
  const TransportEnvironment environment{client.hosts, client.log, nullptr};
  const TransportOptions options{client.access, std::nullopt};
  try {
    if (source) {
      open_source(ImageReference::parse(reference), options, environment, std::stop_token());
    } else {
      open_destination(ImageReference::parse(reference), options, environment, std::stop_token());
    }
  } catch (const Error& error) {
    return {std::string(to_string(error.kind())), error.what()};
  }
  return {};
}

}  // namespace

TEST_CASE("transports that are not served are refused by name") {
  struct Case {
    std::string reference;
    bool as_source;
    std::string says;
  };
  const Case cases[] = {
      {"sif:/x.sif", true, "does not serve the transport sif:"},
      {"ostree:x", false, "does not serve the transport ostree:"},
      {"atomic:x", true, "does not serve the transport atomic:"},
      {"tarball:x", true, "does not serve the transport tarball:"},
      {"docker-daemon:x", true, "neither tag nor digest"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reference);
    const Outcome outcome = open_end(c.as_source, c.reference);
    CAPTURE(outcome.text);
    CHECK(outcome.kind == "usage");
    CHECK(outcome.text.find(c.says) != std::string::npos);
  }
}

TEST_CASE("a registry is opened without a word to it") {
  CHECK(open_end(true, "docker://localhost:1/a").kind.empty());
  CHECK(open_end(false, "docker://localhost:1/a:b").kind.empty());
  CHECK(open_end(false, "docker://localhost:1/A").kind == "usage");
}

TEST_CASE("a missing oci: directory is a local error, a missing name in a layout is not found") {
  CHECK(open_end(true, "oci:/none/such:1").kind == "local");
  test::TempDir dir;
  dir.write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  dir.write(
      "index.json",
      R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
          Digest::of("").str() + R"(","size":0}]})");
  CHECK(open_end(true, "oci:" + dir.path() + ":1").kind == "not-found");
  CHECK(open_end(true, "oci:" + dir.path()).kind.empty());
}

TEST_CASE("an image that the store does not have is not found") {
  test::TempDir root;
  root.write("overlay-images/images.json", "[]");
  const Outcome outcome =
      open_end(true, "containers-storage:[overlay@" + root.path() + "]localhost/a:1");
  CHECK(outcome.kind == "not-found");
  CHECK(outcome.text.find("does not resolve to an image ID") != std::string::npos);
}

}  // namespace tug
