#include "http/response_head.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug::http {
namespace {

ResponseHead parse(const std::vector<std::string>& lines) {
  ResponseHead head;
  for (const std::string& line : lines) head.add_line(line);
  return head;
}

TEST_CASE("a head keeps its fields in order, duplicates and all") {
  const ResponseHead head =
      parse({"HTTP/1.1 202 Accepted\r\n", "Location: /x\r\n", "WWW-Authenticate: Bearer a\r\n",
             "www-authenticate: \t Basic b \r\n", "Empty:\r\n", "no colon here\r\n", "\r\n"});
  CHECK(head.complete());
  CHECK(head.status() == 202);
  CHECK(head.headers().fields().size() == 4);
  CHECK(head.headers().get("LOCATION") == "/x");
  CHECK(head.headers().get("empty") == "");
  CHECK(head.headers().get_all("WWW-Authenticate") ==
        std::vector<std::string_view>{"Bearer a", "Basic b"});
  CHECK_FALSE(head.headers().get("Range").has_value());
}

TEST_CASE("interim responses are read over, and trailers too") {
  const ResponseHead head =
      parse({"HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 103 Early Hints\r\n", "Link: </x>\r\n",
             "\r\n", "HTTP/1.1 201 Created\r\n", "A: 1\r\n", "\r\n", "Trailer: 2\r\n"});
  CHECK(head.complete());
  CHECK(head.status() == 201);
  CHECK(head.headers().fields().size() == 1);
}

TEST_CASE("a head is complete only after its empty line") {
  CHECK_FALSE(parse({}).complete());
  CHECK_FALSE(parse({"HTTP/1.1 200 OK\r\n"}).complete());
  CHECK_FALSE(parse({"HTTP/1.1 200 OK\r\n", "A: b\r\n"}).complete());
  CHECK_FALSE(parse({"HTTP/1.1 100 Continue\r\n", "\r\n"}).complete());
  CHECK(parse({"HTTP/1.0 200\n", "\n"}).complete());
}

TEST_CASE("folded lines are joined, bare line feeds and foreign bytes taken") {
  const ResponseHead head =
      parse({"HTTP/1.1 429 Too\n", "Warning: 299 - \"a\n", "\t b\"\n", "X: \xff\xfe\n", "\n"});
  CHECK(head.headers().get("Warning") == "299 - \"a b\"");
  CHECK(head.headers().get("X") == "\xff\xfe");
  CHECK_NOTHROW(parse({"HTTP/1.1 200 OK\r\n", " fold without a field\r\n", "\r\n"}));
}

TEST_CASE("a field with another control character is left out, folded lines and all (F99)") {
  const ResponseHead head = parse({"HTTP/1.1 201 Created\r\n", "A: 1\r\n", "Warning: \x1b[31m\r\n",
                                   " red\r\n", "X: \x7f\r\n", "B: 2\r\n", " \x07\r\n", "\r\n"});
  CHECK(head.complete());
  CHECK(head.headers().fields().size() == 2);
  CHECK(head.headers().get("A") == "1");
  CHECK(head.headers().get("B") == "2");
}

TEST_CASE("what is refused") {
  const std::vector<std::vector<std::string>> cases{
      {std::string("HTTP/1.1 200 OK\r\n"), std::string("Location: /a\0b\r\n", 16)},
      {"HTTP/1.1 200 OK\r\n", "Location: /a\rb\r\n"},
      {"HTTP/1.1 200 OK\r\n", "X: a\r\r\n"},
      {"HTTP/1.1 200 \x1b[31m\r\n"},
      {"HTTP/1.1 abc OK\r\n"},
      {"HTTP/1.1 20\r\n"},
      {"HTTP/1.1\r\n"},
      {"HTTP/1.1 099 x\r\n"},
  };
  for (const auto& lines : cases) {
    CAPTURE(lines.back());
    CHECK_THROWS_AS((void)parse(lines), Error);
  }
}

TEST_CASE("a flood of headers ends, over interim responses too (F14)") {
  const auto flood = [](const std::string& line) {
    ResponseHead head;
    for (int i = 0; i < 400; ++i) {
      head.add_line("HTTP/1.1 103 Early\r\n");
      head.add_line(line);
    }
  };
  CHECK_THROWS_AS(flood("X: " + std::string(1024, 'x') + "\r\n"), Error);
  CHECK_NOTHROW(flood("X: 1\r\n"));
}

}  // namespace
}  // namespace tug::http
