#include "http/retry.h"

#include "base/strings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tug::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::sys_seconds;

constexpr milliseconds kMinDelay{50};
// Far beyond any policy, and far from overflow: "Retry-After: 99999999999999" is simply too long.
constexpr std::uint64_t kMaxSeconds = 10ULL * 365 * 24 * 3600;

std::optional<unsigned> parse_month(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::find(kMonths.begin(), kMonths.end(), name);
  if (found == kMonths.end()) return std::nullopt;
  return static_cast<unsigned>(found - kMonths.begin()) + 1;
}

std::optional<std::uint64_t> parse_bounded(std::string_view text, std::uint64_t max) noexcept {
  const auto number = parse_uint(text);
  return number && *number <= max ? number : std::nullopt;
}

// "08:49:37"; a leap second counts as the one before it.
std::optional<std::chrono::seconds> parse_time(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto hours = parse_bounded(parts[0], 23);
  const auto minutes = parse_bounded(parts[1], 59);
  const auto seconds = parse_bounded(parts[2], 60);
  if (!hours || !minutes || !seconds) return std::nullopt;
  return std::chrono::seconds(*hours * 3600 + *minutes * 60 +
                              std::min<std::uint64_t>(*seconds, 59));
}

std::optional<sys_seconds> make_date(std::string_view day, std::string_view month,
                                     std::string_view year, std::string_view time) {
  const auto d = parse_bounded(day, 31);
  const auto m = parse_month(month);
  auto y = parse_bounded(year, 9999);
  const auto t = parse_time(time);
  if (!d || !m || !y || !t) return std::nullopt;
  if (year.size() == 2) *y += *y < 70 ? 2000U : 1900U;  // RFC 850's two digits
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*y)),
                                         std::chrono::month(*m),
                                         std::chrono::day(static_cast<unsigned>(*d)));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + *t;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

// The three forms of RFC 9110 5.6.7, the week day unchecked.
std::optional<sys_seconds> parse_http_date(std::string_view text) {
  if (text.size() > 64) return std::nullopt;
  const auto w = words(text);
  if (w.size() == 6 && w[5] == "GMT")
    return make_date(w[1], w[2], w[3], w[4]);                   // Sun, 06 Nov 1994 …
  if (w.size() == 5) return make_date(w[2], w[1], w[4], w[3]);  // Sun Nov  6 … 1994
  if (w.size() == 4 && w[3] == "GMT") {                         // Sunday, 06-Nov-94 …
    const auto date = split(w[1], '-');
    if (date.size() == 3) return make_date(date[0], date[1], date[2], w[2]);
  }
  return std::nullopt;
}

milliseconds backoff(const RetryPolicy& policy, int attempt, double jitter) noexcept {
  if (policy.fixed_delay) return std::max(*policy.fixed_delay, milliseconds(0));
  double upper = static_cast<double>(policy.base_delay.count());
  upper = std::min(std::ldexp(upper, std::clamp(attempt - 1, 0, 60)),
                   static_cast<double>(policy.max_delay.count()));
  const double spread = jitter > 0 ? std::min(jitter, 1.0) * upper : 0;  // NaN is 0 too
  // Not sooner than 50 ms, but a policy with shorter delays (tests) keeps them.
  const milliseconds floor =
      std::min(kMinDelay, milliseconds(static_cast<milliseconds::rep>(upper)));
  return std::max(floor, milliseconds(static_cast<milliseconds::rep>(spread)));
}

}  // namespace

bool is_retryable_status(int status) noexcept {
  switch (status) {
    case 408:
    case 425:
    case 429:
    case 499:
    case 500:
    case 502:
    case 503:
    case 504:
    case 530:
      return true;
    default:
      return status >= 520 && status <= 527;
  }
}

std::optional<milliseconds> parse_retry_after(std::string_view value, std::string_view date,
                                              std::chrono::system_clock::time_point now) {
  value = trim(value);
  const bool digits =
      !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits) {
    const std::uint64_t seconds = parse_uint(value).value_or(kMaxSeconds);
    return std::chrono::seconds(std::min(seconds, kMaxSeconds));
  }
  const auto when = parse_http_date(value);
  if (!when) return std::nullopt;
  const auto base =
      parse_http_date(trim(date)).value_or(std::chrono::time_point_cast<std::chrono::seconds>(now));
  if (*when < base) return std::nullopt;
  return std::min<milliseconds>(*when - base, std::chrono::seconds(kMaxSeconds));
}

std::optional<milliseconds> retry_delay(const RetryPolicy& policy, int attempt, double jitter,
                                        std::optional<milliseconds> retry_after) noexcept {
  if (attempt >= policy.attempts) return std::nullopt;
  if (retry_after && *retry_after > policy.max_retry_after) return std::nullopt;
  const milliseconds delay = backoff(policy, attempt, jitter);
  return retry_after ? std::max(delay, *retry_after) : delay;
}

}  // namespace tug::http
