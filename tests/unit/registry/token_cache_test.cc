#include "registry/token_cache.h"

#include <doctest/doctest.h>

using namespace tug;
using namespace tug::registry;
using std::chrono::seconds;

namespace {

struct Fixture {
  std::chrono::steady_clock::time_point time{std::chrono::hours(1)};
  TokenCache cache{Timing{[this] { return time; }, {}, {}}};
  int fetches = 0;
  TokenCache::Result get(const std::string& key, seconds lifetime, seconds at_least = seconds(0)) {
    return cache.get(key, at_least,
                     [&] {
                       ++fetches;
                       return Token{Secret(key + std::to_string(fetches)), std::nullopt, lifetime};
                     },
                     {});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a token is kept until it is about to expire") {
  CHECK(get("a", seconds(300)).fetched);
  CHECK(!get("a", seconds(300)).fetched);
  time += seconds(270);  // 10 % of 300 s remains
  CHECK(!get("a", seconds(300)).fetched);
  time += seconds(1);
  CHECK(get("a", seconds(300)).value.reveal() == "a2");
  CHECK(get("b", seconds(300)).fetched);
}

TEST_CASE_FIXTURE(
    Fixture,
    "a long body wants more of a token's life, but never a fetch more often than every 50 s") {
  get("a", seconds(300));
  time += seconds(200);
  CHECK(!get("a", seconds(300), seconds(60)).fetched);
  time += seconds(41);
  CHECK(!get("a", seconds(300)).fetched);
  CHECK(get("a", seconds(300), seconds(60)).fetched);
  get("short", seconds(60));
  for (int i = 0; i < 500; ++i) {  // F31
    time += seconds(1);
    get("short", seconds(60), seconds(3600));
  }
  CHECK(fetches - 3 <= 10);
}

TEST_CASE_FIXTURE(Fixture, "only the token that was refused is dropped") {
  const auto first = get("a", seconds(300));
  cache.drop("a", first.serial);
  const auto second = get("a", seconds(300));
  CHECK(second.fetched);
  cache.drop("a", first.serial);
  cache.drop("b", second.serial);
  CHECK(!get("a", seconds(300)).fetched);
}

TEST_CASE_FIXTURE(Fixture, "the number of tokens is bounded, the oldest go first") {
  for (int i = 0; i < 1000; ++i) get("k" + std::to_string(i), seconds(300));
  CHECK(!get("k999", seconds(300)).fetched);
  CHECK(get("k0", seconds(300)).fetched);
}

TEST_CASE_FIXTURE(Fixture, "a failed fetch leaves nothing behind") {
  const auto fail = [&] {
    return cache.get("a", seconds(0), []() -> Token { throw Error(ErrorKind::auth, "no"); }, {});
  };
  CHECK_THROWS_AS(fail(), Error);
  CHECK(get("a", seconds(300)).fetched);
}
