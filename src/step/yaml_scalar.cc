#include "step/yaml_scalar.h"

#include "base/strings.h"
#include "step/yaml_types.h"

#include <algorithm>
#include <string_view>

namespace tug::step {
namespace {

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

// PyYAML's analyze_scalar, as far as block style needs it.
void analyse(ScalarText& scalar) {
  const std::u32string& text = scalar.text;
  if (text.empty()) return;
  bool special = false;  // only double quotes can hold it
  bool break_then_space = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const char32_t last = i > 0 ? text[i - 1] : U'x';
    if (is_break(c)) scalar.multiline = true;
    if (c != U'\n' && !is_plain_ascii(c)) special = true;
    if (c == U' ' && is_break(last)) break_then_space = true;
    if (is_break(c) && last == U' ') special = true;
  }
  const auto is_edge = [](char32_t c) { return c == U' ' || is_break(c); };
  scalar.allow_single_quoted = !special && !break_then_space;
  scalar.allow_plain = scalar.allow_plain && scalar.allow_single_quoted && !scalar.multiline &&
                       !is_edge(text.front()) && !is_edge(text.back()) &&
                       !has_block_indicator(text);
}

std::string real_text(const Value& value) {
  std::string text = value.repr();
  if (text == "inf" || text == "nan") return "." + text;
  if (text == "-inf") return "-.inf";
  // YAML 1.1 wants a point in a float: 1e+17 would be text.
  const std::size_t e = text.find('e');
  if (e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

// Its text and the name of its type in YAML.
struct Represented {
  std::string text;
  std::string_view tag;
};

Represented represent(const Value& value) {
  switch (value.type()) {
    case Value::Type::null:
      return {"null", "!!null"};
    case Value::Type::boolean:
      return {*value.as_bool() ? "true" : "false", "!!bool"};
    case Value::Type::real:
      return {real_text(value), "!!float"};
    case Value::Type::date:
      return {value.str(), "!!timestamp"};
    case Value::Type::integer:
      return {value.str(), "!!int"};
    default:
      return {value.str(), "!!str"};
  }
}

}  // namespace

ScalarText scalar_text(const Value& value) {
  const Represented represented = represent(value);
  ScalarText scalar;
  scalar.text = code_points(represented.text);
  scalar.tag_length = represented.tag.size();
  scalar.allow_plain = !value.is_string() || resolve_scalar(represented.text) == ScalarType::string;
  analyse(scalar);
  return scalar;
}

}  // namespace tug::step
