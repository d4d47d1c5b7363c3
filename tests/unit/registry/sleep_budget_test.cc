#include "registry/sleep_budget.h"

#include <doctest/doctest.h>

namespace tug::registry {
namespace {

using namespace std::chrono_literals;

const SleepBudget::Time kStart{1h};

TEST_CASE("sleep is paid for until nothing is left") {
  SleepBudget budget(10s);
  CHECK(budget.take(kStart, 6s));
  CHECK_FALSE(budget.take(kStart + 6s, 5s));
  CHECK(budget.take(kStart + 6s, 4s));
  CHECK_FALSE(budget.take(kStart + 20s, 1ms));
  CHECK(budget.take(kStart + 20s, 0ms));
}

TEST_CASE("workers that sleep at the same time pay once") {
  SleepBudget budget(10s);
  for (int worker = 0; worker < 24; ++worker) CHECK(budget.take(kStart, 6s));
  CHECK(budget.take(kStart + 2s, 8s));  // 4 s longer than the others
  CHECK_FALSE(budget.take(kStart + 9s, 2s));
}

}  // namespace
}  // namespace tug::registry
