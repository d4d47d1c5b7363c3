#include "step/yaml_types.h"

#include "base/strings.h"
#include "step/numbers.h"

#include <tug/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tug::step {
namespace {

// PyYAML's regular expressions, written out: each scanner eats what its part of an expression
// matches and says whether it did. std::regex recurses per character and would overflow on a long
// scalar.
class Scanner {
 public:
  explicit Scanner(std::string_view text) noexcept : rest_(text) {}
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
  bool one(std::string_view set) noexcept {
    if (rest_.empty() || set.find(rest_[0]) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::size_t many(std::string_view set) noexcept {
    const std::size_t end = std::min(rest_.find_first_not_of(set), rest_.size());
    rest_.remove_prefix(end);
    return end;
  }
  bool text(std::string_view expected) noexcept {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

 private:
  std::string_view rest_;
};

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kDigitsAndBar = "0123456789_";

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) noexcept {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_bool(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 18> kWords = {
      "yes",   "Yes",   "YES",   "no", "No", "NO", "true", "True", "TRUE",
      "false", "False", "FALSE", "on", "On", "ON", "off",  "Off",  "OFF"};
  return is_one_of(text, kWords);
}

bool is_null(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 5> kWords = {"", "~", "null", "Null", "NULL"};
  return is_one_of(text, kWords);
}

// (?::[0-5]?[0-9])+
bool sexagesimal_places(Scanner& scan) noexcept {
  std::size_t places = 0;
  for (; scan.one(":"); ++places) {
    const bool low = scan.one("012345");
    if (!scan.one(kDigits) && !low) return false;
  }
  return places > 0;
}

bool is_integer(std::string_view text) noexcept {
  Scanner sign(text);
  sign.one("+-");
  if (Scanner scan = sign; scan.text("0b")) return scan.many("01_") > 0 && scan.done();
  if (Scanner scan = sign; scan.text("0x"))
    return scan.many("0123456789abcdefABCDEF_") > 0 && scan.done();
  if (Scanner scan = sign; scan.one("0")) return (scan.many("01234567_"), scan.done());
  Scanner scan = sign;
  if (!scan.one("123456789")) return false;
  scan.many(kDigitsAndBar);
  return scan.done() || (sexagesimal_places(scan) && scan.done());
}

// (?:[eE][-+][0-9]+)?$
bool exponent_and_end(Scanner& scan) noexcept {
  if (scan.one("eE") && !(scan.one("+-") && scan.many(kDigits) > 0)) return false;
  return scan.done();
}

bool is_real(std::string_view text) noexcept {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  Scanner sign(text);
  const bool is_signed = sign.one("+-");
  if (Scanner scan = sign; scan.text(".inf") || scan.text(".Inf") || scan.text(".INF"))
    return scan.done();
  if (Scanner scan(text); !is_signed && scan.one("."))
    return scan.one(kDigits) && (scan.many(kDigitsAndBar), exponent_and_end(scan));
  Scanner scan = sign;
  if (!scan.one(kDigits)) return false;
  scan.many(kDigitsAndBar);
  if (Scanner plain = scan; plain.one("."))
    return (plain.many(kDigitsAndBar), exponent_and_end(plain));
  return sexagesimal_places(scan) && scan.one(".") && (scan.many(kDigitsAndBar), scan.done());
}

bool digits(Scanner& scan, std::size_t least, std::size_t most) noexcept {
  std::size_t count = 0;
  while (count < most && scan.one(kDigits)) ++count;
  return count >= least;
}

// [Tt]|[ \t]+ and HH:MM:SS with an optional fraction and zone.
bool time_and_end(Scanner& scan) noexcept {
  if (!scan.one("Tt") && scan.many(" \t") == 0) return false;
  if (!digits(scan, 1, 2) || !scan.one(":") || !digits(scan, 2, 2) || !scan.one(":") ||
      !digits(scan, 2, 2))
    return false;
  if (scan.one(".")) scan.many(kDigits);
  if (scan.done()) return true;
  scan.many(" \t");
  if (scan.one("Z")) return scan.done();
  if (!scan.one("+-") || !digits(scan, 1, 2)) return false;
  if (scan.one(":") && !digits(scan, 2, 2)) return false;
  return scan.done();
}

bool is_date(std::string_view text) noexcept {
  Scanner scan(text);
  if (!digits(scan, 4, 4) || !scan.one("-")) return false;
  Scanner day = scan;
  if (digits(day, 2, 2) && day.one("-") && digits(day, 2, 2) && day.done()) return true;
  return digits(scan, 1, 2) && scan.one("-") && digits(scan, 1, 2) && time_and_end(scan);
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(ErrorKind::usage, "'" + printable(text, 60) + "' " + std::string(why));
}

std::string without_bars(std::string_view text) {
  std::string plain(text);
  plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  return plain;
}

// PyYAML's construct_yaml_int.
Value make_integer(std::string_view text) {
  const std::string plain = without_bars(text);
  std::string_view number = plain;
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.remove_prefix(1);
  std::optional<std::string> decimal;
  if (number.starts_with("0b")) {
    decimal = decimal_from(number.substr(2), 2);
  } else if (number.starts_with("0x")) {
    decimal = decimal_from(number.substr(2), 16);
  } else if (number.size() > 1 && number.starts_with('0')) {
    decimal = decimal_from(number, 8);
  } else if (number.find(':') != std::string_view::npos) {
    decimal = decimal_from_sexagesimal(number);
  } else {
    decimal = decimal_from(number, 10);
  }
  if (!decimal) refuse(text, "is no integer, or one of too many digits: quote it to make it text");
  return Value::integer(negative && *decimal != "0" ? "-" + *decimal : *decimal);
}

// PyYAML's construct_yaml_float.
Value make_real(std::string_view text) {
  const std::string plain = to_lower(without_bars(text));
  std::string_view number = plain;
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.remove_prefix(1);
  double value = 0;
  if (number == ".inf") {
    value = std::numeric_limits<double>::infinity();
  } else if (number == ".nan") {
    return std::numeric_limits<double>::quiet_NaN();
  } else if (number.find(':') != std::string_view::npos) {
    for (const std::string_view place : split(number, ':')) value = value * 60 + parse_real(place);
  } else {
    value = parse_real(number);
  }
  return negative ? -value : value;
}

Value make_bool(std::string_view text) {
  const std::string lower = to_lower(text);
  if (lower == "yes" || lower == "true" || lower == "on") return true;
  if (lower == "no" || lower == "false" || lower == "off") return false;
  refuse(text, "is not true or false");
}

// An unquoted integer may stand where a !!float is asked for: float("3").
bool is_real_text(std::string_view text) noexcept {
  Scanner scan(text);
  scan.one("+-");
  return is_real(text) || (scan.many(kDigits) > 0 && scan.done());
}

}  // namespace

ScalarType resolve_scalar(std::string_view text) noexcept {
  if (is_null(text)) return ScalarType::null;
  if (is_bool(text)) return ScalarType::boolean;
  if (is_real(text)) return ScalarType::real;
  if (is_integer(text)) return ScalarType::integer;
  if (is_date(text)) return ScalarType::date;
  if (text == "<<") return ScalarType::merge;
  if (text == "=") return ScalarType::value;
  return ScalarType::string;
}

Value typed_scalar(std::string_view text) { return scalar_of_type(resolve_scalar(text), text); }

Value scalar_of_type(ScalarType type, std::string_view text) {
  Value value;
  switch (type) {
    case ScalarType::null:
      return value;
    case ScalarType::boolean:
      value = make_bool(text);
      break;
    case ScalarType::integer:
      if (!is_integer(text)) refuse(text, "is no integer");
      value = make_integer(text);
      break;
    case ScalarType::real:
      if (!is_real_text(text)) refuse(text, "is no number");
      value = make_real(text);
      break;
    case ScalarType::date:
      if (!is_date(text)) refuse(text, "is no date");
      value = Value::date(std::string(text));
      break;
    case ScalarType::merge:
    case ScalarType::value:
    case ScalarType::string:
      return std::string(text);
  }
  value.set_written(std::string(text));
  return value;
}

}  // namespace tug::step
