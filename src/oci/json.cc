#include "oci/json.h"

#include "base/strings.h"
#include "tug/error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tug {

namespace {

[[noreturn]] void fail(std::string message) {
  throw Error(ErrorKind::integrity, std::move(message));
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing
// value - invalid literal; last read: '{x'; expected …" → "syntax error while parsing value -
// invalid literal".
std::string reason_of(std::string_view what) {
  for (const std::string_view mark :
       {std::string_view("] "), std::string_view("column "), std::string_view(": ")}) {
    const auto at = what.find(mark);
    if (at != std::string_view::npos) what.remove_prefix(at + mark.size());
  }
  what = what.substr(0, std::min(what.find("; last read"), what.find("; expected")));
  return printable(what, 200);
}

// The first key that an object has twice. By sorting, because an object of a stranger may have
// 500,000 members.
const std::string* duplicate_key(const Json::Object& members) {
  std::vector<const std::string*> keys;
  keys.reserve(members.size());
  for (const auto& [key, value] : members) keys.push_back(&key);
  std::sort(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a < *b; });
  const auto twice = std::adjacent_find(keys.begin(), keys.end(),
                                        [](const auto* a, const auto* b) { return *a == *b; });
  return twice == keys.end() ? nullptr : *twice;
}

}  // namespace

// Receives nlohmann's events and builds the tree. The parser itself does not recurse, so a deep
// document costs nothing before start_object/start_array refuses it.
class JsonBuilder {
 public:
  using Native = nlohmann::json;

  explicit JsonBuilder(const Json::Limits& limits)
      : max_depth_(std::min(limits.max_depth, Json::kMaxDepth)), values_left_(limits.max_values) {}
  Json take() { return std::move(root_); }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(Native::number_integer_t value) { return add(Json(value)); }
  bool number_unsigned(Native::number_unsigned_t value) { return add(Json(value)); }
  bool number_float(Native::number_float_t value, const std::string& text) {
    Json number;
    number.value_ = Json::Real{value, text};
    return add(std::move(number));
  }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(Native::binary_t&) { return false; }  // not in text

  bool start_object(std::size_t) { return open(Json(Json::Object())); }
  bool key(std::string& name) {
    open_.back()->as_object()->emplace_back(std::move(name), Json());
    return true;
  }
  bool end_object() {
    if (const auto* key = duplicate_key(*open_.back()->as_object())) {
      fail(fmt::format("duplicate key \"{}\" in a JSON object", printable(*key, 100)));
    }
    open_.pop_back();
    return true;
  }
  bool start_array(std::size_t) { return open(Json(Json::Array())); }
  bool end_array() {
    open_.pop_back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) {
    fail(fmt::format("not valid JSON at byte {}: {}", position, reason_of(error.what())));
  }

 private:
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= max_depth_) {
      fail(fmt::format("JSON nested more than {} levels deep", max_depth_));
    }
    // The pointer stays good: its parent gets no further item before this container is closed.
    open_.push_back(place(std::move(container)));
    return true;
  }
  Json* place(Json value) {
    if (values_left_ == 0) fail("JSON with too many values");
    --values_left_;
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (auto* items = open_.back()->as_array()) return &items->emplace_back(std::move(value));
    auto& member = open_.back()->as_object()->back().second;
    member = std::move(value);
    return &member;
  }

  Json root_;
  std::vector<Json*> open_;  // the containers around the next value, outermost first
  std::size_t max_depth_;
  std::size_t values_left_;
};

Json Json::parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.max_bytes) {
    fail(fmt::format("JSON of {} bytes is over the limit of {}", text.size(), limits.max_bytes));
  }
  if (trim(text).empty()) fail("not valid JSON: it is empty");
  if (trim(text).front() == '<') {
    fail("not JSON: it begins with \"<\", as an HTML or XML page does");
  }
  // nlohmann/json would skip the mark, and take a NUL for the end of the text and what follows as
  // not there.
  if (text.starts_with("\xEF\xBB\xBF")) fail("not valid JSON: it begins with a byte order mark");
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    fail(fmt::format("not valid JSON at byte {}: a NUL byte", nul + 1));
  }
  JsonBuilder builder(limits);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

bool Json::is_number() const noexcept {
  return std::holds_alternative<std::int64_t>(value_) ||
         std::holds_alternative<std::uint64_t>(value_) || std::holds_alternative<Real>(value_);
}

const Json* Json::find(std::string_view key) const noexcept {
  const auto* members = as_object();
  if (members == nullptr) return nullptr;
  const auto found = std::find_if(members->begin(), members->end(),
                                  [&](const Member& m) { return m.first == key; });
  return found == members->end() ? nullptr : &found->second;
}

Json* Json::find(std::string_view key) noexcept {
  return const_cast<Json*>(std::as_const(*this).find(key));
}

void Json::set(std::string_view key, Json value) {
  if (!is_object()) value_ = Object();
  if (Json* member = find(key)) {
    *member = std::move(value);
  } else {
    as_object()->emplace_back(std::string(key), std::move(value));
  }
}

void Json::erase(std::string_view key) {
  if (auto* members = as_object())
    std::erase_if(*members, [&](const Member& m) { return m.first == key; });
}

std::optional<bool> Json::as_bool() const noexcept {
  const auto* value = std::get_if<bool>(&value_);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::uint64_t> Json::as_uint() const noexcept {
  const auto* value = std::get_if<std::uint64_t>(&value_);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::int64_t> Json::as_int() const noexcept {
  if (const auto* negative = std::get_if<std::int64_t>(&value_)) return *negative;
  const auto value = as_uint();
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::optional<double> Json::as_double() const noexcept {
  if (const auto* real = std::get_if<Real>(&value_)) return real->value;
  if (const auto* negative = std::get_if<std::int64_t>(&value_))
    return static_cast<double>(*negative);
  if (const auto value = as_uint()) return static_cast<double>(*value);
  return std::nullopt;
}

std::optional<std::string> Json::string_member(std::string_view key) const {
  const Json* member = find(key);
  const auto* text = member != nullptr ? member->as_string() : nullptr;
  return text != nullptr ? std::optional(*text) : std::nullopt;
}

std::string Json::string_or_empty(std::string_view key) const {
  return string_member(key).value_or(std::string());
}

namespace {

// One ASCII character of a string, escaped where it must be or Go would.
void append_ascii(std::string& out, char c, bool escape_html) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const bool html = escape_html && (c == '<' || c == '>' || c == '&');
  if (static_cast<unsigned char>(c) < 0x20 || html) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  } else {
    out += c;
  }
}

void append_string(std::string& out, std::string_view text, bool escape_html) {
  out += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto character = text.substr(0, std::max<std::size_t>(length, 1));
    if (length == 0) {
      out += "\\ufffd";
    } else if (length == 1) {
      append_ascii(out, character[0], escape_html);
    } else if (escape_html && (character == "\u2028" || character == "\u2029")) {
      out += character == "\u2028" ? "\\u2028" : "\\u2029";
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  out += '"';
}

// The shortest text that reads back as the same number; always marked as no integer.
std::string real_text(double value) {
  if (!std::isfinite(value)) return "null";
  std::string text = fmt::format("{}", value);  // std::to_chars brings 130 KB of tables
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

// Writes a tree. One object a document: it holds the output and the style.
class JsonWriter {
 public:
  explicit JsonWriter(const Json::DumpStyle& style) : style_(style) {}
  std::string take() { return std::move(out_); }

  void write(const Json& json) { std::visit(*this, json.value_); }

  void operator()(std::monostate) { out_ += "null"; }
  void operator()(bool value) { out_ += value ? "true" : "false"; }
  void operator()(std::int64_t value) { out_ += std::to_string(value); }
  void operator()(std::uint64_t value) { out_ += std::to_string(value); }
  void operator()(const std::string& value) { append_string(out_, value, style_.escape_html); }
  void operator()(const Json::Array& items) {
    list('[', ']', items, [&](const Json& item) { write(item); });
  }
  void operator()(const Json::Object& members) {
    list('{', '}', members, [&](const Json::Member& member) {
      append_string(out_, member.first, style_.escape_html);
      out_ += style_.indent < 0 ? ":" : ": ";
      write(member.second);
    });
  }
  void operator()(const Json::Real& real) {
    out_ += real.text.empty() ? real_text(real.value) : real.text;
  }

 private:
  template <typename Items, typename Write>
  void list(char open, char close, const Items& items, Write&& write) {
    out_ += open;
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) out_ += ',';
      new_line();
      write(item);
    }
    --level_;
    if (!items.empty()) new_line();
    out_ += close;
  }
  void new_line() {
    if (style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(level_) * static_cast<std::size_t>(style_.indent),
                style_.indent_char);
  }

  Json::DumpStyle style_;
  std::string out_;
  int level_ = 0;
};

std::string Json::dump(const DumpStyle& style) const {
  JsonWriter writer(style);
  writer.write(*this);
  return writer.take();
}

}  // namespace tug
