#include "step/value.h"

#include "step/numbers.h"
#include "step/truth.h"
#include "step/yaml.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;

TEST_CASE("values are printed as Python prints them") {
  struct Case {
    Value value;
    std::string str, repr;
  };
  const std::string digits(40, '7');
  for (const Case& c : std::vector<Case>{
           {Value(), "None", "None"},
           {true, "True", "True"},
           {false, "False", "False"},
           {7, "7", "7"},
           {-12, "-12", "-12"},
           {Value::integer(digits), digits, digits},
           {1.1, "1.1", "1.1"},
           {2.0, "2.0", "2.0"},
           {-0.0, "-0.0", "-0.0"},
           {1e15, "1000000000000000.0", "1000000000000000.0"},
           {1e16, "1e+16", "1e+16"},
           {1.5e300, "1.5e+300", "1.5e+300"},
           {0.0001, "0.0001", "0.0001"},
           {0.00001, "1e-05", "1e-05"},
           {123456789.123456789, "123456789.12345679", "123456789.12345679"},
           {std::numeric_limits<double>::infinity(), "inf", "inf"},
           {"it", "it", "'it'"},
           {"it's", "it's", "\"it's\""},
           {"it's \"so\"", "it's \"so\"", R"('it\'s "so"')"},
           {"a\\b\n\t\x01", "a\\b\n\t\x01", R"('a\\b\n\t\x01')"},
           {"é😀", "é😀", "'é😀'"},
           {"\xc2\xa0\xe2\x80\xa8", "\xc2\xa0\xe2\x80\xa8", R"('\xa0\u2028')"},
           {"\xff", "\xff", R"('\udcff')"},
           {Value::date("2024-01-02"), "2024-01-02", "2024-01-02"},
           {Value::list({"a", Value::list({"b", 1}), Value()}), "['a', ['b', 1], None]",
            "['a', ['b', 1], None]"},
           {Value::map({{"k", "v"}, {1, Value::map()}}), "{'k': 'v', 1: {}}", "{'k': 'v', 1: {}}"},
       }) {
    CHECK(c.value.str() == c.str);
    CHECK(c.value.repr() == c.repr);
  }
}

TEST_CASE("values are equal as in Python") {
  CHECK(Value(1) == Value(true));
  CHECK(Value(1) == Value(1.0));
  CHECK(Value(0) == Value(false));
  CHECK(Value(0.0) == Value(-0.0));
  CHECK(Value::integer("10000000000000000") == Value(1e16));
  CHECK_FALSE(Value::integer("10000000000000001") == Value(1e16));
  CHECK_FALSE(Value(0) == Value("0"));
  CHECK_FALSE(Value(true) == Value("True"));
  CHECK_FALSE(Value() == Value(false));
  CHECK_FALSE(Value() == Value(""));
  CHECK_FALSE(Value(1.5) == Value(1));
  CHECK(Value(1.5) == Value(1.5));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(Value(nan) == Value(nan));
  CHECK(Value::list({1, "a"}) == Value::list({true, "a"}));
  CHECK_FALSE(Value::list({1, 2}) == Value::list({2, 1}));
  CHECK(Value::map({{"a", 1}, {"b", 2}}) == Value::map({{"b", 2.0}, {"a", true}}));
  CHECK_FALSE(Value::map({{"a", 1}}) == Value::map({{"a", 1}, {"b", 2}}));
  CHECK_FALSE(Value::date("2024-01-02") == Value("2024-01-02"));
}

TEST_CASE("a mapping keeps the place of a key that is set again") {
  Value map;
  map.set("b", 1);
  map.set("a", 2);
  map.set("b", 3);
  map.set(1, "one");
  map.set(true, "yes");
  CHECK(map.repr() == "{'b': 3, 'a': 2, 1: 'yes'}");
  REQUIRE(map.find("a") != nullptr);
  CHECK(map.find("1") == nullptr);
  CHECK(Value("text").find("a") == nullptr);
}

TEST_CASE("truth is Python's") {
  for (const Value& value :
       {Value(), Value(false), Value(0), Value(0.0), Value(""), Value::list(), Value::map()})
    CHECK_FALSE(value.truthy());
  for (const Value& value :
       {Value(true), Value(-1), Value(0.1), Value("0"), Value::list({0}), Value::date("x")})
    CHECK(value.truthy());
}

TEST_CASE("a value knows where it stands") {
  const Value value = parse_document("a:\n  'b c':\n  - x\n  - {5000: y}\n", "dir/psr.yaml");
  const Value& y = (*value.find("a")->find("b c")->as_list())[1].as_map()->front().second;
  CHECK(y.where() == "a.b c[1][5000] in dir/psr.yaml");
  CHECK(y.place()->sops_path() == R"(["a"]["b c"][1][5000])");
  CHECK(value.where() == "dir/psr.yaml");
  CHECK(Value("x").where().empty());
}

TEST_CASE("JSON keeps what JSON can hold") {
  const std::string text = R"({"a":[1,-2,1.5,true,null,"x"],"b":{}})";
  CHECK(Value::from_json(Json::parse(text)).to_json().dump() == text);
  CHECK(Value::from_json(Json::parse("[1.10, 1e3, -0]")).repr() == "[1.1, 1000.0, 0]");
  const std::string digits(30, '9');
  CHECK(Value::integer(digits).to_json().dump() == "\"" + digits + "\"");
  CHECK(Value::from_json(Json::parse(digits)).str() == digits);
  CHECK(Value::map({{1, 2}}).to_json().dump() == R"({"1":2})");
}

TEST_CASE("integers of any size and base") {
  CHECK(decimal_from("ffffffffffffffffffff", 16) == "1208925819614629174706175");
  CHECK(decimal_from("0777", 8) == "511");
  CHECK(decimal_from("0", 10) == "0");
  CHECK(decimal_from("000", 8) == "0");
  CHECK(decimal_from("9", 8) == std::nullopt);
  CHECK(decimal_from("", 10) == std::nullopt);
  CHECK(decimal_from(std::string(kMaxIntegerDigits, '9'), 10) ==
        std::string(kMaxIntegerDigits, '9'));
  CHECK(decimal_from(std::string(kMaxIntegerDigits + 1, '9'), 10) == std::nullopt);
  CHECK(decimal_from(std::string(1'000'000, '1'), 2) == std::nullopt);
  CHECK(decimal_from_sexagesimal("190:20:30") == "685230");
  CHECK(decimal_from_sexagesimal("1:") == std::nullopt);
}

TEST_CASE("truth values of text and of flags") {
  CHECK(strtobool("YES") == true);
  CHECK(strtobool("Off") == false);
  for (const char* text : {"", " true", "true ", "2", "none", "enabled"})
    CHECK(strtobool(text) == std::nullopt);
  for (const char* text : {"1", "t", "T", "true", "True", "TRUE"})
    CHECK(parse_flag_bool(text) == true);
  for (const char* text : {"0", "f", "F", "false", "False", "FALSE"})
    CHECK(parse_flag_bool(text) == false);
  for (const char* text : {"", "yes", "tRUE", "no", "on"})
    CHECK(parse_flag_bool(text) == std::nullopt);
}
