#include "registry/error_body.h"

#include <doctest/doctest.h>

#include <string>

using namespace tug;
using namespace tug::registry;

namespace {

http::Response response(int status, std::string body, std::string type = "application/json") {
  http::Response answer;
  answer.status = status;
  answer.headers.add("Content-Type", std::move(type));
  answer.body = std::move(body);
  return answer;
}
Error error_of(const http::Response& answer) {
  return error_from_response(answer, http::Url::parse("https://reg.example:5000/v2/a/manifests/1"));
}
bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("error bodies are read in all their forms") {
  struct Case {
    std::string body;
    std::string type;
    RegistryFault first;
  };
  const Case cases[] = {
      {R"({"errors":[{"code":"DENIED","message":"no","detail":"quota"}]})",
       "application/json",
       {"DENIED", "no", "quota"}},
      {R"({"errors":[{"code":"DENIED","detail":{"a":1}}]})", "", {"DENIED", "", R"({"a":1})"}},
      {R"({"errors":["plain"]})", "", {"", "plain", ""}},
      {R"({"errors":{"code":"X","message":"m"}})", "", {"X", "m", ""}},
      {R"({"details":"invalid repository name"})", "", {"", "invalid repository name", ""}},
      {R"({"message":"too many"})", "", {"", "too many", ""}},
      {R"({"error":"invalid_grant","error_description":"expired"})", "", {"", "expired", ""}},
      {R"({"error":"invalid_grant"})", "", {"", "invalid_grant", ""}},
      {"slow down\nplease", "text/plain", {"", "slow down", ""}},
      {"<html><head><title>502 Bad\nGateway</title>",
       "text/html; charset=utf-8",
       {"", "an HTML page, \"502 Bad Gateway\"", ""}},
      {"<!DOCTYPE html><h1 class=x>Blocked</h1>", "", {"", "an HTML page, \"Blocked\"", ""}},
      {"<html>", "", {"", "an HTML page", ""}},
      {"\x1b[31mred", "", {"", "?[31mred", ""}},
      {R"({"errors":[{"code":"A\u001b[1m","message":"b\nc"}]})", "", {"A?[1m", "b c", ""}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const auto faults = parse_error_body(c.body, c.type);
    REQUIRE(!faults.empty());
    CHECK(!contains(faults[0].message, "\x1b"));
    if (c.body.find('\x1b') != std::string::npos || c.body.find("u001b") != std::string::npos)
      continue;
    CHECK(faults[0].code == c.first.code);
    CHECK(faults[0].message == c.first.message);
    CHECK(faults[0].detail == c.first.detail);
  }
  for (const std::string_view empty : {"", "  ", "{}", "null"})
    CHECK(parse_error_body(empty, "").empty());
}

TEST_CASE("an error body is bounded") {
  std::string many = R"({"errors":[)";
  for (int i = 0; i < 100; ++i) many += R"({"code":"X"},)";
  many += R"({"code":"X"}]})";
  CHECK(parse_error_body(many, "").size() == 16);
  const std::string big = R"({"message":")" + std::string(20'000, 'm') + "\"}";
  CHECK(parse_error_body(big, "").at(0).message.size() <= 503);
  CHECK(std::string(error_of(response(500, std::string(60'000, 'x'))).what()).size() < 700);
  CHECK(std::string(error_of(response(500, std::string(60'000, '['))).what()).size() < 700);
}

TEST_CASE("digests are found in the details") {
  const std::string a = "sha256:" + std::string(64, 'a');
  const std::string b = "sha512:" + std::string(128, 'b');
  const auto digests = digests_in_error_body(
      R"({"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":{"digest":")" + a +
      R"("}},{"detail":"unknown blob )" + b + R"( and )" + a + R"("},{"message":"blob sha256:)" +
      std::string(64, 'c') + R"("},{"detail":"sha256:abc sha256: sha"}]})");
  REQUIRE(digests.size() == 3);
  CHECK(digests[0].str() == a);
  CHECK(digests[1].str() == b);
  for (const std::string_view none :
       {"", "sha256:", "[]", R"({"errors":{}})", R"({"errors":[1]})"}) {
    CHECK(digests_in_error_body(none).empty());
  }
}

TEST_CASE("the status decides the class, codes refine it") {
  struct Case {
    int status;
    std::string code;
    std::string message;
    ErrorKind kind;
    bool retryable;
  };
  const Case cases[] = {
      {401, "UNAUTHORIZED", "", ErrorKind::auth, false},
      {403, "DENIED", "", ErrorKind::denied, false},
      {404, "NAME_UNKNOWN", "", ErrorKind::not_found, false},
      {404, "", "", ErrorKind::not_found, false},
      {405, "UNSUPPORTED", "", ErrorKind::denied, false},
      {400, "NAME_UNKNOWN", "", ErrorKind::not_found, false},
      {400, "NAME_INVALID", "", ErrorKind::usage, false},
      {400, "DIGEST_INVALID", "", ErrorKind::integrity, false},
      {400, "MANIFEST_INVALID", "", ErrorKind::denied, false},
      {400, "TAG_INVALID", "tag is immutable", ErrorKind::denied, false},
      {409, "", "the tag already exists", ErrorKind::denied, false},
      {409, "", "busy", ErrorKind::protocol, false},
      {400, "", "Request Header Or Cookie Too Large", ErrorKind::limit, false},  // F45
      {413, "", "", ErrorKind::limit, false},
      {415, "", "", ErrorKind::denied, false},
      {416, "", "request body is too large", ErrorKind::limit, false},
      {416, "RANGE_INVALID", "", ErrorKind::protocol, false},
      {429, "TOOMANYREQUESTS", "", ErrorKind::rate_limited, true},
      {431, "", "", ErrorKind::limit, false},
      {500, "UNKNOWN", "", ErrorKind::server, true},
      {501, "", "", ErrorKind::server, false},
      {503, "", "", ErrorKind::server, true},
      {507, "", "", ErrorKind::server, false},
      {418, "", "", ErrorKind::protocol, false},
      {302, "", "", ErrorKind::protocol, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.status);
    CAPTURE(c.code);
    const Error error = error_of(response(
        c.status, R"({"errors":[{"code":")" + c.code + R"(","message":")" + c.message + "\"}]}"));
    CHECK(to_string(error.kind()) == to_string(c.kind));
    CHECK(error.retryable() == c.retryable);
    CHECK(error.http_status() == c.status);
    CHECK(error.has_registry_code(c.code) == !c.code.empty());
  }
}

TEST_CASE("the message has host, status and what the registry said") {
  CHECK(
      error_of(
          response(403,
                   R"({"errors":[{"code":"DENIED","message":"no write","detail":"quota 1 GiB"}]})"))
          .message() == "reg.example:5000 answered 403 Forbidden: DENIED: no write (quota 1 GiB)");
  CHECK(error_of(response(599, "")).message() == "reg.example:5000 answered 599");
  CHECK(
      error_of(
          response(
              400,
              R"({"errors":[{"code":"A","message":"x"},{"code":"B","message":"x","detail":"x"}]})"))
          .message() == "reg.example:5000 answered 400 Bad Request: A: x; B: x");
  const std::string page =
      error_of(response(200, "<html><title>Log in</title>", "text/html")).what();
  CHECK(contains(page, "reg.example:5000 answered 200 text/html: not a registry"));
  CHECK(contains(page, "Log in"));
  CHECK(authority(http::Url::parse("https://reg.example:443/")) == "reg.example");
  CHECK(authority(http::Url::parse("http://reg.example:443/")) == "reg.example:443");
}
