#include "oci/schema1.h"

#include "base/strings.h"
#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>

namespace tug {
namespace {

const std::string kHead = R"({"schemaVersion":1,"name":"a")";

std::string signed_with(const std::string& header) {
  return kHead + R"(,"signatures":[{"protected":")" + base64_encode(header) + R"("}]})";
}
std::string header(std::size_t length) {
  return R"({"formatLength":)" + std::to_string(length) + R"(,"formatTail":"fQ"})";
}

TEST_CASE("a signed schema 1 manifest is what it was before it was signed") {
  CHECK(schema1_payload(signed_with(header(kHead.size()))) == kHead + "}");
  CHECK(schema1_payload(signed_with(header(0))) == "}");
}

TEST_CASE("what is not a signed schema 1 manifest has no payload") {
  for (const char* text :
       {"", "{}", "[\"signatures\"]", "the \"signatures\"", R"({"signatures":[]})",
        R"({"schemaVersion":2,"signatures":[]})", R"({"schemaVersion":1,"signatures":null})",
        R"({"schemaVersion":1,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("signatures":[]})"}) {
    CAPTURE(text);
    CHECK(!schema1_payload(text));
  }
}

TEST_CASE("signatures that do not say what they sign are refused") {
  for (const std::string& text :
       {kHead + R"(,"signatures":[]})", kHead + R"(,"signatures":[{}]})",
        kHead + R"(,"signatures":[{"protected":"%"}]})", signed_with("{}"), signed_with("no json"),
        signed_with(header(1'000'000)), signed_with(R"({"formatLength":-1,"formatTail":""})"),
        signed_with(R"({"formatLength":1,"formatTail":"%"})"), kHead + R"(,"signatures":[)"}) {
    CAPTURE(text);
    CHECK(test::error_of([&] { schema1_payload(text); }).kind() == ErrorKind::integrity);
  }
}

}  // namespace
}  // namespace tug
