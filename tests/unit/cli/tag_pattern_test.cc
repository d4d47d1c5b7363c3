#include "cli/tag_pattern.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>

using namespace tug;
using namespace tug::cli;
using namespace tug::test;

TEST_CASE("a pattern matches anywhere in a tag unless it is tied to its ends") {
  CHECK(TagPattern::parse("1").matches("v2.1-x"));
  CHECK_FALSE(TagPattern::parse("^1").matches("v2.1-x"));
  CHECK(TagPattern::parse("^v[02]$").matches("v2"));
  CHECK_FALSE(TagPattern::parse("^v[02]$").matches("v21"));
  CHECK(TagPattern::parse("").matches("anything"));
  CHECK(TagPattern::parse(R"(^v?\d+\.\d+(-alpine)?$)").matches("3.17-alpine"));
  CHECK(TagPattern::parse("(?i)^LATEST$").matches("latest"));
  CHECK(TagPattern::parse("^[[:alpha:]]{2,3}$").matches("abc"));
}

TEST_CASE("a pattern that takes others for ever takes time linear in the tag") {
  CHECK_FALSE(TagPattern::parse("^(a+)+$").matches(std::string(100'000, 'a') + "!"));
  CHECK_FALSE(TagPattern::parse("^(a|a)*b$").matches(std::string(100'000, 'a')));
}

TEST_CASE("what is no pattern, or too large a one, is refused") {
  for (const char* text : {"x(", "[", "*", "a**", "(?=x)", R"(\1)", "a{1001}", "\xff",
                           "((((((((((a{99}){99}){99}){99}){99}){99}){99}){99}){99}){99}"}) {
    CAPTURE(text);
    check_error(ErrorKind::usage, "error parsing regexp: ", [&] { (void)TagPattern::parse(text); });
  }
  check_error(ErrorKind::usage, "too long",
              [] { (void)TagPattern::parse(std::string(5000, 'a')); });
}
