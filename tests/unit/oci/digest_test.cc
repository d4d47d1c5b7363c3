#include "tug/digest.h"

#include "support/error_of.h"

#include <array>
#include <unordered_set>

namespace tug {
namespace {

using test::check_error;

const std::string kHello =
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const std::string kHello512 =
    "sha512:"
    "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5"
    "da0c466347"
    "5c2e5c3adef46f73bcdec043";

TEST_CASE("a digest is parsed into algorithm and hex") {
  const Digest digest = Digest::parse(kHello);
  CHECK(digest.algorithm() == DigestAlgorithm::sha256);
  CHECK(digest.algorithm_name() == "sha256");
  CHECK(digest.str() == kHello);
  CHECK(digest.hex() == kHello.substr(7));
  CHECK(digest.short_hex() == "2cf24dba5fb0");

  const Digest longer = Digest::parse(kHello512);
  CHECK(longer.algorithm() == DigestAlgorithm::sha512);
  CHECK(longer.hex() == kHello512.substr(7));
  CHECK(longer != digest);
}

TEST_CASE("a digest can be computed") {
  CHECK(Digest::of("hello").str() == kHello);
  CHECK(Digest::of(DigestAlgorithm::sha512, "hello").str() == kHello512);
  CHECK(Digest::of("").str() ==
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("a digest is made from a finished hash of the right length only") {
  std::array<std::byte, 32> raw{};
  raw[0] = std::byte{0xAB};
  CHECK(Digest::from_bytes(DigestAlgorithm::sha256, raw).str() ==
        "sha256:ab" + std::string(62, '0'));
  check_error(ErrorKind::integrity, "a sha512 hash has 64 bytes, not 32",
              [&] { return Digest::from_bytes(DigestAlgorithm::sha512, raw); });
}

TEST_CASE("whatever is no digest is refused with the reason") {
  const std::string hex = kHello.substr(7);
  const std::pair<std::string, std::string> cases[] = {
      {"", "invalid digest \"\": \"sha256:\" and 64 hex digits expected"},
      {hex, "\"sha256:\" and 64 hex digits expected"},
      {":" + hex, "\"sha256:\" and 64 hex digits expected"},
      {"SHA256:" + hex, "\"sha256:\" and 64 hex digits expected"},
      {"sha 256:" + hex, "\"sha256:\" and 64 hex digits expected"},
      {"../x:" + hex, "\"sha256:\" and 64 hex digits expected"},
      {"sha256-:" + hex, "\"sha256:\" and 64 hex digits expected"},
      {"sha256:", "exactly 64 lower-case hex digits must follow \"sha256:\""},
      {"sha256:" + hex.substr(1), "exactly 64 lower-case hex digits"},
      {"sha256:" + hex + "0", "exactly 64 lower-case hex digits"},
      {"sha256:2CF24DBA" + hex.substr(8), "exactly 64 lower-case hex digits"},
      {"sha256:" + hex.substr(0, 63) + "g", "exactly 64 lower-case hex digits"},
      {"sha256:" + hex.substr(0, 63) + "\n", "exactly 64 lower-case hex digits"},
      {"sha256:../../" + hex.substr(6), "exactly 64 lower-case hex digits"},
      {"sha256:../../x", "invalid digest \"sha256:../../x\": exactly 64"},
      {"sha512:" + hex, "exactly 128 lower-case hex digits must follow \"sha512:\""},
      {"md5:d41d8cd98f00b204e9800998ecf8427e", "unsupported digest algorithm \"md5\""},
      {"sha384:" + hex + hex.substr(32), "unsupported digest algorithm \"sha384\""},
      {"blake3:" + hex, "unsupported digest algorithm \"blake3\""},
      {"tarsum.v1+sha256:" + hex, "unsupported digest algorithm \"tarsum.v1+sha256\""},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& problem = row.second;
    CAPTURE(text);
    CHECK(!Digest::try_parse(text));
    check_error(ErrorKind::usage, problem, [&] { return Digest::parse(text); });
  }
}

TEST_CASE("messages about a digest are short and printable") {
  const Error error =
      test::error_of([] { return Digest::parse("\x1b[31m" + std::string(5000, 'x') + ":1"); });
  CHECK(std::string_view(error.what()).find('\x1b') == std::string_view::npos);
  CHECK(std::string_view(error.what()).size() < 250);
}

TEST_CASE("no truncation of a digest is a digest") {
  for (const auto& whole : {kHello, kHello512}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK(!Digest::try_parse(whole.substr(0, size)));
    CHECK(Digest::try_parse(whole));
  }
}

TEST_CASE("digests are ordered and hashed by their text") {
  const Digest a = Digest::parse("sha256:" + std::string(64, 'a'));
  const Digest b = Digest::parse("sha256:" + std::string(64, 'b'));
  CHECK(a < b);
  CHECK(std::unordered_set<Digest>{a, b, a}.size() == 2);
}

}  // namespace
}  // namespace tug
