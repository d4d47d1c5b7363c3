#include "oci/image_config.h"

#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

using test::check_error;

// What is around it whatever is in it.
std::string with(const std::string& members) {
  return R"({"architecture":"amd64","os":"linux")" + members + "}";
}
std::string oci_with(const std::string& before, const std::string& config = "{}",
                     const std::string& after = "") {
  return "{" + before + R"("architecture":"amd64","os":"linux","config":)" + config +
         R"(,"rootfs":{"type":"","diff_ids":null})" + after + "}";
}

TEST_CASE("a configuration is written as containers/image writes it") {
  // The second of each is what skopeo 1.9.3 has made of the first.
  const std::pair<std::string, std::string> rows[] = {
      {with(""), oci_with("")},
      {with(R"(,"config":null,"history":[],"rootfs":null)"), oci_with("")},
      {with(R"(,"docker_version":"20","container_config":{"Cmd":["x"]},"id":"i")"), oci_with("")},
      {with(R"(,"author":"a <b&c>")"), oci_with(R"("author":"a \u003cb\u0026c\u003e",)")},
      {with(R"(,"created":"2023-11-14T22:13:20.1200+00:00")"),
       oci_with(R"("created":"2023-11-14T22:13:20.12Z",)")},
      {with(R"(,"created":"2023-11-14T22:13:20.000000000Z")"),
       oci_with(R"("created":"2023-11-14T22:13:20Z",)")},
      {with(R"(,"created":"2024-02-29T22:13:20.1234567891+02:30")"),
       oci_with(R"("created":"2024-02-29T22:13:20.123456789+02:30",)")},
      {with(R"(,"created":null)"), oci_with("")},
      {with(R"(,"config":{"Labels":{"z":"1","a":null},"Volumes":{"/v":{"x":1},"/a":{}},"Env":[],)"
            R"("Cmd":["c",null],"User":"","ArgsEscaped":false,"Tty":true})"),
       oci_with("", R"({"Cmd":["c",""],"Volumes":{"/a":{},"/v":{}},"Labels":{"a":"","z":"1"}})")},
      {with(R"(,"history":[{"empty_layer":true,"comment":"c","created_by":"b","extra":1},null,)"
            R"({"created":"2023-11-14T22:13:20Z"}])"),
       oci_with("", "{}",
                R"(,"history":[{"created_by":"b","comment":"c","empty_layer":true},{},)"
                R"({"created":"2023-11-14T22:13:20Z"}])")},
  };
  for (const auto& [docker, oci] : rows) CHECK(oci_config(docker).bytes == oci);
  CHECK(oci_config(R"({"os.features":["f"],"os.version":"10","os":"windows","variant":"v8",)"
                   R"("architecture":"arm64","rootfs":{"diff_ids":["sha256:x"],"type":"layers"}})")
            .bytes ==
        R"({"architecture":"arm64","variant":"v8","os":"windows","os.version":"10",)"
        R"("os.features":["f"],"config":{},"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})");
}

TEST_CASE("what a container was run by and is lost is named") {
  CHECK(oci_config(with(R"(,"config":{"Healthcheck":{"Test":["NONE"]},"OnBuild":null,"Shell":[]})"))
            .lost == std::vector<std::string>{"Healthcheck"});
  CHECK(oci_config(with(R"(,"config":{"OnBuild":["x"],"Shell":["sh"],"StopTimeout":1})")).lost ==
        std::vector<std::string>{"OnBuild", "Shell", "StopTimeout"});
}

TEST_CASE("what is no configuration is refused") {
  for (const char* members :
       {R"(,"created":"yesterday")", R"(,"created":"2023-02-29T00:00:00Z")",
        R"(,"created":"2023-11-14T22:13:20")", R"(,"created":"2023-11-14T22:13:20.Z")",
        R"(,"created":"2023-11-14T22:13:20+02:0")", R"(,"created":"2023-11-14T22:13:60Z")",
        R"(,"created":7)", R"(,"config":[])", R"(,"config":{"Env":"PATH=/bin"})",
        R"(,"config":{"Env":[1]})", R"(,"config":{"Labels":{"a":1}})", R"(,"config":{"env":[]})",
        R"(,"config":{"ArgsEscaped":"no"})", R"(,"history":{})", R"(,"history":[1])",
        R"(,"rootfs":"x")", R"(,"OS":"windows")", R"(,"author":{})"}) {
    CAPTURE(members);
    check_error(ErrorKind::integrity, "the image's configuration",
                [&] { (void)oci_config(with(members)); });
  }
  check_error(ErrorKind::integrity, "the image's configuration", [] { (void)oci_config("[]"); });
  check_error(ErrorKind::integrity, "the image's configuration", [] { (void)oci_config("{"); });
}

TEST_CASE("the platform of a configuration") {
  CHECK(platform_of_config(with(R"(,"variant":"v8","os.version":"10")")) ==
        Platform{"linux", "amd64", "v8", "10", {}});
  check_error(ErrorKind::integrity, "names no platform",
              [] { (void)platform_of_config(R"({"os":"linux"})"); });
}

}  // namespace
}  // namespace tug
