#include "oci/json.h"

#include "support/error_of.h"

#include <limits>
#include <string>

namespace tug {
namespace {

using test::check_error;

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST_CASE("every kind of value is read and written back unchanged") {
  for (const char* text : {
           "null",
           "true",
           "false",
           "0",
           "-1",
           "18446744073709551615",
           "-9223372036854775808",
           "\"\"",
           "\"a\"",
           "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\"",
           "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"",
           "[]",
           "{}",
           "[[],{}]",
           "{\"b\":1,\"a\":[true,null],\"\":{}}",
           // Numbers that are no 64-bit integers keep their spelling.
           "1.0",
           "-0.10",
           "1e3",
           "1E+2",
           "18446744073709551616",
           "123456789012345678901234567890",
       }) {
    CAPTURE(text);
    CHECK(Json::parse(text).dump() == text);
  }
}

TEST_CASE("white space is dropped and escapes are undone") {
  CHECK(Json::parse(" { \"a\" : [ 1 , 2 ] }\r\n\t").dump() == "{\"a\":[1,2]}");
  CHECK(*Json::parse("\"\\u0041\\u00e4\\ud83d\\ude00\\/\"").as_string() ==
        "A\xC3\xA4\xF0\x9F\x98\x80/");
  CHECK(*Json::parse("\"a\\u0000b\"").as_string() == std::string("a\0b", 3));
}

TEST_CASE("what is not JSON is refused with its place") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "not valid JSON: it is empty"},
      {" \n", "not valid JSON: it is empty"},
      {"<html><body>login", "begins with \"<\""},
      {"\xEF\xBB\xBF{}", "byte order mark"},
      {std::string("{}\0garbage", 10), "not valid JSON at byte 3: a NUL byte"},
      {"{} x", "not valid JSON at byte 4"},
      {"{}{}", "not valid JSON at byte 3"},
      {"1 2", "not valid JSON at byte 3"},
      {"{\"a\":1,}", "not valid JSON at byte 8"},
      {"[1,]", "not valid JSON at byte 4"},
      {"{a:1}", "not valid JSON at byte 2"},
      {"'a'", "not valid JSON at byte 1"},
      {"// x\n1", "not valid JSON at byte 1"},
      {"NaN", "not valid JSON"},
      {"Infinity", "not valid JSON"},
      {"01", "not valid JSON"},
      {"+1", "not valid JSON"},
      {".5", "not valid JSON"},
      {"1e400", "not valid JSON"},
      {"\"a\nb\"", "not valid JSON"},
      {"\"\xFF\"", "not valid JSON at byte 2"},
      {"\"\xC0\xAF\"", "not valid JSON"},          // overlong
      {"\"\xED\xA0\x80\"", "not valid JSON"},      // a surrogate
      {"\"\xF4\x90\x80\x80\"", "not valid JSON"},  // over U+10FFFF
      {"\"\\ud800\"", "not valid JSON"},
      {"\"\\x41\"", "not valid JSON"},
      {"[1\x1b[31m]", "not valid JSON at byte 3"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "duplicate key \"a\""},
      {"[{\"x\":{\"\\u0061\":1,\"a\":3}}]", "duplicate key \"a\""},
      {"{\"\x7f\x7f\":1,\"\x7f\x7f\":3}", "duplicate key \"??\""},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& problem = row.second;
    CAPTURE(text);
    check_error(ErrorKind::integrity, problem, [&] { return Json::parse(text); });
  }
}

TEST_CASE("messages about JSON show nothing that steers a terminal") {
  for (const char* text :
       {"[1\x1b[31m]", "\"\x1b[31m\"", "{\"\\u001b[31m\":1,\"\\u001b[31m\":2}"}) {
    const std::string what = test::error_of([&] { return Json::parse(text); }).what();
    CHECK(what.find('\x1b') == std::string::npos);
    CHECK(what.size() < 300);
  }
}

TEST_CASE("depth is limited before anything is built") {
  CHECK_NOTHROW(Json::parse(nested(64)));
  check_error(ErrorKind::integrity, "nested more than 64 levels",
              [] { return Json::parse(nested(65)); });
  check_error(ErrorKind::integrity, "nested more than 64 levels",
              [] { return Json::parse(std::string(3'000'000, '[')); });
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"a\":";
  check_error(ErrorKind::integrity, "nested more than 64 levels",
              [&] { return Json::parse(objects); });
  check_error(ErrorKind::integrity, "nested more than 2 levels",
              [] { return Json::parse("[[[]]]", {.max_depth = 2}); });
}

TEST_CASE("a caller cannot ask for a depth that the stack does not bear") {
  const Json::Limits any_depth{.max_depth = 1'000'000};
  const Json deep = Json::parse(nested(Json::kMaxDepth), any_depth);
  const Json copy = deep;
  CHECK(copy == deep);
  CHECK(copy.dump() == nested(Json::kMaxDepth));
  check_error(ErrorKind::integrity, "nested more than 1000 levels",
              [&] { return Json::parse(nested(Json::kMaxDepth + 1), any_depth); });
}

TEST_CASE("bytes and the number of values are limited") {
  CHECK_NOTHROW(Json::parse("[1,2]", {.max_bytes = 5}));
  check_error(ErrorKind::integrity, "JSON of 6 bytes is over the limit of 5",
              [] { return Json::parse("[1,23]", {.max_bytes = 5}); });
  CHECK_NOTHROW(Json::parse("[1,2]", {.max_values = 3}));
  check_error(ErrorKind::integrity, "too many values",
              [] { return Json::parse("[1,2,3]", {.max_values = 3}); });
  std::string many = "[";
  for (int i = 0; i < 1'500'000; ++i) many += "0,";
  check_error(ErrorKind::integrity, "too many values", [&] { return Json::parse(many + "0]"); });
}

TEST_CASE("a duplicate key among very many is found") {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  CHECK_NOTHROW(Json::parse(text + "\"z\":0}"));
  check_error(ErrorKind::integrity, "duplicate key \"k77777\"",
              [&] { return Json::parse(text + "\"k77777\":0}"); });
}

TEST_CASE("no truncation of a document is a document") {
  const std::string whole =
      "{\"a\":[1,-2,3.5e1,true,false,null],\"\xC3\xA4\":\"\\u00e4\xF0\x9F\x98\x80\"}";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    check_error(ErrorKind::integrity, "not valid JSON",
                [&] { return Json::parse(whole.substr(0, size)); });
  }
  CHECK_NOTHROW(Json::parse(whole));
}

TEST_CASE("numbers are exact, and integers only when written as such") {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  CHECK(Json::parse("18446744073709551615").as_uint() == kMax);
  CHECK(!Json::parse("18446744073709551615").as_int());
  CHECK(!Json::parse("18446744073709551616").as_uint());
  CHECK(Json::parse("-9223372036854775808").as_int() == kMin);
  CHECK(!Json::parse("-1").as_uint());
  CHECK(Json::parse("7").as_uint() == 7U);
  CHECK(Json::parse("7").as_int() == 7);
  CHECK(!Json::parse("7.0").as_uint());
  CHECK(!Json::parse("7e0").as_int());
  CHECK(Json::parse("7.5").as_double() == doctest::Approx(7.5));
  CHECK(Json::parse("-7").as_double() == doctest::Approx(-7));
  CHECK(Json::parse("7").as_double() == doctest::Approx(7));
  CHECK(!Json("7").as_double());
  for (const char* text : {"1", "-1", "1.5"}) CHECK(Json::parse(text).is_number());
  CHECK(!Json(true).is_number());
}

TEST_CASE("values made by hand equal parsed ones") {
  CHECK(Json(5) == Json::parse("5"));
  CHECK(Json(5U) == Json::parse("5"));
  CHECK(Json(-5) == Json::parse("-5"));
  CHECK(Json(1.5) == Json::parse("1.50"));
  CHECK(Json("x") == Json::parse("\"x\""));
  CHECK(Json() == Json::parse("null"));
  CHECK(Json::object({{"a", 1}, {"b", Json::array({true, nullptr})}}) ==
        Json::parse("{\"a\":1,\"b\":[true,null]}"));
  CHECK(Json(1.5).dump() == "1.5");
  CHECK(Json(2.0).dump() == "2.0");
  CHECK(Json(1e300).dump() == "1e+300");
  CHECK(Json(std::numeric_limits<double>::infinity()).dump() == "null");
}

TEST_CASE("values of another type are not there") {
  const Json json = Json::parse("{\"s\":\"x\",\"n\":1,\"b\":true,\"a\":[],\"z\":null}");
  CHECK(json.is_object());
  CHECK(json.find("s")->is_string());
  CHECK(json.find("a")->is_array());
  CHECK(json.find("z")->is_null());
  CHECK(json.find("b")->as_bool() == true);
  CHECK(!json.find("n")->as_bool());
  CHECK(json.find("s")->find("x") == nullptr);
  CHECK(json.find("missing") == nullptr);
  CHECK(json.string_or_empty("s") == "x");
  CHECK(json.string_or_empty("n") == "");
  CHECK(json.string_member("s") == "x");
  CHECK(!json.string_member("n"));
  CHECK(!json.string_member("missing"));
  CHECK(!Json(1).string_member("x"));
}

TEST_CASE("set and erase keep the order of the other members") {
  Json json = Json::parse("{\"b\":1,\"a\":2,\"c\":3}");
  json.set("a", "x");
  json.set("d", Json::array({1}));
  json.erase("b");
  json.erase("missing");
  CHECK(json.dump() == "{\"a\":\"x\",\"c\":3,\"d\":[1]}");
  Json null;
  null.set("a", 1);
  CHECK(null.dump() == "{\"a\":1}");
}

TEST_CASE("indented output is that of Go's MarshalIndent") {
  const Json json = Json::parse("{\"a\":[1,{\"b\":\"x\"}],\"e\":{},\"f\":[]}");
  CHECK(json.dump({.indent = 4}) ==
        "{\n    \"a\": [\n        1,\n        {\n            \"b\": \"x\"\n        }\n    ],\n    "
        "\"e\": {},\n    \"f\": "
        "[]\n}");
  CHECK(json.dump({.indent = 1, .indent_char = '\t'}) ==
        "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": \"x\"\n\t\t}\n\t],\n\t\"e\": {},\n\t\"f\": "
        "[]\n}");
  CHECK(json.dump({.indent = 0}) ==
        "{\n\"a\": [\n1,\n{\n\"b\": \"x\"\n}\n],\n\"e\": {},\n\"f\": []\n}");
}

TEST_CASE("HTML is escaped as Go does it, on request") {
  const Json json("<a&b>\u2028\u2029\u20AC");
  CHECK(json.dump() == "\"<a&b>\u2028\u2029\u20AC\"");
  CHECK(json.dump({.escape_html = true}) == "\"\\u003ca\\u0026b\\u003e\\u2028\\u2029\u20AC\"");
  CHECK(Json::object({{"<", 1}}).dump({.escape_html = true}) == "{\"\\u003c\":1}");
}

TEST_CASE("output is valid UTF-8 whatever a string holds") {
  const std::pair<std::string, std::string> cases[] = {
      {"a\xFF"
       "b",
       "\"a\\ufffdb\""},
      {"\xC3", "\"\\ufffd\""},
      {"\xE2\x82", "\"\\ufffd\\ufffd\""},
      {"\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
      {"\xF0\x9F\x98\x80", "\"\xF0\x9F\x98\x80\""},
      {std::string("\0\x1f", 2), "\"\\u0000\\u001f\""},
      {"\x7f", "\"\x7f\""},
  };
  for (const auto& row : cases) {
    const auto& text = row.first;
    const auto& dumped = row.second;
    CHECK(Json(text).dump() == dumped);
    CHECK_NOTHROW(Json::parse(dumped));
  }
}

}  // namespace
}  // namespace tug
