#include "registry/pace.h"

#include "support/registry_lab.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <string>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;

// Time that passes only in sleep().
struct OwnTime {
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  milliseconds slept{0};
  Timing timing{.now = [this] { return now; },
                .sleep =
                    [this](milliseconds duration, const std::stop_token& stop) {
                      throw_if_stopped(stop);
                      now += duration;
                      slept += duration;
                    },
                .jitter = {}};
};

TEST_CASE(
    "a pace: the first goes at once, the others one after the other, and nothing is saved up") {
  OwnTime time;
  Pace pace(4, time.timing);
  pace.wait_for(1, {});
  CHECK(time.slept == milliseconds(0));
  pace.wait_for(1, {});
  CHECK(time.slept == milliseconds(250));
  pace.wait_for(2, {});
  CHECK(time.slept == milliseconds(500));
  pace.wait_for(1, {});
  CHECK(time.slept == milliseconds(1000));
  time.now += std::chrono::seconds(10);
  pace.wait_for(1, {});
  CHECK(time.slept == milliseconds(1000));
  pace.wait_for(1, {});
  CHECK(time.slept == milliseconds(1250));
}

TEST_CASE("a stop ends the wait") {
  OwnTime time;
  Pace pace(1, time.timing);
  std::stop_source stop;
  stop.request_stop();
  pace.wait_for(1, stop.get_token());
  CHECK_THROWS_AS(pace.wait_for(1, stop.get_token()), Error);
}

TEST_CASE("a paced source gives all bytes, in pieces of a twentieth of a second") {
  OwnTime time;
  Pace pace(1000, time.timing);
  const auto bytes = std::make_shared<const std::string>(test::some_bytes(2000));
  test::PiecewiseSource source(bytes, 0, 7000);
  PacedSource paced(source, pace, {});
  std::string read;
  std::array<std::byte, 4096> buffer{};
  for (;;) {
    const std::size_t got = paced.read(buffer);
    if (got == 0) break;
    CHECK(got <= 50);
    read.append(reinterpret_cast<const char*>(buffer.data()), got);
  }
  CHECK(read == *bytes);
  CHECK(time.slept == milliseconds(1950));
}

TEST_CASE("a registry gets no more requests in a second than it may") {
  test::LabOptions options;
  options.requests_per_second = 2;
  test::RegistryLab lab(options);
  lab.put("small");  // a ping, POST, PUT
  const auto requests = static_cast<milliseconds::rep>(lab.registry.count("", ""));
  REQUIRE(requests >= 3);
  CHECK(lab.slept() > milliseconds(500 * (requests - 1) - 400));
  CHECK(lab.slept() <= milliseconds(500 * requests));  // https was tried too
}

TEST_CASE("bodies are sent no faster than they may be") {
  test::LabOptions options;
  options.bytes_per_second = 100'000;
  test::RegistryLab lab(options);
  const std::string bytes = test::some_bytes(1'000'000);
  lab.put(bytes);
  CHECK(lab.holds(bytes));
  CHECK(lab.slept() > milliseconds(9'000));
  CHECK(lab.slept() <= milliseconds(10'500));
}

}  // namespace
}  // namespace tug::registry
