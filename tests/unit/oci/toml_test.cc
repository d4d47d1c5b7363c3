#include "oci/toml.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>

namespace tug {

TEST_CASE("toml becomes the same tree as json") {
  const Json json = parse_toml(R"(
title = "x\ty"
[storage]
driver = "overlay"
size = 12
ratio = 0.5
flag = true
day = 2024-02-29
[storage.options]
list = ["a", {append=true}, 3]
[[registry]]
prefix = "a"
[[registry]]
prefix = "b"
)",
                               "x.conf");
  const Json expected = Json::parse(R"({"registry":[{"prefix":"a"},{"prefix":"b"}],
    "storage":{"day":"2024-02-29","driver":"overlay","flag":true,"options":{"list":["a",{"append":true},3]},"ratio":0.5,"size":12},
    "title":"x\ty"})");
  CHECK(json.dump() == expected.dump());
}

TEST_CASE("an empty toml document is an empty object") {
  CHECK(parse_toml("", "x") == Json::object());
}

TEST_CASE("broken toml is an error that names file and line") {
  for (const char* text : {"\na = ", "\n[x", "\na = 1\na = 2", "\nx = \"\x01\"", "\n\xff = 1",
                           "\n\xc3\xa9 = 1", "\na \xef\xbb\xbe= 1"}) {
    CAPTURE(text);
    try {
      parse_toml(text, "/etc/x.conf");
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).starts_with("/etc/x.conf: line "));
    }
  }
}

TEST_CASE("toml cut at any byte is read or refused, never worse") {
  const std::string text =
      "[a]\nb = [1, 2, {c = \"d\"}]\ne = 1979-05-27T07:32:00Z\n[[f.g]]\nh = 'i'\n";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    try {
      parse_toml(text.substr(0, size), "x");
    } catch (const Error&) {
    }
  }
}

}  // namespace tug
