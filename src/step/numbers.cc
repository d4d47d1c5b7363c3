#include "step/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace tug::step {
namespace {

// A natural number of any size that grows by one digit at a time.
class Natural {
 public:
  void multiply_add(std::uint32_t factor, std::uint32_t summand) {
    std::uint64_t carry = summand;
    for (std::uint32_t& limb : limbs_) {
      carry += std::uint64_t{limb} * factor;
      limb = static_cast<std::uint32_t>(carry % kLimb);
      carry /= kLimb;
    }
    if (carry > 0) limbs_.push_back(static_cast<std::uint32_t>(carry));
  }
  [[nodiscard]] bool is_too_long() const noexcept {
    return limbs_.size() > kMaxIntegerDigits / kLimbDigits + 1;
  }
  [[nodiscard]] std::string str() const {
    if (limbs_.empty()) return "0";
    std::string text = std::to_string(limbs_.back());
    for (auto limb = limbs_.rbegin() + 1; limb != limbs_.rend(); ++limb)
      text += fmt::format("{:09}", *limb);
    return text;
  }

 private:
  static constexpr std::uint32_t kLimb = 1'000'000'000;
  static constexpr std::size_t kLimbDigits = 9;
  std::vector<std::uint32_t> limbs_;  // lowest first, the last is not 0
};

std::optional<std::uint32_t> digit_of(char c, unsigned base) noexcept {
  unsigned digit = base;
  if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
  if (digit >= base) return std::nullopt;
  return digit;
}

std::optional<std::string> text_of(const Natural& number) {
  std::string text = number.str();
  if (text.size() > kMaxIntegerDigits) return std::nullopt;
  return text;
}

// Whether a decimal that from_chars calls out of range is too large (else it is too small).
bool is_huge(std::string_view text) {
  const std::size_t e = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, e);
  std::int64_t exponent = 0;
  if (e < text.size()) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (read.ec == std::errc::result_out_of_range) return !digits.starts_with('-');
  }
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + exponent > 0;
}

}  // namespace

std::optional<std::string> decimal_from(std::string_view digits, unsigned base) {
  if (digits.empty()) return std::nullopt;
  Natural number;
  for (const char c : digits) {
    const auto digit = digit_of(c, base);
    if (!digit || number.is_too_long()) return std::nullopt;
    number.multiply_add(base, *digit);
  }
  return text_of(number);
}

std::optional<std::string> decimal_from_sexagesimal(std::string_view text) {
  Natural number;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    const auto place = decimal_from(text.substr(begin, end - begin), 10);
    if (!place || number.is_too_long()) return std::nullopt;
    if (begin > 0 && place->size() > 2) return std::nullopt;  // later places are below 60
    if (begin == 0) {
      for (const char c : *place) number.multiply_add(10, static_cast<std::uint32_t>(c - '0'));
    } else {
      std::uint32_t value = 0;
      std::from_chars(place->data(), place->data() + place->size(), value);
      number.multiply_add(60, value);
    }
    begin = end + 1;
  }
  return text_of(number);
}

double parse_real(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc::result_out_of_range)
    value = is_huge(text) ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -value : value;
}

std::string real_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // The shortest digits, and an exponent below 1e-4 and from 1e16 on: Python's rule is {fmt}'s.
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::optional<std::string> whole_digits(double value) {
  if (!std::isfinite(value) || std::trunc(value) != value) return std::nullopt;
  if (value == 0) return "0";
  return fmt::format("{:.0f}", value);
}

}  // namespace tug::step
