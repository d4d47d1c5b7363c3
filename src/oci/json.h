// JSON: a small value tree in front of nlohmann/json, whose API only json.cc knows.
//
// parse() is strict about what strangers send: bounded bytes, depth and number of values, no
// duplicate keys, valid UTF-8. Objects keep the order of their members and numbers that are not
// integers keep their spelling, so that dump() of a changed document changes nothing else. A value;
// destruction, copying and dump() recurse, which the limit on depth makes safe.
#ifndef TUG_OCI_JSON_H_
#define TUG_OCI_JSON_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace tug {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(double value) : value_(Real{value, {}}) {}  // NaN and infinities are dumped as null
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Json(T value) {
    // Only a negative number is an int64, so that equal numbers are equal values.
    if constexpr (std::is_signed_v<T>) {
      if (value < 0) {
        value_ = static_cast<std::int64_t>(value);
        return;
      }
    }
    value_ = static_cast<std::uint64_t>(value);
  }
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  static Json object(std::initializer_list<Member> members = {}) { return Json(Object(members)); }
  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }

  struct Limits {
    std::size_t max_bytes = std::size_t{4} * 1024 * 1024;
    std::size_t max_depth = 64;  // at most kMaxDepth, whatever is asked for
    // A value costs about 50 bytes in memory and can be 2 bytes in the text: this bounds the
    // memory.
    std::size_t max_values = 1'000'000;
  };
  static constexpr std::size_t kMaxDepth = 1000;
  // Throws Error(integrity) saying what and at which byte (counted from 1); callers add which
  // document.
  static Json parse(std::string_view text, const Limits& limits);
  static Json parse(std::string_view text) { return parse(text, Limits{}); }

  [[nodiscard]] bool is_null() const noexcept {
    return std::holds_alternative<std::monostate>(value_);
  }
  [[nodiscard]] bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
  [[nodiscard]] bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  [[nodiscard]] bool is_string() const noexcept {
    return std::holds_alternative<std::string>(value_);
  }
  [[nodiscard]] bool is_number() const noexcept;

  // The member, or nullptr when this is no object or has none of that name.
  [[nodiscard]] const Json* find(std::string_view key) const noexcept;
  [[nodiscard]] Json* find(std::string_view key) noexcept;
  // Adds the member at the end, or replaces its value in place.
  void set(std::string_view key, Json value);
  void erase(std::string_view key);

  // The value if it is of that type.
  [[nodiscard]] const std::string* as_string() const noexcept {
    return std::get_if<std::string>(&value_);
  }
  [[nodiscard]] const Array* as_array() const noexcept { return std::get_if<Array>(&value_); }
  [[nodiscard]] Array* as_array() noexcept { return std::get_if<Array>(&value_); }
  [[nodiscard]] const Object* as_object() const noexcept { return std::get_if<Object>(&value_); }
  [[nodiscard]] Object* as_object() noexcept { return std::get_if<Object>(&value_); }
  [[nodiscard]] std::optional<bool> as_bool() const noexcept;
  // A whole number written without fraction or exponent, as Go reads one into an integer.
  [[nodiscard]] std::optional<std::uint64_t> as_uint() const noexcept;
  [[nodiscard]] std::optional<std::int64_t> as_int() const noexcept;
  [[nodiscard]] std::optional<double> as_double() const noexcept;  // any number

  // Member look-ups in one go: the string member `key`, or "" (nullopt) when absent or of another
  // type.
  [[nodiscard]] std::string string_or_empty(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> string_member(std::string_view key) const;

  struct DumpStyle {
    int indent = -1;  // -1: compact; else so many `indent_char` per level
    char indent_char = ' ';
    bool escape_html =
        false;  // <, >, & and U+2028/9 as \u003c …, as Go's encoding/json writes them
  };
  // Always valid UTF-8 (invalid bytes in a string of ours become \ufffd), members in their order;
  // escapes, empty
  // `{}` and `[]` as Go's encoding/json writes them.
  [[nodiscard]] std::string dump(const DumpStyle& style) const;
  [[nodiscard]] std::string dump() const { return dump(DumpStyle{}); }

  friend bool operator==(const Json&, const Json&) = default;

 private:
  friend class JsonBuilder;  // both in json.cc
  friend class JsonWriter;

  // A number that is no 64-bit integer. `text` is its spelling in the parsed document, "" for one
  // of ours.
  struct Real {
    double value;
    std::string text;
    friend bool operator==(const Real& a, const Real& b) noexcept { return a.value == b.value; }
  };
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, Real, std::string, Array, Object>
      value_;
};

}  // namespace tug

#endif  // TUG_OCI_JSON_H_
