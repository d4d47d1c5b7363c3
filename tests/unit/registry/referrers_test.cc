#include "registry/referrers.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

namespace tug::registry {
namespace {

const Digest kSubject = Digest::of("subject");
const std::string kManifest = R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.x"},)"
                              R"("layers":[],"subject":{"digest":")" +
                              kSubject.str() + R"("},"annotations":{"a":"b","n":1}})";

Descriptor descriptor_of(const std::string& bytes) {
  return {std::string(media_type::kOciManifest), Digest::of(bytes), bytes.size(), {}, {}, {}, {}};
}

TEST_CASE("a referrer is described by its type and annotations") {
  const auto referrer = referrer_of(kManifest, descriptor_of(kManifest));
  REQUIRE(referrer);
  CHECK(referrer->subject == kSubject);
  CHECK(referrer->descriptor.artifact_type == "application/vnd.x");
  CHECK(referrer->descriptor.annotations == std::map<std::string, std::string>{{"a", "b"}});

  const std::string typed =
      R"({"artifactType":"t","config":{"mediaType":"c"},"subject":{"digest":")" + kSubject.str() +
      "\"}}";
  CHECK(referrer_of(typed, descriptor_of(typed))->descriptor.artifact_type == "t");
}

TEST_CASE("a manifest without a subject refers to nothing") {
  for (const std::string bytes :
       {R"({"layers":[]})", R"({"subject":null})", R"({"a":"\"subject\""})"})
    CHECK_FALSE(referrer_of(bytes, descriptor_of(bytes)));
  const std::string broken = R"({"subject":{"digest":"sha256:12"}})";
  test::check_error(ErrorKind::integrity, "subject",
                    [&] { referrer_of(broken, descriptor_of(broken)); });
}

TEST_CASE("the referrers tag is the digest with a dash") {
  CHECK(referrers_tag(kSubject) == "sha256-" + std::string(kSubject.hex()));
  const Digest long_one = Digest::of(DigestAlgorithm::sha512, "x");
  CHECK(referrers_tag(long_one) == "sha512-" + std::string(long_one.hex().substr(0, 64)));
}

TEST_CASE("a referrer is added once, and what is there stays") {
  const Descriptor first = descriptor_of("1");
  Descriptor second = descriptor_of("2");
  second.artifact_type = "t";
  second.annotations = {{"a", "b"}};
  const auto one = with_referrer("", first);
  REQUIRE(one);
  const auto two = with_referrer(*one, second);
  REQUIRE(two);
  CHECK(two->find(first.digest.str()) < two->find(second.digest.str()));
  CHECK(two->find(R"("artifactType":"t","annotations":{"a":"b"})") != std::string::npos);
  CHECK_FALSE(with_referrer(*two, first));
  CHECK_FALSE(with_referrer(*two, second));
}

TEST_CASE("what is no index is not changed") {
  for (const std::string bytes : {R"({"layers":[]})", "<html>", "[]", R"({"manifests":{}})",
                                  R"({"mediaType":"x","manifests":[]})"}) {
    CAPTURE(bytes);
    test::check_error(ErrorKind::protocol, "referrers tag",
                      [&] { with_referrer(bytes, descriptor_of("1")); });
  }
}

}  // namespace
}  // namespace tug::registry
