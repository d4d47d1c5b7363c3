#include "transport/docker_daemon.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>

namespace tug {
namespace {

TEST_CASE("references to a daemon's images are what the daemon calls them") {
  const std::string hex(64, 'a');
  struct Case {
    std::string text;
    std::string familiar;
  };
  const Case cases[] = {
      {"busybox:1", "busybox:1"},
      {"docker.io/library/busybox:1", "busybox:1"},
      {"docker.io/team/app:1", "team/app:1"},
      // Any shorter they would be other images.
      {"docker.io/reg.example/app:1", "docker.io/reg.example/app:1"},
      {"docker.io/library/team/app:1", "library/team/app:1"},
      {"registry.example:5000/team/app:1", "registry.example:5000/team/app:1"},
      {"busybox@sha256:" + hex, "busybox@sha256:" + hex},
      {"sha256:" + hex, "sha256:" + hex},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const DaemonReference reference = DaemonReference::parse(c.text);
    CHECK(reference.familiar() == c.familiar);
    CHECK(reference.str() == "docker-daemon:" + c.familiar);
    CHECK(DaemonReference::parse(reference.familiar()) == reference);
    CHECK(reference.id.has_value() != reference.image.has_value());
  }
  for (const char* text : {"busybox", "registry.example:5000/app", "sha256:12", "", "Busybox:1"}) {
    CAPTURE(text);
    CHECK(test::error_of([&] { (void)DaemonReference::parse(text); }).kind() == ErrorKind::usage);
  }
}

TEST_CASE("what a daemon says of an image that it was to load") {
  using detail::error_in_load_answer;
  CHECK_FALSE(error_in_load_answer("").has_value());
  CHECK_FALSE(error_in_load_answer(R"({"stream":"Loaded image: app:1\n"})"
                                   "\r\n")
                  .has_value());
  CHECK_FALSE(error_in_load_answer("no json\n[1]\n\"text\"\nnull\n").has_value());
  CHECK(error_in_load_answer("{\"status\":\"x\"}\r\n{\"error\":\"disk\\u001b full\"}\r\n") ==
        "disk? full");
  CHECK(error_in_load_answer("{\"errorDetail\":{\"message\":\"a\"},\"error\":\"b\"}") == "b");
  CHECK(error_in_load_answer("{\"error\":\"" + std::string(10'000, 'x') + "\"}")->size() < 600);
}

}  // namespace
}  // namespace tug
