#include "cli/sync_names.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>

using namespace tug;
using namespace tug::cli;
using namespace tug::test;

namespace {

std::string to(const SyncDestination& destination, const std::string& name) {
  return sync_destination(destination, name).str();
}

}  // namespace

TEST_CASE("paths are cleaned as Go's path package does it") {
  const std::pair<const char*, const char*> rows[] = {{"", "."},
                                                      {".", "."},
                                                      {"/", "/"},
                                                      {"//", "/"},
                                                      {"a/b/", "a/b"},
                                                      {"./a", "a"},
                                                      {"a//b", "a/b"},
                                                      {"a/./b", "a/b"},
                                                      {"a/../b", "b"},
                                                      {"../a", "../a"},
                                                      {"a/../..", ".."},
                                                      {"/../a", "/a"},
                                                      {"/a/../..", "/"},
                                                      {"../../a/", "../../a"},
                                                      {"h:5000/x/../y//", "h:5000/y"}};
  for (const auto& row : rows) {
    CAPTURE(row.first);
    CHECK(clean_path(row.first) == row.second);
  }
  CHECK(join_paths("", "") == "");
  CHECK(join_paths("", "a/") == "a");
  CHECK(join_paths("a", "") == "a");
  CHECK(join_paths("a/", "/b") == "a/b");
  const std::pair<const char*, const char*> bases[] = {
      {"", "."}, {"/", "/"}, {"///", "/"}, {"a", "a"}, {"a/b/", "b"}, {"h:5000/app:v1", "app:v1"}};
  for (const auto& row : bases) {
    CAPTURE(row.first);
    CHECK(base_of_path(row.first) == row.second);
  }
}

TEST_CASE("an image of a directory is named by its path below the source") {
  CHECK(sync_name_of_directory("out/app:v1", "out") == "/app:v1");
  CHECK(sync_name_of_directory("out/r:5000/src/app:v1", "out/") == "r:5000/src/app:v1");
  CHECK(sync_name_of_directory("/x/out/app:v1", "/x/out/app:v1") == "app:v1");
  // As skopeo: the path that was cleaned does not begin with the one that was not.
  CHECK(sync_name_of_directory("out/app:v1", "./out") == "out/app:v1");
  CHECK(sync_name_of_directory("out/app:v1", "out/app:v1/") == "out/app:v1");
  CHECK(sync_name_of_entry("app:v1", "/x/layout") == "app:v1");
  CHECK(sync_name_of_entry("v1", "/x/layout/") == "layout:v1");
}

TEST_CASE("images go by their last component, or by their whole name, below the destination") {
  const std::string name = "quay.io/team/app:1";
  const std::string digest = "@sha256:" + std::string(64, 'a');
  SyncDestination registry{Transport::docker, "r.example:5000/mirror"};
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/app:1");
  CHECK(to(registry, "quay.io/team/app" + digest) == "docker://r.example:5000/mirror/app" + digest);
  registry.scoped = true;
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/quay.io/team/app:1");
  registry.append_suffix = "-dev";
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/quay.io/team/app:1-dev");
  registry.strip_prefix = "quay.io";
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/team/app:1-dev");
  registry.strip_prefix = "quay.io/team";
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/app:1-dev");
  registry.strip_prefix = "quay.i";
  CHECK(to(registry, name) == "docker://r.example:5000/mirror/quay.io/team/app:1-dev");

  CHECK(to({Transport::docker, "r.example:5000"}, name) == "docker://r.example:5000/app:1");
  CHECK(to({Transport::docker, "r.example/x/../y//"}, name) == "docker://r.example/y/app:1");
  CHECK(to({Transport::docker, "team"}, "/app") == "docker://docker.io/team/app:latest");

  CHECK(to({Transport::dir, "out/"}, name) == "dir:out/app:1");
  CHECK(to({Transport::dir, "/x"}, "quay.io/team/app" + digest) == "dir:/x/app" + digest);
  CHECK(to({Transport::dir, "out", true}, "r:5000/a/app:1") == "dir:out/r:5000/a/app:1");
  CHECK(to({Transport::dir, ".", true, "-x"}, "r:5000/a/app:1") == "dir:r:5000/a/app:1-x");
  CHECK(to({Transport::dir, "/"}, name) == "dir:/app:1");

  CHECK(to({Transport::oci, "/x/layout"}, name) == "oci:/x/layout:app:1");
  CHECK(to({Transport::oci, "/x/layout", true, "-x"}, name) ==
        "oci:/x/layout:quay.io/team/app:1-x");
}

TEST_CASE("names that no destination can have are refused") {
  const SyncDestination scoped{Transport::docker, "r.example/m", true};
  check_error_parts(ErrorKind::usage,
                    {"Cannot obtain a valid image reference for transport \"docker\" and reference "
                     "\"//r.example/m/h:5000/app:1\"",
                     "--strip-prefix"},
                    [&] { (void)sync_destination(scoped, "h:5000/app:1"); });
  check_error(ErrorKind::usage, "lower case", [] {
    (void)sync_destination({Transport::docker, "r.example/UP"}, "app:1");
  });
  check_error(ErrorKind::usage, "digest", [] {
    (void)sync_destination({Transport::docker, "r.example", false, "-x"},
                           "app@sha256:" + std::string(64, 'a'));
  });
  // What a hostile layout may call its images.
  for (const char* name : {"../../etc/app:1", "a/../../x", "..", "/..", ".", ""}) {
    for (const char* place : {"out", ".", "/x/y", "../o"}) {
      CAPTURE(name);
      CAPTURE(place);
      check_error(ErrorKind::usage, "not below", [&] {
        (void)sync_destination({Transport::dir, place, true}, name);
      });
    }
  }
  check_error(ErrorKind::usage, "not below", [] {
    (void)sync_destination({Transport::dir, "out", false, "/../../x"}, "a:1");
  });
}
