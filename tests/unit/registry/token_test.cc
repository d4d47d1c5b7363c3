#include "registry/token.h"

#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>

using namespace tug;
using namespace tug::registry;
using tug::test::error_of;

TEST_CASE("a token response gives token and lifetime") {
  struct Case {
    std::string body;
    std::string token;
    int lifetime;
  };
  const Case cases[] = {
      {R"({"token":"a"})", "a", 60},
      {R"({"access_token":"b"})", "b", 60},  // F33
      {R"({"token":"a","access_token":"b","expires_in":300})", "a", 300},
      {R"({"token":"","access_token":"b"})", "b", 60},
      // F31
      {R"({"token":"a","expires_in":1})", "a", 60},
      {R"({"token":"a","expires_in":-1})", "a", 60},
      {R"({"token":"a","expires_in":1e30})", "a", 86400},
      {R"({"token":"a","expires_in":"300"})", "a", 300},
      {R"({"token":"a","expires_in":"soon"})", "a", 60},
      {R"({"token":"a","expires_in":null})", "a", 60},
      {R"({"token":"a","expires_in":299.9})", "a", 299},
      // F32
      {R"({"token":"a","expires_in":300,"issued_at":"1970-01-01T00:00:00Z"})", "a", 300},
      {R"({"token":"a","expires_in":300,"issued_at":"2099-01-01T00:00:00Z"})", "a", 300},
      {R"({"token":"a","expires_in":300,"issued_at":7})", "a", 300},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const Token token = parse_token_response(c.body, "application/json");
    CHECK(token.value.reveal() == c.token);
    CHECK(token.lifetime.count() == c.lifetime);
    CHECK(!token.refresh_token);
  }
  const Token rotated = parse_token_response(R"({"access_token":"a","refresh_token":"r"})", "");
  REQUIRE(rotated.refresh_token);
  CHECK(rotated.refresh_token->reveal() == "r");
}

TEST_CASE("an unusable token response is an auth error that shows no token") {
  struct Case {
    std::string body;
    std::string_view says;
  };
  const Case cases[] = {
      {"<html><title>Sign in</title>", "\"<html>"},  // F28
      {"no such service here", "no such service"},
      {"{}", "no token"},  // F29
      {R"({"token":""})", "no token"},
      {R"({"token":123})", "no token"},
      {R"(["s3cret"])", "no object"},
      {R"("s3cret")", "no object"},
      {"s3cret", "not JSON"},
      {R"({"token":"s3cret)", "not JSON"},
      {R"({"token":"s3cret\r\nX-Evil: 1"})", "cannot be sent"},  // F30
      {R"({"token":"s3cret s3cret"})", "cannot be sent"},
      {R"({"token":"s3cretü"})", "cannot be sent"},
      {R"({"token":")" + std::string(200'000, 's') + "\"}", "cannot be sent"},
      {"", "not JSON"},
      {std::string(2'000'000, '['), "not JSON"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body.substr(0, 60));
    const Error error = error_of([&] { (void)parse_token_response(c.body, "text/html\x1b[1m"); });
    CHECK(error.kind() == ErrorKind::auth);
    const std::string_view what = error.what();
    CAPTURE(what);
    CHECK(what.find(c.says) != std::string_view::npos);
    CHECK(what.find("text/html") != std::string_view::npos);
    CHECK(what.find("s3cret") == std::string_view::npos);
    CHECK(what.find('\x1b') == std::string_view::npos);
    CHECK(what.size() < 400);
  }
}

TEST_CASE("scopes of a challenge join those of the request") {
  using List = std::vector<std::string>;
  struct Case {
    List scopes;
    std::string challenge;
    List expected;
  };
  const std::string push = repository_scope("a/b", "pull,push");
  const Case cases[] = {
      {{push}, "repository:a/b:pull", {push}},
      {{push}, "repository:a/b:push,pull", {push}},
      {{"repository:a/b:pull"}, "repository:a/b:pull,push", {"repository:a/b:pull,push"}},
      {{push}, "repository:c:pull", {push, "repository:c:pull"}},
      {{push},
       "repository:a/b:delete repository:c:pull",
       {"repository:a/b:pull,push,delete", "repository:c:pull"}},
      {{}, "registry:catalog:*", {"registry:catalog:*"}},
      {{push}, "", {push}},
      {{push}, "   ", {push}},
      {{push}, "odd", {push, "odd"}},
      {{push}, "repository:" + std::string(600, 'x') + ":pull", {push}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.challenge);
    CHECK(merge_scopes(c.scopes, c.challenge) == c.expected);
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "repository:r" + std::to_string(i) + ":pull ";
  CHECK(merge_scopes({push}, many).size() == 16);
}
