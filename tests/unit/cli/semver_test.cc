#include "cli/semver.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace tug;
using namespace tug::cli;
using namespace tug::test;

namespace {

bool allows(const std::string& constraint, std::string_view version) {
  const auto parsed = Version::parse(version);
  CAPTURE(version);
  REQUIRE(parsed);
  return VersionConstraint::parse(constraint).allows(*parsed);
}

}  // namespace

TEST_CASE("a tag is a version when it looks like one, with or without v, minor and patch") {
  for (const char* text : {"1", "1.2", "1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3-rc.1+b.5",
                           "1.2-beta", "v0", "1.2.3--x", "01.002.3", "18446744073709551615.0.0"}) {
    CAPTURE(text);
    CHECK(Version::parse(text));
  }
  for (const char* text :
       {"", "v", "latest", "1.", "1..2", "1.2.3.4", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.x", "V1",
        "1.2.3 ", " 1", "-1", "1.2.3-01", "1.2_3", "18446744073709551616.0.0"}) {
    CAPTURE(text);
    CHECK_FALSE(Version::parse(text));
  }
  CHECK_FALSE(Version::parse("1.0.0-" + std::string(300, 'a')));
}

TEST_CASE("versions are ordered by precedence") {
  const std::vector<std::string> ordered{"1.0.0-alpha",
                                         "1.0.0-alpha.1",
                                         "1.0.0-alpha.beta",
                                         "1.0.0-beta",
                                         "1.0.0-beta.2",
                                         "1.0.0-beta.11",
                                         "1.0.0-rc.1",
                                         "1",
                                         "1.0.1",
                                         "1.2",
                                         "1.10",
                                         "2.0.0-0",
                                         "2"};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < ordered.size(); ++j) {
      CAPTURE(ordered[i]);
      CAPTURE(ordered[j]);
      CHECK((*Version::parse(ordered[i]) <=> *Version::parse(ordered[j])) == (i <=> j));
    }
  }
  CHECK(*Version::parse("1.0.0+a") == *Version::parse("v1+b"));
}

TEST_CASE("what constraints allow, as Masterminds/semver has it") {
  struct Row {
    const char* constraint;
    const char* allowed;
    const char* refused;
  };
  // Versions separated by blanks.
  const Row rows[] = {
      {"1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2.2 1.2.3-rc1"},
      {"=1.2.3", "1.2.3+x", "1.2.4"},
      {"=4.1", "4.1.0 4.1.9", "4.2.0 5.1.0 4.0.9"},
      {"1", "1.0.0 1.9.9", "0.9.9 2.0.0 1.1.0-beta"},
      {"1.x", "1.0.0 1.9.9", "2.0.0"},
      {"1.2.X", "1.2.0 1.2.9", "1.3.0 1.1.9"},
      {"1.x.7", "1.0.0 1.2.3", "2.0.7"},
      {"*", "0.0.0 1.2.3 99.0.0", "1.0.0-rc1"},
      {"x", "1.2.3", "1.0.0-rc1"},
      {"!=1.2.3", "1.2.4 1.0.0", "1.2.3 1.2.4-rc1"},
      {"!=4", "3.0.0 5.0.0", "4.0.0 4.9.9"},
      {"!=4.x", "5.1.0", "4.1.0"},
      {"!=4.2.x", "4.1.0 4.3.0 5.2.0", "4.2.0 4.2.3"},
      {">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.2 2.0.0-rc1"},
      {">11", "12.0.0", "11.0.0 11.1.0"},
      {">11.1", "11.2.0 12.0.0", "11.1.0 11.1.9"},
      {">*", "0.0.1 1.0.0", "0.0.0"},
      {"<1.2.3", "1.2.2 0.0.0", "1.2.3 1.2.3-rc1"},
      {"<1.x", "0.9.9", "1.0.0"},
      {">=1.2", "1.2.0 1.3.0", "1.1.9"},
      {"=>1.2.3", "1.2.3", "1.2.2"},
      {"<=1.2.3", "1.2.3 1.0.0", "1.2.4"},
      {"<=11", "11.9.9 1.0.0", "12.0.0"},
      {"=<1.2", "1.2.9 1.1.0 0.5.0", "1.3.0 2.1.0"},
      {"~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"},
      {"~>1.2", "1.2.0 1.2.9", "1.3.0"},
      {"~ 1", "1.0.0 1.9.0", "2.0.0"},
      {"~0.0.0", "0.0.0 7.0.0", "1.0.0-rc1"},
      {"~*", "7.0.0", "1.0.0-rc1"},
      {"^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"},
      {"^1.2", "1.2.0 1.9.0", "1.1.0 2.0.0"},
      {"^1", "1.0.0 1.9.0", "2.0.0 0.9.0"},
      {"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 1.0.0"},
      {"^0.2", "0.2.0 0.2.9", "0.3.0"},
      {"^0.0.3", "0.0.3", "0.0.4 0.0.2 0.1.3"},
      {"^0.0", "0.0.0 0.0.9", "0.1.0"},
      {"^0", "0.0.0 0.9.9", "1.0.0"},
      {"1.2 - 1.4", "1.2.0 1.3.9 1.4.5", "1.1.9 1.5.0"},
      {"1.2.0 - 1.4.5", "1.4.5", "1.4.6"},
      {">=1.2.3, <2.0.0, !=1.4.5", "1.2.3 1.9.9", "1.4.5 2.0.0"},
      {">= 1.2.3 < 2", "1.2.3 1.9.9", "2.0.0"},
      {">1.0 ,<1.5", "1.4.0", "1.0.0 1.5.0"},
      {"1.2.x || >=3", "1.2.7 3.0.0", "1.3.0 2.0.0"},
      {" ^1 || 3.1 - 3.2 || =5.0.0 ", "1.5.0 3.2.9 5.0.0", "2.0.0 3.3.0 5.0.1"},
      // A prerelease needs one in the same alternative, anywhere.
      {">=1.0.0-0", "1.0.0-rc1 1.0.0 2.0.0-rc1", "0.9.0"},
      {">1.0.0, <2.0.0-0", "1.5.0-rc1", "2.0.0 2.0.0-rc1"},
      {"^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.2.3 1.3.0-a", "1.2.3-beta.1 2.0.0"},
      {"~1.2.3-beta", "1.2.3-rc 1.2.4", "1.2.3-alpha 1.3.0"},
      {"1.0.0-rc1 || 2", "1.0.0-rc1 2.1.0", "2.1.0-rc1"},
      {"1.0.0-rc-1 - 2.0.0", "1.0.0-rc-2 1.9.9-x", "1.0.0-ra 2.0.1"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.constraint);
    const auto each = [](const std::string& versions, auto check) {
      std::size_t start = 0;
      while (start < versions.size()) {
        const std::size_t end = std::min(versions.find(' ', start), versions.size());
        check(versions.substr(start, end - start));
        start = end + 1;
      }
    };
    each(row.allowed, [&](const std::string& version) { CHECK(allows(row.constraint, version)); });
    each(row.refused,
         [&](const std::string& version) { CHECK_FALSE(allows(row.constraint, version)); });
  }
}

TEST_CASE("what is no constraint is refused, and shown") {
  for (const char* text : {"",         " ",        "||",
                           "1 ||",     "|| 1",     "1 | 2",
                           "foo",      ">",        ">=",
                           "1.2.3.4",  ">>1",      "> =1",
                           "=>=1",     "1,",       ",1",
                           "1,,2",     "1 -",      "- 1",
                           ">1 - 2",   "1.2-",     "1+",
                           "1.y",      "xx",       "1.2.3<2",
                           "^",        "1.2.3-01", "99999999999999999999",
                           "1\n||\x01"}) {
    CAPTURE(text);
    const Error error = error_of([&] { (void)VersionConstraint::parse(text); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(std::string_view(error.what()).starts_with("improper constraint"));
    CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  CHECK(error_of([] { (void)VersionConstraint::parse(std::string(5000, '1')); }).kind() ==
        ErrorKind::usage);
}
