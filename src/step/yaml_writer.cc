#include "step/yaml_writer.h"

#include "base/strings.h"
#include "step/yaml_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace tug::step {
namespace {

constexpr int kIndent = 4;
constexpr int kWidth = 80;

// --- which style a scalar may have ---

// PyYAML counts code points; so do we.
std::u32string code_points(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    char32_t point = U'\ufffd';
    if (length > 0) {
      const auto lead = static_cast<unsigned char>(text[0]);
      point = length == 1 ? lead : lead & (0xffU >> (length + 1));
      for (std::size_t i = 1; i < length; ++i)
        point = point << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
    }
    points += point;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return points;
}

bool is_break(char32_t c) noexcept { return c == U'\n' || c == 0x85 || c == 0x2028 || c == 0x2029; }
bool is_blank(char32_t c) noexcept {
  return c == 0 || c == U' ' || c == U'\t' || c == U'\r' || is_break(c);
}
bool is_plain_ascii(char32_t c) noexcept { return c >= 0x20 && c <= 0x7e; }

// What PyYAML's analyze_scalar finds out, as far as block style needs it.
struct Analysis {
  bool multiline = false;
  bool allow_plain = true;
  bool allow_single_quoted = true;
};

// Whether an indicator stands where a plain scalar of block style cannot have it.
bool has_block_indicator(const std::u32string& text) {
  const auto followed_by_blank = [&text](std::size_t i) {
    return i + 1 >= text.size() || is_blank(text[i + 1]);
  };
  if (text.starts_with(U"---") || text.starts_with(U"...")) return true;
  if (std::u32string_view(U"#,[]{}&*!|>'\"%@`").find(text[0]) != std::u32string_view::npos)
    return true;
  if (std::u32string_view(U"?:-").find(text[0]) != std::u32string_view::npos &&
      followed_by_blank(0))
    return true;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == U':' && followed_by_blank(i)) return true;
    if (text[i] == U'#' && is_blank(text[i - 1])) return true;
  }
  return false;
}

Analysis analyse(const std::u32string& text) {
  Analysis analysis;
  if (text.empty()) return analysis;
  bool special = false;  // only double quotes can hold it
  bool break_then_space = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const char32_t last = i > 0 ? text[i - 1] : U'x';
    if (is_break(c)) analysis.multiline = true;
    if (c != U'\n' && !is_plain_ascii(c)) special = true;
    if (c == U' ' && is_break(last)) break_then_space = true;
    if (is_break(c) && last == U' ') special = true;
  }
  const auto is_edge = [](char32_t c) { return c == U' ' || is_break(c); };
  analysis.allow_single_quoted = !special && !break_then_space;
  analysis.allow_plain = analysis.allow_single_quoted && !analysis.multiline &&
                         !is_edge(text.front()) && !is_edge(text.back()) &&
                         !has_block_indicator(text);
  return analysis;
}

// --- scalars as text ---

// What PyYAML's representers make of a scalar, and the length of its tag ("!!str"), which counts
// when a key is judged too long.
struct Scalar {
  std::u32string text;
  bool may_be_plain = true;  // read back without quotes it has the same type
  std::size_t tag_length = 5;
};

std::string real_text(const Value& value) {
  std::string text = value.repr();
  if (text == "inf" || text == "nan") return "." + text;
  if (text == "-inf") return "-.inf";
  // YAML 1.1 wants a point in a float: 1e+17 would be text.
  const std::size_t e = text.find('e');
  if (e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

Scalar scalar_of(const Value& value) {
  switch (value.type()) {
    case Value::Type::null:
      return {U"null", true, 6};
    case Value::Type::boolean:
      return {*value.as_bool() ? U"true" : U"false", true, 6};
    case Value::Type::real:
      return {code_points(real_text(value)), true, 7};
    case Value::Type::date:
      return {code_points(value.str()), true, 11};
    case Value::Type::string:
      return {code_points(*value.as_string()),
              resolve_scalar(*value.as_string()) == ScalarType::string, 5};
    default:
      return {code_points(value.str()), true, 5};
  }
}

bool is_collection(const Value& value) noexcept { return value.is_list() || value.is_map(); }
bool is_empty_collection(const Value& value) noexcept {
  return is_collection(value) && !value.truthy();
}

// --- the emitter ---

// PyYAML's Emitter for block style. The names of its state are kept, so that the two can be
// compared: whitespace_ = the last thing written was white space; indention_ = only indentation and
// indicators stand on the line so far.
class Writer {
 public:
  std::string write(const Value& value) {
    node(value, false, false);
    if (column_ > 0) line_break();
    return std::move(out_);
  }

 private:
  void node(const Value& value, bool in_mapping, bool is_simple_key) {
    if (is_empty_collection(value)) {
      indicator(value.is_list() ? "[" : "{", true, true);
      indicator(value.is_list() ? "]" : "}", false);
    } else if (value.is_list()) {
      list(*value.as_list(), in_mapping);
    } else if (value.is_map()) {
      map(*value.as_map());
    } else {
      scalar(scalar_of(value), is_simple_key);
    }
  }

  void list(const Value::List& items, bool in_mapping) {
    const auto outer = indent_;
    const bool indentless = in_mapping && !indention_;
    if (!indent_) {
      indent_ = 0;
    } else if (!indentless) {
      *indent_ += kIndent;
    }
    for (const Value& item : items) {
      write_indent();
      indicator("-", true, false, true);
      node(item, false, false);
    }
    indent_ = outer;
  }

  void map(const Value::Map& entries) {
    const auto outer = indent_;
    indent_ = indent_ ? *indent_ + kIndent : 0;
    for (const Value::Entry* entry : sorted(entries)) {
      write_indent();
      if (is_simple_key(entry->first)) {
        node(entry->first, true, true);
        indicator(":", false);
      } else {
        indicator("?", true, false, true);
        node(entry->first, true, false);
        write_indent();
        indicator(":", true, false, true);
      }
      node(entry->second, true, false);
    }
    indent_ = outer;
  }

  // Python sorts what it can compare; keys of several types stay as they are.
  static std::vector<const Value::Entry*> sorted(const Value::Map& entries) {
    std::vector<const Value::Entry*> order;
    for (const Value::Entry& entry : entries) order.push_back(&entry);
    const bool comparable = std::all_of(entries.begin(), entries.end(),
                                        [](const auto& entry) { return entry.first.is_string(); });
    if (comparable)
      std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return *a->first.as_string() < *b->first.as_string();
      });
    return order;
  }

  static bool is_simple_key(const Value& key) {
    constexpr std::size_t kLongest = 128;
    if (is_collection(key)) return is_empty_collection(key);
    const Scalar scalar = scalar_of(key);
    return scalar.tag_length + scalar.text.size() < kLongest && !scalar.text.empty() &&
           !analyse(scalar.text).multiline;
  }

  void scalar(const Scalar& scalar, bool is_simple_key) {
    const auto outer = indent_;
    indent_ = indent_.value_or(0) + kIndent;
    const Analysis analysis = analyse(scalar.text);
    const bool split = !is_simple_key;
    const bool needs_quotes = is_simple_key && (scalar.text.empty() || analysis.multiline);
    if (scalar.may_be_plain && analysis.allow_plain && !needs_quotes) {
      plain(scalar.text, split);
    } else if (analysis.allow_single_quoted && !(is_simple_key && analysis.multiline)) {
      single_quoted(scalar.text, split);
    } else {
      double_quoted(scalar.text, split);
    }
    indent_ = outer;
  }

  void plain(const std::u32string& text, bool split) {
    if (text.empty()) return;
    if (!whitespace_) put(" ");
    whitespace_ = indention_ = false;
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = run(text, start);
      if (text[start] == U' ' && end == start + 1 && column_ > kWidth && split) {
        write_indent();
        whitespace_ = indention_ = false;
      } else {
        put(text, start, end);
      }
      start = end;
    }
  }

  void single_quoted(const std::u32string& text, bool split) {
    indicator("'", true);
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = run(text, start);
      const bool inside = start != 0 && end != text.size();
      if (text[start] == U'\n') {
        line_break();
        for (std::size_t i = start; i < end; ++i) line_break();
        write_indent();
      } else if (text[start] == U' ' && end == start + 1 && column_ > kWidth && split && inside) {
        write_indent();
      } else {
        for (std::size_t i = start; i < end; ++i) {
          put(text, i, i + 1);
          if (text[i] == U'\'') put("'");
        }
      }
      start = end;
    }
    indicator("'", false);
  }

  void double_quoted(const std::u32string& text, bool split) {
    indicator("\"", true);
    std::size_t start = 0;  // what is before is written
    for (std::size_t end = 0; end <= text.size(); ++end) {
      const char32_t c = end < text.size() ? text[end] : 0;
      if (end == text.size() || c == U'"' || c == U'\\' || !is_plain_ascii(c)) {
        put(text, start, end);
        start = end;
        if (end < text.size()) {
          put(escape(c));
          start = end + 1;
        }
      }
      const bool inside = end > 0 && end + 1 < text.size();
      const auto pending = static_cast<int>(end) - static_cast<int>(start);
      if (!split || !inside || (c != U' ' && start < end) || column_ + pending <= kWidth) continue;
      put(text, start, end);
      start = std::max(start, end);
      put("\\");
      write_indent();
      whitespace_ = indention_ = false;
      if (text[start] == U' ') put("\\");
    }
    indicator("\"", false);
  }

  static std::string escape(char32_t c) {
    static constexpr std::array<std::pair<char32_t, char>, 15> kNamed = {{{0, '0'},
                                                                          {7, 'a'},
                                                                          {8, 'b'},
                                                                          {9, 't'},
                                                                          {10, 'n'},
                                                                          {11, 'v'},
                                                                          {12, 'f'},
                                                                          {13, 'r'},
                                                                          {0x1b, 'e'},
                                                                          {U'"', '"'},
                                                                          {U'\\', '\\'},
                                                                          {0x85, 'N'},
                                                                          {0xa0, '_'},
                                                                          {0x2028, 'L'},
                                                                          {0x2029, 'P'}}};
    for (const auto& [point, name] : kNamed)
      if (point == c) return std::string("\\") + name;
    const auto number = static_cast<std::uint32_t>(c);
    if (c <= 0xff) return fmt::format("\\x{:02X}", number);
    return c <= 0xffff ? fmt::format("\\u{:04X}", number) : fmt::format("\\U{:08X}", number);
  }

  // The end of the run of spaces, of breaks or of other characters that begins at `start`.
  static std::size_t run(const std::u32string& text, std::size_t start) {
    const auto kind = [](char32_t c) { return c == U' ' ? 1 : c == U'\n' ? 2 : 3; };
    std::size_t end = start + 1;
    while (end < text.size() && kind(text[end]) == kind(text[start])) ++end;
    return end;
  }

  void indicator(std::string_view text, bool needs_whitespace, bool whitespace = false,
                 bool indention = false) {
    if (!whitespace_ && needs_whitespace) put(" ");
    put(text);
    whitespace_ = whitespace;
    indention_ = indention_ && indention;
  }

  void write_indent() {
    const int indent = indent_.value_or(0);
    if (!indention_ || column_ > indent || (column_ == indent && !whitespace_)) line_break();
    if (column_ >= indent) return;
    put(std::string(static_cast<std::size_t>(indent - column_), ' '));
    whitespace_ = true;
  }

  void line_break() {
    out_ += '\n';
    column_ = 0;
    whitespace_ = indention_ = true;
  }

  void put(std::string_view text) {
    out_ += text;
    column_ += static_cast<int>(text.size());
  }
  // Requires ASCII.
  void put(const std::u32string& text, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) out_ += static_cast<char>(text[i]);
    if (end > begin) column_ += static_cast<int>(end - begin);
  }

  std::string out_;
  int column_ = 0;
  std::optional<int> indent_;
  bool whitespace_ = true;
  bool indention_ = true;
};

}  // namespace

std::string write_yaml(const Value& value) { return Writer().write(value); }

}  // namespace tug::step
