#include <tug/error.h>
#include <tug/progress.h>

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>
#include <string>

namespace tug {
namespace {

TEST_CASE("an error reads outermost context first, then the cause, then the hint") {
  Error error(ErrorKind::network, "connection reset");
  CHECK(std::string(error.what()) == "connection reset");
  error.add_context("uploading blob sha256:ab");
  error.set_hint("try again");
  error.add_context("pushing oci:app to docker://reg/app:1");
  CHECK(std::string(error.what()) ==
        "pushing oci:app to docker://reg/app:1: uploading blob sha256:ab: connection reset (hint: "
        "try again)");
  CHECK(error.message() == "connection reset");
  CHECK(error.kind() == ErrorKind::network);
}

TEST_CASE("the innermost hint wins, and an empty context adds nothing") {
  Error error(ErrorKind::auth, "refused");
  error.set_hint("tug login").set_hint("outer advice").add_context("");
  CHECK(std::string(error.what()) == "refused (hint: tug login)");
  CHECK(error.hint() == "tug login");
}

TEST_CASE("an error stays one line that steers no terminal, whatever strangers put into it") {
  Error error(ErrorKind::server, "first\nsecond \x1b[31mred");
  error.add_context("file\r\nname").set_hint("a\tb");
  CHECK(std::string(error.what()) == "file  name: first second ?[31mred (hint: a b)");
  CHECK(std::string(Error(ErrorKind::server, std::string(1 << 20, 'x')).what()).size() < 5000);
}

TEST_CASE("what a registry said travels with the error") {
  Error error(ErrorKind::denied, "no");
  CHECK_FALSE(error.http_status());
  CHECK_FALSE(error.retryable());
  error.set_http_status(403).set_registry_codes({"DENIED", "UNAUTHORIZED"}).set_retryable(true);
  CHECK(error.http_status() == 403);
  CHECK(error.retryable());
  CHECK(error.has_registry_code("UNAUTHORIZED"));
  CHECK_FALSE(error.has_registry_code("DENIE"));
  error.set_registry_codes(std::vector<std::string>(1000, std::string(10000, 'C')));
  CHECK(error.registry_codes().size() == 16);
  CHECK(error.registry_codes()[0].size() <= 128);
}

TEST_CASE("with_context adds a context to an Error only when one leaves the work") {
  CHECK(with_context("adding", [] { return 2; }) == 2);
  bool made = false;
  const auto context = [&] {
    made = true;
    return std::string("reading");
  };
  with_context(context, [] {});
  CHECK_FALSE(made);
  try {
    with_context(context, []() -> int { throw Error(ErrorKind::local, "gone"); });
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "reading: gone");
  }
  CHECK_THROWS_WITH_AS(with_context("no", [] { throw std::runtime_error("other"); }), "other",
                       std::runtime_error);
}

TEST_CASE("every kind and every outcome has a word of its own") {
  std::set<std::string_view> words;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::interrupted); ++kind)
    words.insert(to_string(ErrorKind(kind)));
  CHECK(words.size() == 13);
  CHECK(words.count("unknown") == 0);
  CHECK(to_string(ErrorKind::not_found) == "not-found");
  CHECK(to_string(ErrorKind::rate_limited) == "rate-limited");
  std::set<std::string_view> outcomes;
  for (int outcome = 0; outcome <= static_cast<int>(BlobOutcome::skipped); ++outcome)
    outcomes.insert(to_string(BlobOutcome(outcome)));
  CHECK(outcomes == std::set<std::string_view>{"uploaded", "mounted", "existed", "skipped"});
}

}  // namespace
}  // namespace tug
