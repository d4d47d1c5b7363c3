#include "cli/sync_prune.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace tug;
using namespace tug::cli;

namespace {

using Tags = std::vector<std::string>;

MirroredRepository mirrored(std::set<std::string> source_tags) {
  MirroredRepository repository{RegistryReference::parse_repository("r.example/m/app")};
  repository.source_tags = std::move(source_tags);
  repository.scopes.emplace_back([](std::string_view tag) { return !tag.starts_with("keep"); });
  return repository;
}

}  // namespace

TEST_CASE("the tags that may go are those that the source's list would hold and does not") {
  CHECK(dropped_tags(mirrored({"1", "2"}), {"3", "1", "keep", "2", "0"}, "") == Tags{"3", "0"});
  CHECK(dropped_tags(mirrored({"1"}), {"1"}, "").empty());
}

TEST_CASE("only tags with the suffix of this sync may go") {
  CHECK(dropped_tags(mirrored({"1"}), {"1-x", "2-x", "2", "-x", "keep-x", "1"}, "-x") ==
        Tags{"2-x"});
}

TEST_CASE("any of several scopes of one repository will do") {
  MirroredRepository repository = mirrored({"1"});
  repository.scopes.emplace_back([](std::string_view tag) { return tag == "keep2"; });
  CHECK(dropped_tags(repository, {"keep1", "keep2"}, "") == Tags{"keep2"});
}

TEST_CASE("nothing may go by a list that was not had, is empty or was not asked for") {
  MirroredRepository repository = mirrored({"1"});
  repository.is_complete = false;
  CHECK(dropped_tags(repository, {"2"}, "").empty());
  CHECK(dropped_tags(mirrored({}), {"2"}, "").empty());
  repository = mirrored({"1"});
  repository.scopes.clear();
  CHECK(dropped_tags(repository, {"2"}, "").empty());
}
