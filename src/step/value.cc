#include "step/value.h"

#include "base/strings.h"
#include "step/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tug::step {

// --- places ---

namespace {

// From the file's child down to `place`.
std::vector<const Place*> path_to(const Place& place) {
  std::vector<const Place*> path;
  for (const Place* at = &place; at->parent; at = at->parent.get()) path.push_back(at);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace

const std::string& Place::file() const {
  const Place* at = this;
  while (at->parent) at = at->parent.get();
  return at->part;
}

std::string Place::dotted() const {
  std::string text;
  for (const Place* at : path_to(*this)) {
    if (!at->is_text) {
      text += "[" + at->part + "]";
      continue;
    }
    if (!text.empty()) text += '.';
    text += printable(at->part, 200);
  }
  return text;
}

std::string Place::sops_path() const {
  std::string text;
  for (const Place* at : path_to(*this))
    text += at->is_text ? "[\"" + at->part + "\"]" : "[" + at->part + "]";
  return text;
}

// --- making and reading ---

Value Value::integer(std::string digits) {
  Value value;
  value.content_ = Integer{std::move(digits)};
  return value;
}

Value Value::date(std::string text) {
  Value value;
  value.content_ = Date{std::move(text)};
  return value;
}

std::string_view Value::type_name() const noexcept {
  switch (type()) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "true or false";
    case Type::integer:
    case Type::real:
      return "a number";
    case Type::string:
      return "text";
    case Type::date:
      return "a date";
    case Type::list:
      return "a list";
    case Type::map:
      return "a mapping";
  }
  return "";
}

std::optional<bool> Value::as_bool() const noexcept {
  const bool* value = std::get_if<bool>(&content_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> Value::as_real() const noexcept {
  const double* value = std::get_if<double>(&content_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const std::string* Value::as_string() const noexcept { return std::get_if<std::string>(&content_); }

const Value* Value::find(std::string_view key) const noexcept {
  const Map* map = as_map();
  if (map == nullptr) return nullptr;
  const auto entry = std::find_if(map->begin(), map->end(), [key](const Entry& candidate) {
    const std::string* text = candidate.first.as_string();
    return text != nullptr && *text == key;
  });
  return entry == map->end() ? nullptr : &entry->second;
}

Value* Value::find(std::string_view key) noexcept {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

void Value::set(const Value& key, Value value) {
  if (!is_map()) content_ = Map();
  Map& map = std::get<Map>(content_);
  const auto entry = std::find_if(
      map.begin(), map.end(), [&key](const Entry& candidate) { return candidate.first == key; });
  if (entry == map.end()) {
    map.emplace_back(key, std::move(value));
  } else {
    entry->second = std::move(value);
  }
}

void Value::set_place(const std::shared_ptr<const Place>& place) {
  place_ = place;
  if (List* items = as_list()) {
    for (std::size_t i = 0; i < items->size(); ++i)
      (*items)[i].set_place(std::make_shared<const Place>(Place{place, std::to_string(i), false}));
  } else if (Map* entries = as_map()) {
    for (auto& [key, value] : *entries)
      value.set_place(std::make_shared<const Place>(Place{place, key.str(), key.is_string()}));
  }
}

std::string Value::where() const {
  if (!place_) return {};
  const std::string path = place_->dotted();
  return path.empty() ? place_->file() : path + " in " + place_->file();
}

// --- as Python prints it ---

namespace {

// What str.isprintable() denies, as far as it occurs in names and messages: controls, separators
// other than the space, and marks that cannot be seen.
bool is_printable(char32_t c) noexcept {
  if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad) return false;
  if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f)) return false;
  return !(c >= 0x205f && c <= 0x206f) && c != 0xfeff && c != 0x3000 &&
         !(c >= 0xe000 && c <= 0xf8ff);
}

char32_t code_point(std::string_view character) noexcept {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead;
  char32_t value = lead & (0xffU >> (character.size() + 1));
  for (const char c : character.substr(1))
    value = value << 6U | (static_cast<unsigned char>(c) & 0x3fU);
  return value;
}

std::string escape(char32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  const auto number = static_cast<std::uint32_t>(c);
  if (c < 0x100) return fmt::format("\\x{:02x}", number);
  return c < 0x10000 ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
}

}  // namespace

std::string python_repr(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string result(1, quote);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {  // Python keeps such a byte as a lone surrogate
      result += fmt::format("\\udc{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    const std::string_view character = text.substr(0, length);
    const char32_t c = code_point(character);
    if (c == '\\' || c == static_cast<char32_t>(quote)) result += '\\';
    result += is_printable(c) ? std::string(character) : escape(c);
    text.remove_prefix(length);
  }
  return result + quote;
}

bool Value::truthy() const noexcept {
  switch (type()) {
    case Type::null:
      return false;
    case Type::boolean:
      return std::get<bool>(content_);
    case Type::integer:
      return std::get<Integer>(content_).digits != "0";
    case Type::real:
      return std::get<double>(content_) != 0.0;
    case Type::string:
      return !std::get<std::string>(content_).empty();
    case Type::date:
      return true;
    case Type::list:
      return !std::get<List>(content_).empty();
    case Type::map:
      return !std::get<Map>(content_).empty();
  }
  return false;
}

std::string Value::str() const { return is_string() ? *as_string() : repr(); }

std::string Value::repr() const {
  switch (type()) {
    case Type::null:
      return "None";
    case Type::boolean:
      return std::get<bool>(content_) ? "True" : "False";
    case Type::integer:
      return std::get<Integer>(content_).digits;
    case Type::real:
      return real_repr(std::get<double>(content_));
    case Type::string:
      return python_repr(std::get<std::string>(content_));
    case Type::date:
      return std::get<Date>(content_).text;
    case Type::list: {
      std::vector<std::string> items;
      for (const Value& item : std::get<List>(content_)) items.push_back(item.repr());
      return "[" + join(items, ", ") + "]";
    }
    case Type::map: {
      std::vector<std::string> entries;
      for (const auto& [key, value] : std::get<Map>(content_))
        entries.push_back(key.repr() + ": " + value.repr());
      return "{" + join(entries, ", ") + "}";
    }
  }
  return {};
}

// --- equality ---

namespace {

// Decimal digits of what Python compares as a number, when it is a whole one.
struct Number {
  std::optional<std::string> digits;
  double real = 0;  // meaningful without digits
};

bool same_entries(const Value::Map& a, const Value::Map& b) noexcept {
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&b](const Value::Entry& entry) {
    return std::find(b.begin(), b.end(), entry) != b.end();
  });
}

}  // namespace

bool operator==(const Value& a, const Value& b) noexcept {
  using Type = Value::Type;
  const auto number = [](const Value& value) -> std::optional<Number> {
    if (const auto flag = value.as_bool()) return Number{*flag ? "1" : "0"};
    if (value.type() == Type::integer) return Number{value.repr()};
    if (const auto real = value.as_real()) return Number{whole_digits(*real), *real};
    return std::nullopt;
  };
  if (const auto left = number(a)) {
    const auto right = number(b);
    if (!right || left->digits.has_value() != right->digits.has_value()) return false;
    return left->digits ? left->digits == right->digits : left->real == right->real;
  }
  if (a.type() != b.type()) return false;
  if (a.is_map()) return same_entries(*a.as_map(), *b.as_map());
  if (a.is_list()) return *a.as_list() == *b.as_list();
  return a.str() == b.str();
}

// --- JSON ---

Json Value::to_json() const {
  switch (type()) {
    case Type::null:
      return nullptr;
    case Type::boolean:
      return std::get<bool>(content_);
    case Type::integer: {
      // Json's own parser knows which integers fit; a number that it would round stays text.
      const std::string& digits = std::get<Integer>(content_).digits;
      Json number = Json::parse(digits);
      return number.as_int() || number.as_uint() ? number : Json(digits);
    }
    case Type::real:
      return std::get<double>(content_);
    case Type::string:
    case Type::date:
      return str();
    case Type::list: {
      Json::Array items;
      for (const Value& item : std::get<List>(content_)) items.push_back(item.to_json());
      return items;
    }
    case Type::map: {
      Json::Object members;
      for (const auto& [key, value] : std::get<Map>(content_))
        members.emplace_back(key.str(), value.to_json());
      return members;
    }
  }
  return nullptr;
}

Value Value::from_json(const Json& json) {
  if (const auto flag = json.as_bool()) return *flag;
  if (const std::string* text = json.as_string()) return *text;
  if (json.is_number()) {
    std::string text = json.dump();
    const bool whole = text.find_first_of(".eE") == std::string::npos;
    Value value = whole ? integer(text == "-0" ? "0" : text) : Value(parse_real(text));
    value.set_written(std::move(text));
    return value;
  }
  if (const Json::Array* array = json.as_array()) {
    List items;
    for (const Json& item : *array) items.push_back(from_json(item));
    return items;
  }
  if (const Json::Object* object = json.as_object()) {
    Map entries;
    for (const auto& [key, member] : *object) entries.emplace_back(key, from_json(member));
    return entries;
  }
  return {};
}

}  // namespace tug::step
