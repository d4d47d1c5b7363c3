#include "http/retry.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

namespace tug::http {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST_CASE("statuses that are worth another try") {
  for (const int status : {408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 523, 527, 530}) {
    CAPTURE(status);
    CHECK(is_retryable_status(status));
  }
  for (const int status : {200, 201, 301, 400, 401, 403, 404, 405, 409, 411, 413,
                           416, 501, 505, 507, 519, 528, 529, 531, 0,   -1}) {
    CAPTURE(status);
    CHECK_FALSE(is_retryable_status(status));
  }
}

TEST_CASE("Retry-After in all its forms (F17-F19)") {
  // Sun, 06 Nov 1994 08:49:37 GMT
  const std::chrono::system_clock::time_point now{784111777s};
  struct Case {
    const char* value;
    const char* date;
    std::optional<milliseconds> delay;
  };
  const std::vector<Case> cases{
      {"2", "", 2s},
      {" 2 ", "", 2s},
      {"0", "", 0s},
      {"3600", "", 3600s},
      {"99999999999999999999999999", "", std::chrono::seconds(10LL * 365 * 24 * 3600)},
      {"1.889377ms", "", std::nullopt},
      {"", "", std::nullopt},
      {"-5", "", std::nullopt},
      {"+5", "", std::nullopt},
      {"2.5", "", std::nullopt},
      {"5 s", "", std::nullopt},
      {"soon", "", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:47 GMT", "", 10s},
      {"Sunday, 06-Nov-94 08:49:47 GMT", "", 10s},
      {"Sun Nov  6 08:49:47 1994", "", 10s},
      {"Sun, 06 Nov 1994 08:49:37 GMT", "", 0s},
      {"Sun, 06 Nov 1994 08:49:36 GMT", "", std::nullopt},
      {"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:30 GMT", 30s},
      {"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:30 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:47 GMT", "garbage", 10s},
      {"Sun, 06 Nov 1994 08:49:60 GMT", "", 22s},
      {"Sun, 31 Feb 1994 08:49:47 GMT", "", std::nullopt},
      {"Sun, 06 Nov 1994 24:00:00 GMT", "", std::nullopt},
      {"Sun, 06 Nov 1994 08:49 GMT", "", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:47 CET", "", std::nullopt},
      {"Sun, 06 Foo 1994 08:49:47 GMT", "", std::nullopt},
      {"Fri, 31 Dec 9999 23:59:59 GMT", "", std::chrono::seconds(10LL * 365 * 24 * 3600)},
      {"Fri, 31 Dec 99999 23:59:59 GMT", "", std::nullopt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    CAPTURE(c.date);
    CHECK(parse_retry_after(c.value, c.date, now) == c.delay);
  }
}

TEST_CASE("a truncated date is never more than a date") {
  const std::string whole = "Sun, 06 Nov 1994 08:49:47 GMT";
  const std::chrono::system_clock::time_point now{784111777s};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(parse_retry_after(whole.substr(0, size), "", now).has_value());
  }
}

TEST_CASE("the delay grows, has jitter, and Retry-After is its floor") {
  RetryPolicy policy;
  policy.attempts = 10;
  struct Case {
    int attempt;
    double jitter;
    std::optional<milliseconds> retry_after;
    std::optional<milliseconds> delay;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Case> cases{
      {1, 0.5, std::nullopt, 250ms},
      {2, 0.5, std::nullopt, 500ms},
      {3, 0.5, std::nullopt, 1000ms},
      {7, 0.5, std::nullopt, 15'000ms},
      {9, 0.5, std::nullopt, 15'000ms},
      {1, 0.0, std::nullopt, 50ms},
      {1, nan, std::nullopt, 50ms},
      {1, -1.0, std::nullopt, 50ms},
      {1, 9.0, std::nullopt, 500ms},
      {10, 0.5, std::nullopt, std::nullopt},
      {11, 0.5, 1s, std::nullopt},
      {1, 0.5, 2s, 2000ms},
      {1, 0.5, 0s, 250ms},
      {1, 0.5, 60s, 60'000ms},
      {1, 0.5, 60'001ms, std::nullopt},
      {1, 0.5, 3600s, std::nullopt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.attempt);
    CAPTURE(c.jitter);
    CHECK(retry_delay(policy, c.attempt, c.jitter, c.retry_after) == c.delay);
  }
}

TEST_CASE("a fixed delay is fixed, and huge attempt numbers do not overflow") {
  RetryPolicy policy;
  policy.attempts = std::numeric_limits<int>::max();
  CHECK(retry_delay(policy, 1'000'000, 0.999, std::nullopt) <= policy.max_delay);
  policy.fixed_delay = 3s;
  CHECK(retry_delay(policy, 1, 0.9, std::nullopt) == 3s);
  CHECK(retry_delay(policy, 9, 0.1, 5s) == 5s);
  policy.fixed_delay = 0s;
  CHECK(retry_delay(policy, 1, 0.9, std::nullopt) == 0s);
  policy.attempts = 1;
  CHECK_FALSE(retry_delay(policy, 1, 0.5, std::nullopt).has_value());
}

TEST_CASE("short policies keep short delays") {
  RetryPolicy policy;
  policy.base_delay = 1ms;
  policy.max_delay = 4ms;
  for (int attempt = 1; attempt < 4; ++attempt) {
    CHECK(retry_delay(policy, attempt, 0.99, std::nullopt) <= 4ms);
  }
}

}  // namespace
}  // namespace tug::http
