#include "base/stop.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <thread>

namespace tug {
namespace {

using namespace std::chrono_literals;

bool is_interrupted(const std::stop_token& stop, std::chrono::milliseconds duration) {
  try {
    sleep_for(duration, stop);
    return false;
  } catch (const Error& error) {
    return error.kind() == ErrorKind::interrupted;
  }
}

TEST_CASE("throw_if_stopped throws once a stop was requested") {
  std::stop_source source;
  throw_if_stopped(source.get_token());
  throw_if_stopped({});
  source.request_stop();
  CHECK_THROWS_AS(throw_if_stopped(source.get_token()), Error);
}

TEST_CASE("a sleep takes its time") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(is_interrupted({}, 5ms));
  CHECK(std::chrono::steady_clock::now() - begin >= 5ms);
  CHECK_FALSE(is_interrupted({}, 0ms));
  CHECK_FALSE(is_interrupted({}, -5ms));
}

TEST_CASE("a stop request ends a sleep of any length") {
  for (const auto duration : {std::chrono::milliseconds(1h), std::chrono::milliseconds::max()}) {
    std::stop_source before;
    before.request_stop();
    CHECK(is_interrupted(before.get_token(), duration));
    std::stop_source during;
    std::thread stopper([&] {
      std::this_thread::sleep_for(2ms);
      during.request_stop();
    });
    CHECK(is_interrupted(during.get_token(), duration));
    stopper.join();
  }
}

}  // namespace
}  // namespace tug
