#include "registry/challenge.h"

#include <doctest/doctest.h>

using namespace tug::registry;

namespace {

std::vector<Challenge> parse(std::initializer_list<std::string_view> lines) {
  return parse_challenges(std::vector<std::string_view>(lines));
}

}  // namespace

TEST_CASE("challenges are read as RFC 9110 writes them") {
  struct Case {
    std::vector<std::string_view> lines;
    std::vector<Challenge> expected;
  };
  const Challenge negotiate{"negotiate", {}};
  const Challenge bearer{"bearer",
                         {{"realm", "https://a/t"}, {"scope", "repository:a/b:pull,push"}}};
  const Challenge basic{"basic", {{"realm", "x, y"}}};
  const std::string_view bearer_text =
      R"(Bearer realm="https://a/t",scope="repository:a/b:pull,push")";
  const Case cases[] = {
      {{bearer_text}, {bearer}},
      // F26: several in one line, and split over lines.
      {{R"(Negotiate, Bearer realm="https://a/t",scope="repository:a/b:pull,push", Basic realm="x, y")"},
       {negotiate, bearer, basic}},
      {{"Negotiate", bearer_text, R"(Basic realm="x, y")"}, {negotiate, bearer, basic}},
      {{R"(BEARER Realm = "https://a/t" , SCOPE="repository:a/b:pull,push")"}, {bearer}},
      {{R"(Basic realm="a\"b\\c")"}, {{"basic", {{"realm", R"(a"b\c)"}}}}},
      {{"Basic realm=plain"}, {{"basic", {{"realm", "plain"}}}}},
      {{R"(Basic realm="one", realm="two")"}, {{"basic", {{"realm", "one"}}}}},
      {{"Negotiate abc==, Basic realm=x"}, {negotiate, {"basic", {{"realm", "x"}}}}},
      {{" , ,Basic realm=x, ,charset=utf-8,, "},
       {{"basic", {{"realm", "x"}, {"charset", "utf-8"}}}}},
      {{"Basic"}, {{"basic", {}}}},
      {{R"(Basic realm="")"}, {{"basic", {{"realm", ""}}}}},
      {{""}, {}},
      {{}, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.lines.empty() ? std::string_view() : c.lines.front());
    CHECK(parse_challenges(c.lines) == c.expected);
  }
}

TEST_CASE("of a malformed line the challenges before the fault are kept") {
  const std::string nul(1, '\0');
  for (const std::string& fault :
       {std::string(R"(Bearer realm="https://a/t)"), std::string(R"(Bearer realm="a\)"),
        std::string("Bearer realm"), std::string("(comment)"),
        std::string("Bearer realm=\"a\r\nb\""), "Bearer realm=\"a" + nul + "b\"",
        std::string("Bearer realm=\"a\"x"), std::string("Bearer \"a\"")}) {
    CAPTURE(fault);
    if (fault == "Bearer realm") {  // a token68
      CHECK(parse({fault}).size() == 1);
      continue;
    }
    CHECK(parse({fault}).empty());
    CHECK(parse({"Basic realm=x, " + fault}) == std::vector{Challenge{"basic", {{"realm", "x"}}}});
    CHECK(parse({fault, "Basic realm=x"}).size() == 1);
  }
}

TEST_CASE("a flood of challenges is bounded") {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "S" + std::to_string(i) + " a=b, ";
  CHECK(parse({many}).size() == 16);
  CHECK(parse({many, many}).size() == 16);
  CHECK(parse({"Bearer realm=\"" + std::string(100'000, 'x') + "\""}).empty());
  CHECK(parse({std::string(100'000, ','), "Basic realm=x"}).size() == 1);
}

TEST_CASE("every truncation of a header is survived") {
  const std::string text =
      R"(Negotiate abc==, Bearer realm="https://a/\"t",scope=x, Basic realm="x, y")";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string cut = text.substr(0, size);  // its own allocation: ASan sees an overrun
    CHECK(parse({cut}).size() <= 3);
  }
}

TEST_CASE("Bearer is chosen before Basic, and nothing else") {
  struct Case {
    std::string_view header;
    std::string_view scheme;
  };
  for (const Case& c :
       {Case{"Basic realm=x, Bearer realm=y", "bearer"}, Case{"Basic realm=x", "basic"},
        Case{"Bearer service=x, Basic realm=x", "basic"}, Case{"Bearer", ""},
        Case{R"(Bearer realm="")", ""}, Case{"Digest realm=x, Negotiate", ""}}) {
    CAPTURE(c.header);
    const auto challenges = parse({c.header});
    const Challenge* chosen = choose_challenge(challenges);
    CHECK((chosen ? chosen->scheme : "") == c.scheme);
  }
}
