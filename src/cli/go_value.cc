#include "cli/go_value.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxWidth = 10'000;
constexpr std::size_t kMaxText = 16'000'000;

Error usage(std::string text) { return Error(ErrorKind::usage, std::move(text)); }

void append(std::string& text, std::string_view more) {
  if (more.size() > kMaxText - std::min(text.size(), kMaxText))
    throw Error(ErrorKind::limit, "a text has more than " + human_bytes(kMaxText));
  text += more;
}

// --- time ----------------------------------------------------------------------------------------

struct GoTime {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  std::string fraction;  // digits
  int offset_minutes = 0;

  [[nodiscard]] std::chrono::sys_days date() const {
    return std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  }
};

// The number of exactly `count` digits at the front of `text`, which loses them.
std::optional<unsigned> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  const auto number = parse_uint(text.substr(0, count));
  text.remove_prefix(count);
  return number ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<GoTime> parse_time(std::string_view text) {
  GoTime time;
  const auto part = [&](unsigned& value, std::size_t digits, char before) {
    if (before != '\0' && !take(text, before)) return false;
    const auto number = take_digits(text, digits);
    value = number.value_or(0);
    return number.has_value();
  };
  unsigned year = 0;
  if (!part(year, 4, '\0') || !part(time.month, 2, '-') || !part(time.day, 2, '-') ||
      !part(time.hour, 2, 'T') || !part(time.minute, 2, ':') || !part(time.second, 2, ':'))
    return std::nullopt;
  time.year = static_cast<int>(year);
  if (take(text, '.')) {
    time.fraction = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
    text.remove_prefix(time.fraction.size());
    if (time.fraction.empty() || time.fraction.size() > 9) return std::nullopt;
  }
  if (!take(text, 'Z')) {
    const bool is_west = text.starts_with('-');
    unsigned hours = 0;
    unsigned minutes = 0;
    if (!part(hours, 2, is_west ? '-' : '+') || !part(minutes, 2, ':') || hours > 23 ||
        minutes > 59)
      return std::nullopt;
    time.offset_minutes = static_cast<int>(hours * 60 + minutes) * (is_west ? -1 : 1);
  }
  const bool is_date =
      (std::chrono::year(time.year) / std::chrono::month(time.month) / std::chrono::day(time.day))
          .ok();
  if (!text.empty() || !is_date || time.hour > 23 || time.minute > 59 || time.second > 59)
    return std::nullopt;
  return time;
}

GoTime time_of(std::string_view text) {
  if (auto time = parse_time(text)) return std::move(*time);
  throw usage(fmt::format("\"{}\" is no time", printable(text, 60)));
}

constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                   "May",       "June",     "July",     "August",
                                                   "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};

std::string offset_text(const GoTime& time, bool with_colon) {
  const int minutes = std::abs(time.offset_minutes);
  return fmt::format("{}{:02}{}{:02}", time.offset_minutes < 0 ? '-' : '+', minutes / 60,
                     with_colon ? ":" : "", minutes % 60);
}

// The fraction of a second, as ".000" (all digits) or ".999" (without zeros at the end) ask for it.
std::string fraction_text(const GoTime& time, std::string_view element) {
  std::string digits = time.fraction;
  digits.resize(element.size() - 1, '0');
  if (element.ends_with('9')) digits.erase(digits.find_last_not_of('0') + 1);
  return digits.empty() ? "" : element.front() + digits;
}

// One element of a layout; nullopt: the text stands for itself.
struct LayoutElement {
  std::string_view name;
  std::string (*text)(const GoTime&);
};

unsigned hour12(const GoTime& time) { return time.hour % 12 == 0 ? 12 : time.hour % 12; }

std::string_view weekday(const GoTime& time) {
  return kDays[std::chrono::weekday(time.date()).c_encoding()];
}

// The longer of two that begin alike comes first.
constexpr LayoutElement kElements[]{
    {"January", [](const GoTime& t) { return std::string(kMonths[t.month - 1]); }},
    {"Jan", [](const GoTime& t) { return std::string(kMonths[t.month - 1].substr(0, 3)); }},
    {"Monday", [](const GoTime& t) { return std::string(weekday(t)); }},
    {"Mon", [](const GoTime& t) { return std::string(weekday(t).substr(0, 3)); }},
    {"MST",
     [](const GoTime& t) {
       return t.offset_minutes == 0 ? std::string("UTC") : offset_text(t, false);
     }},
    {"2006", [](const GoTime& t) { return fmt::format("{:04}", t.year); }},
    {"-07:00", [](const GoTime& t) { return offset_text(t, true); }},
    {"-0700", [](const GoTime& t) { return offset_text(t, false); }},
    {"Z07:00",
     [](const GoTime& t) {
       return t.offset_minutes == 0 ? std::string("Z") : offset_text(t, true);
     }},
    {"01", [](const GoTime& t) { return fmt::format("{:02}", t.month); }},
    {"02", [](const GoTime& t) { return fmt::format("{:02}", t.day); }},
    {"03", [](const GoTime& t) { return fmt::format("{:02}", hour12(t)); }},
    {"04", [](const GoTime& t) { return fmt::format("{:02}", t.minute); }},
    {"05", [](const GoTime& t) { return fmt::format("{:02}", t.second); }},
    {"06", [](const GoTime& t) { return fmt::format("{:02}", t.year % 100); }},
    {"15", [](const GoTime& t) { return fmt::format("{:02}", t.hour); }},
    {"PM", [](const GoTime& t) { return std::string(t.hour < 12 ? "AM" : "PM"); }},
    {"pm", [](const GoTime& t) { return std::string(t.hour < 12 ? "am" : "pm"); }},
    {"_2", [](const GoTime& t) { return fmt::format("{:2}", t.day); }},
    {"1", [](const GoTime& t) { return fmt::format("{}", t.month); }},
    {"2", [](const GoTime& t) { return fmt::format("{}", t.day); }},
    {"3", [](const GoTime& t) { return fmt::format("{}", hour12(t)); }},
    {"4", [](const GoTime& t) { return fmt::format("{}", t.minute); }},
    {"5", [](const GoTime& t) { return fmt::format("{}", t.second); }},
};

// ".000" or ",999" at the front of `layout`, when no further digit follows; else "".
std::string_view fraction_element(std::string_view layout) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',')) return {};
  if (layout[1] != '0' && layout[1] != '9') return {};
  const auto end = std::min(layout.find_first_not_of(layout[1], 1), layout.size());
  const bool digit_follows = end < layout.size() && layout[end] >= '0' && layout[end] <= '9';
  return digit_follows ? std::string_view() : layout.substr(0, end);
}

// --- printf --------------------------------------------------------------------------------------

struct Verb {
  bool minus = false;
  bool plus = false;
  bool zero = false;
  bool space = false;
  bool with_names = false;  // %+v: of a structure's fields
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char letter = '\0';
};

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string padded(std::string text, const Verb& verb, bool with_zeros) {
  const std::size_t have = characters(text);
  if (have >= verb.width) return text;
  const std::size_t missing = verb.width - have;
  if (verb.minus) return text + std::string(missing, ' ');
  if (!with_zeros) return std::string(missing, ' ') + text;
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  return text.substr(0, sign) + std::string(missing, '0') + text.substr(sign);
}

std::string first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count-- > 0)
    at += std::max<std::size_t>(utf8_length(text.substr(at)), 1);
  return std::string(text.substr(0, at));
}

std::string hex(std::string_view text, bool upper) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return result;
}

std::string integer_text(const Verb& verb, std::int64_t number) {
  const bool negative = number < 0;
  const auto bits = static_cast<std::uint64_t>(number);
  const std::uint64_t magnitude = negative ? ~bits + 1 : bits;
  std::string digits = verb.letter == 'x'   ? fmt::format("{:x}", magnitude)
                       : verb.letter == 'X' ? fmt::format("{:X}", magnitude)
                                            : fmt::format("{}", magnitude);
  if (verb.precision && digits.size() < *verb.precision)
    digits.insert(0, *verb.precision - digits.size(), '0');
  return (negative ? "-" : verb.plus ? "+" : verb.space ? " " : "") + digits;
}

// One value that is neither list, map nor structure; nullopt: the verb is not for such a value.
std::optional<std::string> scalar(const Verb& verb, const GoValue& value) {
  const bool as_usual = verb.letter == 'v';
  switch (value.kind()) {
    case GoValue::Kind::none:
    case GoValue::Kind::nil:
      if (as_usual) return padded("<nil>", verb, false);
      return fmt::format("%!{}(<nil>)", verb.letter);
    case GoValue::Kind::boolean:
      if (as_usual || verb.letter == 't') return padded(go_text(value), verb, false);
      return std::nullopt;
    case GoValue::Kind::real:
      if (as_usual) return padded(go_text(value), verb, false);
      return std::nullopt;
    case GoValue::Kind::integer:
      if (as_usual || verb.letter == 'd' || verb.letter == 'x' || verb.letter == 'X') {
        return padded(integer_text(verb, value.json->as_int().value_or(0)), verb,
                      verb.zero && !verb.precision);
      }
      if (verb.letter == 'q')
        throw usage("printf: %q of a number is not supported by this version of tug");
      return std::nullopt;
    case GoValue::Kind::string:
    case GoValue::Kind::time: {
      const bool is_string = value.kind() == GoValue::Kind::string;
      std::string text = is_string ? std::string(value.as_text()) : go_text(value);
      if (verb.precision) text = first_characters(text, *verb.precision);
      if (as_usual || verb.letter == 's') return padded(std::move(text), verb, verb.zero);
      if (verb.letter == 'q') return padded(go_quoted(text), verb, verb.zero);
      if (verb.letter == 'x' || verb.letter == 'X')
        return padded(hex(text, verb.letter == 'X'), verb, verb.zero);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::string formatted(const Verb& verb, const GoValue& value) {
  std::string result;
  const auto next = [&](const std::string& text) {
    if (result.size() > 1 && result.back() != '[') result += ' ';
    append(result, text);
  };
  switch (value.kind()) {
    case GoValue::Kind::list:
      result = "[";
      if (const Json::Array* items = value.json->as_array()) {
        for (const Json& item : *items) next(formatted(verb, value.element(item)));
      }
      return result + "]";
    case GoValue::Kind::map:
      result = "map[";
      for (const Json::Member* member : sorted_members(*value.json)) {
        const Json key(member->first);
        next(formatted(verb, {&key, &GoType::string()}) + ":" +
             formatted(verb, value.element(member->second)));
      }
      return result + "]";
    case GoValue::Kind::structure: {
      result = "{";
      bool is_first = true;
      for (const GoField& field : value.type->fields) {
        static const Json kAbsent;
        const Json* found = value.json->find(field.member);
        if (!std::exchange(is_first, false)) result += ' ';
        if (verb.with_names) result += fmt::format("{}:", field.name);
        append(result, formatted(verb, {found == nullptr ? &kAbsent : found, field.type}));
      }
      return result + "}";
    }
    default:
      break;
  }
  if (auto text = scalar(verb, value)) return std::move(*text);
  return fmt::format("%!{}({}={})", verb.letter, value.type_name(), go_text(value));
}

// The number at the front of `text`, which loses it.
std::optional<std::size_t> take_number(std::string_view& text) {
  const auto length = std::min(text.find_first_not_of("0123456789"), text.size());
  if (length == 0) return std::nullopt;
  const auto number = parse_uint(text.substr(0, length));
  if (!number || *number > kMaxWidth)
    throw usage(fmt::format("printf: no width may be over {}", kMaxWidth));
  text.remove_prefix(length);
  return static_cast<std::size_t>(*number);
}

// What stands behind a '%'.
Verb take_verb(std::string_view& text) {
  Verb verb;
  for (; !text.empty(); text.remove_prefix(1)) {
    const char c = text.front();
    if (c == '-')
      verb.minus = true;
    else if (c == '+')
      verb.plus = true;
    else if (c == '0')
      verb.zero = true;
    else if (c == ' ')
      verb.space = true;
    else
      break;
  }
  verb.width = take_number(text).value_or(0);
  if (take(text, '.')) verb.precision = take_number(text).value_or(0);
  if (text.empty()) return verb;
  const std::size_t length = std::max<std::size_t>(utf8_length(text), 1);
  if (length > 1 || std::string_view("vsdqtxXT%").find(text.front()) == std::string_view::npos) {
    throw usage(fmt::format("printf: %{} is not supported by this version of tug",
                            printable(text.substr(0, length))));
  }
  verb.letter = text.front();
  verb.with_names = verb.letter == 'v' && std::exchange(verb.plus, verb.plus && verb.letter != 'v');
  text.remove_prefix(1);
  return verb;
}

// --- columns -------------------------------------------------------------------------------------

class Columns {
 public:
  explicit Columns(std::string_view text) {
    for (const std::string_view line : split(text, '\n')) {
      lines_.push_back(split(line, '\t'));
      if (lines_.back().size() > kMostCells)
        throw Error(ErrorKind::limit, fmt::format("a table has at most {} columns", kMostCells));
    }
  }
  std::string write() {
    align(0, lines_.size());
    return std::move(result_);
  }

 private:
  static constexpr std::size_t kLeast = 12;
  static constexpr std::size_t kPadding = 2;
  static constexpr std::size_t kMostCells = 256;

  // Lines that follow each other and have a cell in a column, one that a tab ends, are as wide
  // there as the widest of them. The stack is as deep as a line has cells.
  void align(std::size_t from, std::size_t end) {
    const std::size_t column = widths_.size();
    const auto has_cell = [&](std::size_t line) { return column + 1 < lines_[line].size(); };
    for (std::size_t line = from; line < end; ++line) {
      if (!has_cell(line)) continue;
      write_lines(from, line);
      from = line;
      std::size_t width = kLeast;
      for (; line < end && has_cell(line); ++line)
        width = std::max(width, characters(lines_[line][column]) + kPadding);
      widths_.push_back(width);
      align(from, line);
      widths_.pop_back();
      from = line;
    }
    write_lines(from, end);
  }

  void write_lines(std::size_t from, std::size_t end) {
    for (; from < end; ++from) {
      for (std::size_t cell = 0; cell < lines_[from].size(); ++cell) {
        const std::string_view text = lines_[from][cell];
        result_ += text;
        if (cell < widths_.size()) result_.append(widths_[cell] - characters(text), ' ');
      }
      if (from + 1 < lines_.size()) result_ += '\n';
    }
  }

  std::vector<std::vector<std::string_view>> lines_;
  std::vector<std::size_t> widths_;
  std::string result_;
};

}  // namespace

// --- types ---------------------------------------------------------------------------------------

const GoType& GoType::any() {
  static const GoType type{Kind::any, "interface {}"};
  return type;
}
const GoType& GoType::boolean() {
  static const GoType type{Kind::boolean, "bool"};
  return type;
}
const GoType& GoType::integer() {
  static const GoType type{Kind::integer, "int64"};
  return type;
}
const GoType& GoType::string() {
  static const GoType type{Kind::string, "string"};
  return type;
}
const GoType& GoType::digest() {
  static const GoType type{Kind::digest, "digest.Digest"};
  return type;
}
const GoType& GoType::time() {
  static const GoType type{Kind::time, "*time.Time"};
  return type;
}
const GoType& GoType::strings() {
  static const GoType type{Kind::list, "[]string", &string()};
  return type;
}
const GoType& GoType::string_map() {
  static const GoType type{Kind::map, "map[string]string", &string()};
  return type;
}

// JSON of another kind than the type says is what it is: a stranger wrote it.
GoValue::Kind GoValue::kind() const noexcept {
  if (json == nullptr) return Kind::none;
  if (json->is_null()) {
    switch (type->kind) {
      case GoType::Kind::any:
      case GoType::Kind::time:
        return Kind::nil;
      case GoType::Kind::boolean:
        return Kind::boolean;
      case GoType::Kind::integer:
        return Kind::integer;
      case GoType::Kind::string:
      case GoType::Kind::digest:
        return Kind::string;
      case GoType::Kind::list:
        return Kind::list;
      case GoType::Kind::map:
        return Kind::map;
      case GoType::Kind::structure:
        return Kind::structure;
    }
  }
  if (json->is_object()) return type->kind == GoType::Kind::structure ? Kind::structure : Kind::map;
  if (json->is_array()) return Kind::list;
  if (json->is_string()) {
    return type->kind == GoType::Kind::time && parse_time(*json->as_string()) ? Kind::time
                                                                              : Kind::string;
  }
  if (json->as_bool()) return Kind::boolean;
  return json->as_int() ? Kind::integer : Kind::real;
}

std::string GoValue::type_name() const {
  if (type->kind != GoType::Kind::any) return type->name;
  switch (kind()) {
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float64";
    case Kind::string:
      return "string";
    case Kind::list:
      return "[]interface {}";
    case Kind::map:
      return "map[string]interface {}";
    default:
      return "<nil>";
  }
}

GoValue GoValue::element(const Json& item) const noexcept {
  return {&item, type->element == nullptr ? &GoType::any() : type->element};
}

std::string_view GoValue::as_text() const noexcept {
  const std::string* text = json == nullptr ? nullptr : json->as_string();
  return text == nullptr ? std::string_view() : *text;
}

std::size_t GoValue::size() const noexcept {
  if (json == nullptr) return 0;
  if (const Json::Array* items = json->as_array()) return items->size();
  if (const Json::Object* members = json->as_object()) return members->size();
  return as_text().size();
}

bool GoValue::truth() const noexcept {
  switch (kind()) {
    case Kind::none:
    case Kind::nil:
      return false;
    case Kind::boolean:
      return json->as_bool().value_or(false);
    case Kind::integer:
    case Kind::real:
      return json->as_double().value_or(0) != 0;
    case Kind::time:
    case Kind::structure:
      return true;
    default:
      return size() != 0;
  }
}

Json sorted(Json value) {
  if (Json::Object* object = value.as_object()) {
    std::sort(object->begin(), object->end(),
              [](const Json::Member& a, const Json::Member& b) { return a.first < b.first; });
  }
  return value;
}

std::vector<const Json::Member*> sorted_members(const Json& map) {
  std::vector<const Json::Member*> members;
  if (const Json::Object* object = map.as_object()) {
    for (const Json::Member& member : *object) members.push_back(&member);
  }
  std::sort(members.begin(), members.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });
  return members;
}

// --- text ----------------------------------------------------------------------------------------

std::string go_text(const GoValue& value) {
  switch (value.kind()) {
    case GoValue::Kind::none:
    case GoValue::Kind::nil:
      return "<nil>";
    case GoValue::Kind::boolean:
      return value.truth() ? "true" : "false";
    case GoValue::Kind::integer:
      return std::to_string(value.json->as_int().value_or(0));
    case GoValue::Kind::real:
      return value.json->dump();
    case GoValue::Kind::string:
      return std::string(value.as_text());
    case GoValue::Kind::time:
      return go_time_text(value.as_text(), "2006-01-02 15:04:05.999999999 -0700 MST");
    default: {
      Verb verb;
      verb.letter = 'v';
      return formatted(verb, value);
    }
  }
}

std::string go_json(const GoValue& value) {
  switch (value.kind()) {
    case GoValue::Kind::none:
      return "null";
    case GoValue::Kind::boolean:
      return go_text(value);
    case GoValue::Kind::integer:
      return go_text(value);
    case GoValue::Kind::string:
      return Json(value.as_text()).dump();
    case GoValue::Kind::map:
      return sorted(*value.json).dump();
    default:
      return value.json->dump();
  }
}

std::string go_quoted(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const char c = text.front();
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t length = utf8_length(text);
    constexpr std::string_view kLetters = "\a\b\f\n\r\t\v";
    if (const auto letter = kLetters.find(c); letter != std::string_view::npos) {
      result += '\\';
      result += "abfnrtv"[letter];
    } else if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7f || length == 0) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result + "\"";
}

// A space between two neither of which is a string.
std::string go_print(const std::vector<GoValue>& values) {
  std::string result;
  bool was_string = true;
  for (const GoValue& value : values) {
    const bool is_string = value.kind() == GoValue::Kind::string;
    if (!is_string && !was_string) result += ' ';
    append(result, go_text(value));
    was_string = is_string;
  }
  return result;
}

std::string go_println(const std::vector<GoValue>& values) {
  std::string result;
  for (const GoValue& value : values)
    append(result, (&value == values.data() ? "" : " ") + go_text(value));
  return result + "\n";
}

std::string go_printf(std::string_view format, const std::vector<GoValue>& values) {
  std::string result;
  std::size_t used = 0;
  while (!format.empty()) {
    const std::size_t literal = std::min(format.find('%'), format.size());
    result += format.substr(0, literal);
    format.remove_prefix(literal);
    if (!take(format, '%')) break;
    const Verb verb = take_verb(format);
    if (verb.letter == '\0') {
      result += "%!(NOVERB)";
    } else if (verb.letter == '%') {
      result += '%';
    } else if (used == values.size()) {
      result += fmt::format("%!{}(MISSING)", verb.letter);
    } else if (verb.letter == 'T') {
      append(result, padded(values[used++].type_name(), verb, false));
    } else {
      append(result, formatted(verb, values[used++]));
    }
  }
  if (used == values.size()) return result;
  const char* separator = "%!(EXTRA ";
  for (; used < values.size(); ++used) {
    const std::string name = values[used].type_name();
    append(result, std::exchange(separator, ", ") + name);
    if (name != "<nil>") append(result, "=" + go_text(values[used]));
  }
  return result + ")";
}

std::string go_time_text(std::string_view text, std::string_view layout) {
  const GoTime time = time_of(text);
  std::string result;
  while (!layout.empty()) {
    if (const std::string_view fraction = fraction_element(layout); !fraction.empty()) {
      result += fraction_text(time, fraction);
      layout.remove_prefix(fraction.size());
      continue;
    }
    const auto* const found = std::find_if(
        std::begin(kElements), std::end(kElements),
        [&](const LayoutElement& element) { return layout.starts_with(element.name); });
    if (found == std::end(kElements)) {
      result += layout.front();
      layout.remove_prefix(1);
    } else {
      result += found->text(time);
      layout.remove_prefix(found->name.size());
    }
  }
  return result;
}

std::int64_t go_unix_time(std::string_view text) {
  const GoTime time = time_of(text);
  const std::int64_t days = time.date().time_since_epoch().count();
  return ((days * 24 + time.hour) * 60 + time.minute - time.offset_minutes) * 60 + time.second;
}

std::string go_columns(std::string_view text) { return Columns(text).write(); }

}  // namespace tug::cli
