#include "step/yaml_writer.h"

#include "step/yaml_scalar.h"

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
      scalar(scalar_text(value), is_simple_key);
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
    const ScalarText scalar = scalar_text(key);
    return scalar.tag_length + scalar.text.size() < kLongest && !scalar.text.empty() &&
           !scalar.multiline;
  }

  void scalar(const ScalarText& scalar, bool is_simple_key) {
    const auto outer = indent_;
    indent_ = indent_.value_or(0) + kIndent;
    const bool split = !is_simple_key;  // a key stays on its line
    if (scalar.allow_plain) {
      plain(scalar.text, split);
    } else if (scalar.allow_single_quoted) {
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
