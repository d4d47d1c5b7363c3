#include "http/transfer_clock.h"

#include <doctest/doctest.h>

namespace tug::http {
namespace {

using namespace std::chrono_literals;
using Phase = TransferClock::Phase;

const TransferClock::Time kStart{};

Timeouts limits() {
  Timeouts timeouts;
  timeouts.stall = 60s;
  return timeouts;
}

TEST_CASE("nothing is watched before the request goes out") {
  const TransferClock clock(limits());
  CHECK(clock.phase() == Phase::connecting);
  CHECK_FALSE(clock.deadline().has_value());
}

TEST_CASE(
    "without a body the answer has the stall limit, and a dripping head earns no more (F10)") {
  TransferClock clock(limits());
  clock.on_request(kStart, false, 0);
  CHECK(clock.phase() == Phase::waiting);
  clock.on_received(kStart + 50s);
  clock.on_sent(kStart + 55s);
  CHECK(clock.deadline() == kStart + 60s);
  clock.on_head(kStart + 59s);
  CHECK(clock.deadline() == kStart + 119s);
  clock.on_received(kStart + 100s);
  CHECK(clock.deadline() == kStart + 160s);
}

TEST_CASE("a body is watched byte by byte, but not while our own source is slow") {
  TransferClock clock(limits());
  clock.on_request(kStart, true, 0);
  CHECK(clock.phase() == Phase::sending);
  clock.on_sent(kStart + 30s);
  CHECK(clock.deadline() == kStart + 90s);
  clock.on_starved(kStart + 40s, true);
  CHECK(clock.phase() == Phase::starved);
  CHECK_FALSE(clock.deadline().has_value());
  clock.on_starved(kStart + 1000s, false);
  CHECK(clock.deadline() == kStart + 1060s);
  clock.on_starved(kStart + 1010s, false);  // it was not
  CHECK(clock.deadline() == kStart + 1060s);
}

TEST_CASE("after N bytes the answer may take a second more for each 10 MB, at most 15 minutes") {
  struct Case {
    std::uint64_t bytes;
    std::chrono::milliseconds stall;
    std::chrono::milliseconds wait;
  };
  for (const Case& c : {Case{0, 60s, 60s}, Case{9'999'999, 60s, 60s}, Case{10'000'000, 60s, 61s},
                        Case{1'000'000'000, 60s, 160s}, Case{100'000'000'000, 60s, 15min},
                        Case{UINT64_MAX, 60s, 15min}, Case{100'000'000'000, 20min, 20min}}) {
    CAPTURE(c.bytes);
    Timeouts timeouts;
    timeouts.stall = c.stall;
    TransferClock clock(timeouts);
    clock.on_request(kStart, true, 0);
    clock.on_body_done(kStart + 5s, c.bytes);
    clock.on_body_done(kStart + 20s, c.bytes);  // told again: no news
    CHECK(clock.phase() == Phase::waiting);
    CHECK(clock.deadline() == kStart + 5s + c.wait);
  }
}

TEST_CASE("a commit without a body may take as long as the blob that it commits") {
  struct Case {
    std::uint64_t to_digest;
    std::uint64_t body;
    std::chrono::milliseconds wait;
  };
  for (const Case& c :
       {Case{1'000'000'000, 0, 160s}, Case{1'000'000'000, 20'000'000, 160s},
        Case{20'000'000, 1'000'000'000, 160s}, Case{UINT64_MAX, 0, 15min}, Case{0, 0, 60s}}) {
    CAPTURE(c.to_digest);
    CAPTURE(c.body);
    TransferClock clock(limits());
    clock.on_request(kStart, c.body > 0, c.to_digest);
    clock.on_body_done(kStart + 5s, c.body);
    CHECK(clock.phase() == Phase::waiting);
    CHECK(clock.deadline() == kStart + (c.body > 0 ? 5s : 0s) + c.wait);
  }
}

TEST_CASE("an early answer is watched as an answer, though the body goes on") {
  TransferClock clock(limits());
  clock.on_request(kStart, true, 0);
  clock.on_head(kStart + 10s);
  CHECK(clock.phase() == Phase::receiving);
  CHECK(clock.deadline() == kStart + 70s);
  clock.on_sent(kStart + 30s);
  CHECK(clock.deadline() == kStart + 90s);
}

}  // namespace
}  // namespace tug::http
