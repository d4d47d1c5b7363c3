#include "cli/semver.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxVersionLength = 256;
constexpr std::size_t kMaxConstraintLength = 4096;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); }
bool is_wildcard(char c) noexcept { return c == 'x' || c == 'X' || c == '*'; }
bool is_identifier(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}
bool is_number(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Reads versions, and what stands around them, from the beginning of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

  bool take(std::string_view text) noexcept {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  template <typename Predicate>
  std::string_view take_while(Predicate predicate) noexcept {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), predicate);
    const auto taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  bool take_blanks() noexcept { return !take_while(is_blank).empty(); }

  // Digits, or (nullopt in the pair) a wildcard; nullopt for neither and for a number that is too
  // large.
  std::optional<std::optional<std::uint64_t>> take_component(bool wildcards) noexcept {
    if (wildcards && !rest_.empty() && is_wildcard(rest_.front())) {
      rest_.remove_prefix(1);
      return std::optional<std::uint64_t>();
    }
    const auto number = parse_uint(take_while(is_digit));
    if (!number) return std::nullopt;
    return std::optional(number);
  }

  // "rc.1" after '-', or "build.5" after '+'; nullopt when a part of it is empty.
  std::optional<std::string> take_identifiers() {
    std::string text;
    do {
      const std::string_view part = take_while(is_identifier);
      if (part.empty()) return std::nullopt;
      if (!text.empty()) text += '.';
      text += part;
    } while (take("."));
    return text;
  }

 private:
  std::string_view rest_;
};

// A number of a prerelease must not begin with 0.
bool is_prerelease(std::string_view text) {
  for (const std::string_view part : split(text, '.'))
    if (part.size() > 1 && part.front() == '0' && is_number(part)) return false;
  return true;
}

struct Partial {
  Version version;
  std::size_t numbers = 0;  // those that were given, 0 to 3
};

// "v1.2.3-rc.1+build" and its shorter forms, with wildcards if they are allowed. What follows a
// wildcard does not count.
std::optional<Partial> take_version(Scanner& scanner, bool wildcards) {
  Partial partial;
  scanner.take("v");
  const std::array<std::uint64_t*, 3> numbers{&partial.version.major, &partial.version.minor,
                                              &partial.version.patch};
  bool is_open = true;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && !scanner.take(".")) break;
    const auto component = scanner.take_component(wildcards);
    if (!component) return std::nullopt;
    if (!*component) is_open = false;
    if (!is_open) continue;
    *numbers[i] = **component;
    partial.numbers = i + 1;
  }
  if (scanner.take("-")) {
    const auto prerelease = scanner.take_identifiers();
    if (!prerelease || !is_prerelease(*prerelease)) return std::nullopt;
    partial.version.prerelease = *prerelease;
  }
  if (scanner.take("+") && !scanner.take_identifiers()) return std::nullopt;
  return partial;
}

// Numbers by value and before words, which go by their bytes.
std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) noexcept {
  const auto number_a = parse_uint(a);
  const auto number_b = parse_uint(b);
  if (number_a && number_b) return *number_a <=> *number_b;
  if (number_a.has_value() != number_b.has_value())
    return number_a ? std::strong_ordering::less : std::strong_ordering::greater;
  return a <=> b;
}

std::strong_ordering compare_prereleases(std::string_view a, std::string_view b) noexcept {
  if (a.empty() || b.empty()) return b.size() <=> a.size();
  while (!a.empty() && !b.empty()) {
    const std::size_t end_a = std::min(a.find('.'), a.size());
    const std::size_t end_b = std::min(b.find('.'), b.size());
    const auto order = compare_identifiers(a.substr(0, end_a), b.substr(0, end_b));
    if (order != 0) return order;
    a.remove_prefix(std::min(end_a + 1, a.size()));
    b.remove_prefix(std::min(end_b + 1, b.size()));
  }
  return a.size() <=> b.size();
}

}  // namespace

std::optional<Version> Version::parse(std::string_view text) {
  if (text.size() > kMaxVersionLength) return std::nullopt;
  Scanner scanner(text);
  auto partial = take_version(scanner, /*wildcards=*/false);
  if (!partial || !scanner.is_at_end()) return std::nullopt;
  return std::move(partial->version);
}

std::strong_ordering operator<=>(const Version& a, const Version& b) noexcept {
  if (a.major != b.major) return a.major <=> b.major;
  if (a.minor != b.minor) return a.minor <=> b.minor;
  if (a.patch != b.patch) return a.patch <=> b.patch;
  return compare_prereleases(a.prerelease, b.prerelease);
}

class VersionConstraint::Reader {
 public:
  // `alternative` has no "||".
  explicit Reader(std::string_view alternative) : text_(alternative), scanner_(alternative) {}

  Conditions read() {
    scanner_.take_blanks();
    read_condition();
    for (;;) {
      bool is_separated = scanner_.take_blanks();
      if (scanner_.is_at_end()) return std::move(conditions_);
      if (scanner_.take(",")) {
        is_separated = true;
        scanner_.take_blanks();
      }
      if (!is_separated) fail();
      read_condition();
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::usage,
                fmt::format("improper constraint: \"{}\"", printable(trim(text_), 100)));
  }

  // nullopt: none is written.
  std::optional<Operator> take_operator() {
    // Longer ones first.
    constexpr std::array<std::pair<std::string_view, Operator>, 11> kOperators{
        {{"!=", Operator::not_equal},
         {">=", Operator::at_least},
         {"=>", Operator::at_least},
         {"<=", Operator::at_most},
         {"=<", Operator::at_most},
         {"~>", Operator::tilde},
         {"~", Operator::tilde},
         {"^", Operator::caret},
         {">", Operator::greater},
         {"<", Operator::less},
         {"=", Operator::equal}}};
    for (const auto& [text, op] : kOperators)
      if (scanner_.take(text)) return op;
    return std::nullopt;
  }

  Condition read_version(Operator op) {
    auto partial = take_version(scanner_, /*wildcards=*/true);
    if (!partial) fail();
    return {op, std::move(partial->version), static_cast<Precision>(partial->numbers)};
  }

  void read_condition() {
    const auto op = take_operator();
    scanner_.take_blanks();
    conditions_.push_back(read_version(op.value_or(Operator::equal)));
    if (op) return;
    // "1.2 - 1.4": with blanks on both sides, else it is a prerelease.
    Scanner ahead = scanner_;
    if (!ahead.take_blanks() || !ahead.take("-") || !ahead.take_blanks()) return;
    scanner_ = ahead;
    conditions_.back().op = Operator::at_least;
    conditions_.push_back(read_version(Operator::at_most));
  }

  const std::string_view text_;
  Scanner scanner_;
  Conditions conditions_;
};

VersionConstraint VersionConstraint::parse(std::string_view text) {
  if (text.size() > kMaxConstraintLength)
    throw Error(ErrorKind::usage, "improper constraint: it is too long");
  VersionConstraint constraint;
  for (;;) {
    const std::size_t bar = text.find("||");
    constraint.alternatives_.push_back(Reader(text.substr(0, bar)).read());
    if (bar == std::string_view::npos) return constraint;
    text.remove_prefix(bar + 2);
  }
}

bool VersionConstraint::allows(const Version& version) const noexcept {
  return std::any_of(alternatives_.begin(), alternatives_.end(), [&](const Conditions& conditions) {
    const auto names_prerelease = [](const Condition& condition) {
      return !condition.version.prerelease.empty();
    };
    return (version.prerelease.empty() ||
            std::any_of(conditions.begin(), conditions.end(), names_prerelease)) &&
           std::all_of(conditions.begin(), conditions.end(),
                       [&](const Condition& condition) { return holds(condition, version); });
  });
}

// What the comparison of a version with one that is not whole means differs from operator to
// operator: ">1.2" is not true for 1.2.3, "<=1.2" is.
bool VersionConstraint::holds(const Condition& condition, const Version& version) noexcept {
  const Version& bound = condition.version;
  const Precision precision = condition.precision;
  const bool is_whole = precision == Precision::patch;
  switch (condition.op) {
    case Operator::equal:
      return is_whole ? version == bound : holds_tilde(condition, version);
    case Operator::not_equal:
      if (is_whole || precision == Precision::none) return version != bound;
      if (version.major != bound.major) return true;
      if (precision == Precision::major) return false;
      return version.minor != bound.minor || version.prerelease != bound.prerelease;
    case Operator::greater:
      if (is_whole || precision == Precision::none) return version > bound;
      if (version.major != bound.major) return version.major > bound.major;
      return precision == Precision::minor && version.minor > bound.minor;
    case Operator::less:
      return version < bound;
    case Operator::at_least:
      return version >= bound;
    case Operator::at_most:
      if (is_whole) return version <= bound;
      if (version.major != bound.major) return version.major < bound.major;
      return precision == Precision::major || version.minor <= bound.minor;
    case Operator::tilde:
      return holds_tilde(condition, version);
    case Operator::caret:
      break;
  }
  return holds_caret(condition, version);
}

bool VersionConstraint::holds_tilde(const Condition& condition, const Version& version) noexcept {
  const Version& bound = condition.version;
  if (version < bound) return false;
  const bool is_exact =
      condition.precision == Precision::none || condition.precision == Precision::patch;
  // ~0.0.0 and ~* mean any version.
  if (is_exact && bound.major == 0 && bound.minor == 0 && bound.patch == 0) return true;
  return version.major == bound.major &&
         (condition.precision == Precision::major || version.minor == bound.minor);
}

bool VersionConstraint::holds_caret(const Condition& condition, const Version& version) noexcept {
  const Version& bound = condition.version;
  const Precision precision = condition.precision;
  if (version < bound) return false;
  if (bound.major > 0 || precision == Precision::major) return version.major == bound.major;
  if (version.major > 0) return false;
  if (bound.minor > 0 || precision == Precision::minor) return version.minor == bound.minor;
  return version.minor == 0 && version.patch == bound.patch;
}

}  // namespace tug::cli
