#include "table.h"

#include <doctest/doctest.h>

#include <set>

namespace tug::test {
namespace {

TEST_CASE("F01-F24: transport") { run_table(transport_cases()); }
TEST_CASE("F25-F46: authentication") { run_table(auth_cases()); }
TEST_CASE("F47-F59: redirects and Location") { run_table(redirect_cases()); }
TEST_CASE("F60-F72: the blob protocol") { run_table(blob_cases()); }
TEST_CASE("F73-F83: what is there already, and what is said to be") {
  run_table(blob_presence_cases());
}
TEST_CASE("F84-F89: local content") { run_table(local_cases()); }
TEST_CASE("F90-F99: manifests") { run_table(manifest_cases()); }

TEST_CASE("every number has a row, and every row a number of its own") {
  std::set<int> numbers;
  std::set<std::string> ids;
  for (const auto& rows : {transport_cases(), auth_cases(), redirect_cases(), blob_cases(),
                           blob_presence_cases(), local_cases(), manifest_cases()}) {
    for (const Case& row : rows) {
      CAPTURE(row.id);
      CHECK(ids.insert(row.id).second);
      numbers.insert(std::stoi(row.id.substr(1)));
      CHECK(row.tested_by.empty() == row.why_not_here.empty());
    }
  }
  for (int number = 1; number <= 99; ++number) {
    CAPTURE(number);
    CHECK(numbers.count(number) == 1);
  }
}

}  // namespace
}  // namespace tug::test
