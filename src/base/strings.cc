#include "base/strings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

namespace tug {

namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\f\v";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
// What each character stands for in base64. A table: tar-split streams go through it by the
// megabyte.
constexpr std::uint8_t kNoBase64 = 0x80;
constexpr std::array<std::uint8_t, 256> kBase64Values = [] {
  std::array<std::uint8_t, 256> values{};
  for (std::uint8_t& value : values) value = kNoBase64;
  for (std::size_t i = 0; i < kBase64.size(); ++i)
    values[static_cast<std::uint8_t>(kBase64[i])] = static_cast<std::uint8_t>(i);
  return values;
}();
constexpr std::string_view kEllipsis = "…";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::uint8_t byte_at(std::string_view text, std::size_t index) noexcept {
  return static_cast<std::uint8_t>(text[index]);
}

}  // namespace

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

bool starts_with_ignore_case(std::string_view text, std::string_view prefix) noexcept {
  return equals_ignore_case(text.substr(0, prefix.size()), prefix);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += separator;
    result += parts[i];
  }
  return result;
}

std::optional<std::uint64_t> parse_uint(std::string_view text) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

// --- printable ---

namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // bytes; 0 when the text does not begin with valid UTF-8
};

// The first code point, by Unicode 15 table 3-7: no overlong forms, no surrogates, nothing over
// U+10FFFF.
CodePoint decode_utf8(std::string_view text) noexcept {
  const std::uint8_t lead = byte_at(text, 0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  auto value = static_cast<char32_t>(lead & (0xffU >> (length + 1)));
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t next = byte_at(text, i);
    if ((next & 0xc0U) != 0x80) return {};
    value = (value << 6U) | (next & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[length] || surrogate || value > 0x10ffff) return {};
  return {value, length};
}

bool is_space_or_break(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// Steers the terminal, turns the direction of what follows, or cannot be seen.
bool is_deceptive(char32_t c) noexcept {
  struct Range {
    char32_t first, last;
  };
  constexpr std::array<Range, 10> kRanges = {{
      {0x00, 0x1f},        // C0
      {0x7f, 0x9f},        // DEL, C1
      {0x061c, 0x061c},    // Arabic letter mark
      {0x200b, 0x200f},    // zero width, left-to-right and right-to-left marks
      {0x202a, 0x202e},    // bidi embeddings and overrides
      {0x2060, 0x206f},    // word joiner, invisible operators, bidi isolates
      {0xfeff, 0xfeff},    // zero-width no-break space
      {0xfff9, 0xfffb},    // interlinear annotation
      {0xe0000, 0xe007f},  // tags
      {0xfdd0, 0xfdef},    // non-characters
  }};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
  return text.empty() ? 0 : decode_utf8(text).length;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string result;
  std::size_t cut = 0;  // the longest end of `result` that leaves room for the ellipsis
  while (!text.empty()) {
    const CodePoint c = decode_utf8(text);
    const std::size_t length = std::max<std::size_t>(c.length, 1);
    if (c.length == 0 || (is_deceptive(c.value) && !is_space_or_break(c.value))) {
      result += '?';
    } else if (is_space_or_break(c.value)) {
      result += ' ';
    } else {
      result += text.substr(0, length);
    }
    if (result.size() + kEllipsis.size() <= max_bytes) cut = result.size();
    if (result.size() > max_bytes) return result.substr(0, cut).append(kEllipsis);
    text.remove_prefix(length);
  }
  return result;
}

// --- encodings ---

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(3, bytes.size()))) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = (group << 8U) | (i < bytes.size() ? byte_at(bytes, i) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= bytes.size() ? kBase64[(group >> (18U - 6U * i)) & 0x3fU] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  const std::size_t tail = text.size() % 4;
  if (tail == 1 || (padding > 0 && tail + padding != 4)) return std::nullopt;
  std::string bytes(text.size() * 3 / 4, '\0');
  std::size_t filled = 0;
  std::uint32_t invalid = 0;
  const auto decode_group = [&](std::string_view digits) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint32_t value = i < digits.size() ? kBase64Values[byte_at(digits, i)] : 0U;
      invalid |= value;
      group = group << 6U | (value & 0x3fU);
    }
    for (std::size_t i = 0; i + 1 < digits.size(); ++i)
      bytes[filled++] = static_cast<char>(group >> (16U - 8U * i) & 0xffU);
  };
  for (; text.size() >= 4; text.remove_prefix(4)) decode_group(text.substr(0, 4));
  if (!text.empty()) decode_group(text);
  if ((invalid & kNoBase64) != 0) return std::nullopt;
  return bytes;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool unreserved = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      result += c;
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      result += '%';
      result += kDigits[byte >> 4U];
      result += kDigits[byte & 0xfU];
    }
  }
  return result;
}

// --- typing errors ---

namespace {

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substitution, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string single_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string counted(std::uint64_t count, std::string_view noun) {
  std::string text = std::to_string(count) + " " + std::string(noun);
  return count == 1 ? text : text + "s";
}

std::string nearest(std::string_view text, const std::vector<std::string>& candidates) {
  // Nobody mistypes a name this long; a stranger's text must not cost quadratic time.
  constexpr std::size_t kLongest = 100;
  if (text.empty() || text.size() > kLongest) return {};
  const std::size_t allowed = text.size() <= 2   ? 0
                              : text.size() <= 5 ? 1
                              : text.size() <= 8 ? 2
                                                 : 3;
  std::size_t best = allowed + 1;
  std::string result;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const std::size_t distance = edit_distance(text, candidate);
    if (distance >= best) continue;
    best = distance;
    result = candidate;
  }
  return result;
}

// --- the rest ---

std::optional<std::string> env(const char* name) {
  const char* const value =
      std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here ever calls setenv
  if (value == nullptr) return std::nullopt;
  return value;
}

std::optional<std::string> env_nonempty(const char* name) {
  std::optional<std::string> value = env(name);
  if (value && value->empty()) value.reset();
  return value;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) noexcept {
  constexpr std::string_view kPrefixes = "kmgt";
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_uint(text.substr(0, digits));
  const std::string_view unit = text.substr(digits);
  if (!number || unit.empty() || equals_ignore_case(unit, "b")) return number;
  const std::size_t prefix = kPrefixes.find(to_lower(unit.substr(0, 1)));
  const std::string_view rest = unit.substr(1);
  const bool is_binary = rest.empty() || equals_ignore_case(rest, "ib");
  if (prefix == std::string_view::npos || !(is_binary || equals_ignore_case(rest, "b")))
    return std::nullopt;
  std::uint64_t bytes = *number;
  for (std::size_t i = 0; i <= prefix; ++i) {
    if (__builtin_mul_overflow(bytes, is_binary ? 1024U : 1000U, &bytes)) return std::nullopt;
  }
  return bytes;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::array<std::string_view, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  std::uint64_t size = 1000;
  // Up to the unit in which the rounded number stays below 1000.0.
  while (unit + 1 < kUnits.size() && bytes >= size * 1000 - size / 20) {
    size *= 1000;
    ++unit;
  }
  const std::uint64_t rest = bytes % size;
  const std::uint64_t tenths = bytes / size * 10 + (rest + size / 20) / (size / 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " +
         std::string(kUnits[unit]);
}

}  // namespace tug
