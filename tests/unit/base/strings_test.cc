#include "base/strings.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace tug {
namespace {

using namespace std::string_literals;

TEST_CASE("trim takes ASCII white space off both ends") {
  CHECK(trim(" \t a b \r\n") == "a b");
  CHECK(trim("") == "");
  CHECK(trim(" \n ") == "");
  CHECK(trim("\u00a0x") == "\u00a0x");
}

TEST_CASE("split keeps empty parts, so that join is its inverse") {
  using Parts = std::vector<std::string_view>;
  CHECK(split("", ',') == Parts{""});
  CHECK(split("a", ',') == Parts{"a"});
  CHECK(split(",a,,b,", ',') == Parts{"", "a", "", "b", ""});
  CHECK(join({}, ", ") == "");
  CHECK(join({"a"}, ", ") == "a");
  CHECK(join({"a", "", "b"}, ", ") == "a, , b");
}

TEST_CASE("case is ASCII's alone") {
  CHECK(to_lower("Ab-Z9Ä") == "ab-z9Ä");
  CHECK(equals_ignore_case("Docker-Content-DIGEST", "docker-content-digest"));
  CHECK_FALSE(equals_ignore_case("abc", "abcd"));
  CHECK_FALSE(equals_ignore_case("@", "`"));
  CHECK_FALSE(equals_ignore_case("[", "{"));
  CHECK(starts_with_ignore_case("Bearer realm", "bearer "));
  CHECK(starts_with_ignore_case("x", ""));
  CHECK_FALSE(starts_with_ignore_case("Bear", "bearer"));
}

TEST_CASE("parse_uint takes decimal digits and nothing else") {
  struct Case {
    std::string_view text;
    std::optional<std::uint64_t> value;
  };
  const Case cases[] = {
      {"0", 0},
      {"007", 7},
      {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()},
      {"18446744073709551616", std::nullopt},
      {"99999999999999999999", std::nullopt},
      {"184467440737095516150", std::nullopt},
      {"", std::nullopt},
      {"-1", std::nullopt},
      {"+1", std::nullopt},
      {" 1", std::nullopt},
      {"1 ", std::nullopt},
      {"0x10", std::nullopt},
      {"1e3", std::nullopt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_uint(c.text) == c.value);
  }
}

TEST_CASE("printable text has no controls, no hidden direction and no invalid UTF-8") {
  struct Case {
    std::string text;
    std::string shown;
  };
  const Case cases[] = {
      {"", ""},
      {"plain ~ text", "plain ~ text"},
      {"größe 漢字 🚢", "größe 漢字 🚢"},
      {"a\nb\r\nc\td", "a b  c d"},
      {"\x1b[2J\x07", "?[2J?"},
      {"nul\0!"s, "nul?!"},
      {"\x7f", "?"},
      {"\u0080\u009b\u009f", "???"},  // C1: U+009B is a CSI
      {"a\u0085b\u2028c\u2029d", "a b c d"},
      {"\u202aa\u202eb\u2066c\u2069", "?a?b?c?"},
      {"\u200e\u200f\u061c", "???"},
      {"pass\u200bword\ufeff", "pass?word?"},
      {"\xff", "?"},
      {"\xc3", "?"},  // cut short
      {"\xe6\xbc", "??"},
      {"a\x80z", "a?z"},   // continuation without a lead
      {"\xc0\xaf", "??"},  // overlong '/'
      {"\xe0\x80\xaf", "???"},
      {"\xed\xa0\x80", "???"},       // a surrogate
      {"\xf4\x90\x80\x80", "????"},  // over U+10FFFF
      {"\xf5\x80\x80\x80", "????"},
      {"\xf0\x9f\x9a\xa2", "🚢"},
      {"\U000e0041", "?"},  // a tag character
  };
  for (const Case& c : cases) {
    CAPTURE(c.shown);
    CHECK(printable(c.text) == c.shown);
  }
}

TEST_CASE("printable text is cut on a character's border and says so") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abc…");
  CHECK(printable("ab漢字漢字", 9) == "ab漢…");
  CHECK(printable("ab漢字漢字", 10) == "ab漢…");
  CHECK(printable("ab漢字漢字", 11) == "ab漢字…");
  CHECK(printable(std::string(1000, 'x')).size() == 500);
  CHECK(printable("abc", 2) == "…");
  CHECK(printable("", 0).empty());
}

TEST_CASE("every prefix of a text stays printable") {
  const std::string text = "é漢🚢\x1b\u202e\xff z";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string once = printable(text.substr(0, size));
    CHECK(printable(once) == once);
    for (std::size_t limit = 0; limit <= size; ++limit) {
      const std::string cut = printable(text.substr(0, size), limit);
      CHECK(printable(cut) == cut);
      CHECK(cut.size() <= std::max<std::size_t>(limit, 3));
    }
  }
}

TEST_CASE("base64 is RFC 4648's, and goes back") {
  struct Case {
    std::string bytes;
    std::string text;
  };
  const Case cases[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\0\xff\xfe"s, "AP/+"},
      {"user:pa\xc3\x9f", "dXNlcjpwYcOf"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(base64_encode(c.bytes) == c.text);
    CHECK(base64_decode(c.text) == c.bytes);
    CHECK(base64_decode(c.text.substr(0, c.text.find('='))) == c.bytes);
  }
}

TEST_CASE("base64 that is not base64 is nothing") {
  for (const char* text :
       {"=", "==", "A", "AAAAA", "A===", "AA=", "AAA==", "AAAA=", "AAAA==", "AA=A", "A=AA",
        "Zm9v\n", " Zm9v", "Zm 9v", "Zm-_", "Zg==Zg==", "Zm9v!", "Zm9\xc3"}) {
    CAPTURE(text);
    CHECK(base64_decode(text) == std::nullopt);
  }
  CHECK(base64_decode("Zm\0v"s) == std::nullopt);
}

TEST_CASE("percent encoding leaves RFC 3986's unreserved characters alone") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("repo/a:b c+é%\0"s) == "repo%2Fa%3Ab%20c%2B%C3%A9%25%00");
}

TEST_CASE("the nearest candidate is a likely typing error or none") {
  const std::vector<std::string> verbs = {"copy",      "inspect", "delete", "sync",
                                          "list-tags", "login",   "logout"};
  struct Case {
    std::string text;
    std::string found;
  };
  const Case cases[] = {
      {"cpoy", "copy"},  // a swap is one error
      {"coppy", "copy"},
      {"cop", "copy"},
      {"inspcet", "inspect"},
      {"list-tgas", "list-tags"},
      {"listtags", "list-tags"},
      {"logn", "login"},
      {"copy", "copy"},
      {"push", ""},
      {"x", ""},
      {"", ""},
      {"something-else", ""},
      {std::string(100000, 'c'), ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text.substr(0, 40));
    CHECK(nearest(c.text, verbs) == c.found);
  }
  CHECK(nearest("copy", {}).empty());
}

TEST_CASE("an environment variable is unset, empty or has a value") {
  ::setenv("TUG_TEST_ENV", "", 1);
  CHECK(env("TUG_TEST_ENV") == "");
  CHECK(env_nonempty("TUG_TEST_ENV") == std::nullopt);
  ::setenv("TUG_TEST_ENV", "v", 1);
  CHECK(env_nonempty("TUG_TEST_ENV") == "v");
  ::unsetenv("TUG_TEST_ENV");
  CHECK(env("TUG_TEST_ENV") == std::nullopt);
}

TEST_CASE("text in single quotes, and counted things") {
  CHECK(single_quoted("") == "''");
  CHECK(single_quoted("a b") == "'a b'");
  CHECK(single_quoted("it's") == "'it'\\''s'");
  CHECK(counted(0, "blob") == "0 blobs");
  CHECK(counted(1, "blob") == "1 blob");
  CHECK(counted(12, "blob") == "12 blobs");
}

TEST_CASE("sizes read as people write them") {
  const std::pair<std::uint64_t, std::string> cases[] = {
      {0, "0 B"},
      {999, "999 B"},
      {1000, "1.0 kB"},
      {1049, "1.0 kB"},
      {1050, "1.1 kB"},
      {999949, "999.9 kB"},
      {999950, "1.0 MB"},
      {12345678, "12.3 MB"},
      {999999999, "1.0 GB"},
      {434000000000, "434.0 GB"},
      {std::numeric_limits<std::uint64_t>::max(), "18.4 EB"},
  };
  for (const auto& [bytes, text] : cases) CHECK(human_bytes(bytes) == text);
}

TEST_CASE("sizes as people write them") {
  constexpr std::uint64_t kKiB = 1024;
  const std::pair<const char*, std::optional<std::uint64_t>> cases[] = {
      {"0", 0},
      {"1048576", 1048576},
      {"7b", 7},
      {"16k", 16 * kKiB},
      {"16K", 16 * kKiB},
      {"16KiB", 16 * kKiB},
      {"16kib", 16 * kKiB},
      {"16kB", 16'000},
      {"5M", 5 * kKiB * kKiB},
      {"5MB", 5'000'000},
      {"2G", 2 * kKiB * kKiB * kKiB},
      {"1T", kKiB * kKiB * kKiB * kKiB},
      {"18446744073709551615", UINT64_MAX},
      {"18446744073709551616", std::nullopt},
      {"18014398509481984k", std::nullopt},
      {"16777216T", std::nullopt},
      {"", std::nullopt},
      {"M", std::nullopt},
      {"-1", std::nullopt},
      {"+1", std::nullopt},
      {"1.5M", std::nullopt},
      {" 1", std::nullopt},
      {"1 M", std::nullopt},
      {"1P", std::nullopt},
      {"1MiBs", std::nullopt},
      {"1Mi", std::nullopt},
  };
  for (const auto& c : cases) {
    INFO(c.first);
    CHECK(parse_bytes(c.first) == c.second);
  }
}

}  // namespace
}  // namespace tug
