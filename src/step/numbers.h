// Numbers as Python reads and prints them. Pure functions.
#ifndef TUG_STEP_NUMBERS_H_
#define TUG_STEP_NUMBERS_H_

#include <optional>
#include <string>
#include <string_view>

namespace tug::step {

// Python 3.11 refuses to print integers of more decimal digits; so do we to read them.
inline constexpr std::size_t kMaxIntegerDigits = 4300;

// Canonical decimal for `digits` in `base` (2, 8, 10, 16), without a sign; leading zeros are fine.
// nullopt: no digits, a digit that is none in that base, or a result beyond kMaxIntegerDigits.
std::optional<std::string> decimal_from(std::string_view digits, unsigned base);
// The same for base 60 with decimal places: "190:20:30" is 685230.
std::optional<std::string> decimal_from_sexagesimal(std::string_view text);

// float(text) for plain ASCII decimal notation; beyond the range it is infinite or 0, as in Python.
double parse_real(std::string_view text);
// repr(float): the shortest text that reads back; "1.1", "1e+16", "inf", "nan".
std::string real_repr(double value);
// The decimal digits of a whole `value`, exactly; nullopt when it is not whole.
std::optional<std::string> whole_digits(double value);

}  // namespace tug::step

#endif  // TUG_STEP_NUMBERS_H_
