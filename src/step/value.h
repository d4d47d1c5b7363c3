// A value of the step's configuration as Python sees it, because the contract is written in
// Python's terms: what YAML 1.1 types, what str() pastes into a reference, what repr() shows in a
// message and what == calls a conflict (step-contract 1.1, 1.3, 1.5, 2.4).
//
// A value type. Beside its content it remembers where it stood (for messages and for sops) and,
// when it was an unquoted scalar that YAML typed, the text as written (for "quote it" and for
// passwords). Neither takes part in ==. Destruction and copying recurse; the parser bounds the
// depth.
#ifndef TUG_STEP_VALUE_H_
#define TUG_STEP_VALUE_H_

#include "oci/json.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace tug::step {

// Where a value stands: a file, then a key or a list position below its parent.
struct Place {
  std::shared_ptr<const Place> parent;  // null: `part` is the file's path
  std::string part;                     // a key, or the digits of a position
  bool is_text = true;                  // false: a position, or a key that is no string

  [[nodiscard]] const std::string& file() const;
  // "step-runner-config.push-container-image[0].config.container-image-tag"
  [[nodiscard]] std::string dotted() const;
  // ["step-runner-config"]["push-container-image"][0]["config"]: what sops --extract takes (2.5).
  [[nodiscard]] std::string sops_path() const;
};

// What stands for the file of a value that --step-config gives.
inline constexpr std::string_view kStepConfigSource = "--step-config";

class Value {
 public:
  using List = std::vector<Value>;
  using Entry = std::pair<Value, Value>;
  using Map = std::vector<Entry>;  // in order of insertion, keys distinct as Python compares them
  enum class Type { null, boolean, integer, real, string, date, list, map };

  Value() = default;  // None
  Value(bool value) : content_(value) {}
  Value(double value) : content_(value) {}
  Value(const char* text) : content_(std::string(text)) {}
  Value(std::string_view text) : content_(std::string(text)) {}
  Value(std::string text) : content_(std::move(text)) {}
  Value(List items) : content_(std::move(items)) {}
  Value(Map entries) : content_(std::move(entries)) {}
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Value(T value)
      : content_(Integer{std::to_string(value)}) {}
  // Any size: `digits` is canonical decimal ("-12", no leading zero, no "-0"). Requires that.
  static Value integer(std::string digits);
  // A YAML timestamp, kept as it is written: all the step does with one is to refuse it (1.3).
  static Value date(std::string text);
  static Value map(Map entries = {}) { return Value(std::move(entries)); }
  static Value list(List items = {}) { return Value(std::move(items)); }

  [[nodiscard]] Type type() const noexcept { return static_cast<Type>(content_.index()); }
  [[nodiscard]] bool is_null() const noexcept { return type() == Type::null; }
  [[nodiscard]] bool is_string() const noexcept { return type() == Type::string; }
  [[nodiscard]] bool is_list() const noexcept { return type() == Type::list; }
  [[nodiscard]] bool is_map() const noexcept { return type() == Type::map; }
  // "null", "true or false", "a number", "text", "a date", "a list", "a mapping": for messages.
  [[nodiscard]] std::string_view type_name() const noexcept;

  // The content if it is of that type.
  [[nodiscard]] std::optional<bool> as_bool() const noexcept;
  [[nodiscard]] std::optional<double> as_real() const noexcept;
  [[nodiscard]] const std::string* as_string() const noexcept;
  [[nodiscard]] const List* as_list() const noexcept { return std::get_if<List>(&content_); }
  [[nodiscard]] List* as_list() noexcept { return std::get_if<List>(&content_); }
  [[nodiscard]] const Map* as_map() const noexcept { return std::get_if<Map>(&content_); }
  [[nodiscard]] Map* as_map() noexcept { return std::get_if<Map>(&content_); }

  // The entry under the string `key`, or nullptr when this is no mapping or has none.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  [[nodiscard]] Value* find(std::string_view key) noexcept;
  // Adds the entry at the end, or replaces its value in place, as a dict does. Null becomes a
  // mapping.
  void set(const Value& key, Value value);

  // bool(value): false for None, False, 0, 0.0 and what is empty.
  [[nodiscard]] bool truthy() const noexcept;
  // str(value) and repr(value).
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::string repr() const;
  // For JSON output: an integer beyond 64 bits and a date become text, keys are str().
  [[nodiscard]] Json to_json() const;
  static Value from_json(const Json& json);

  // Python's ==: 1 == True == 1.0, 0 != "0"; mappings without regard to order.
  friend bool operator==(const Value& a, const Value& b) noexcept;

  // The text of a scalar that was typed although nobody quoted it ("1.10"); "" for anything else.
  [[nodiscard]] const std::string& written() const noexcept { return written_; }
  void set_written(std::string text) { written_ = std::move(text); }

  [[nodiscard]] const std::shared_ptr<const Place>& place() const noexcept { return place_; }
  // Marks this value and everything below as standing at `place`.
  void set_place(const std::shared_ptr<const Place>& place);
  // "PATH.TO.KEY in FILE", or "" for a value that is in no file.
  [[nodiscard]] std::string where() const;

 private:
  struct Integer {
    std::string digits;
  };
  struct Date {
    std::string text;
  };
  std::variant<std::monostate, bool, Integer, double, std::string, Date, List, Map> content_;
  std::string written_;
  std::shared_ptr<const Place> place_;
};

// repr() of a Python str: 'it', "it's", 'it\'s "so"', '\n'. Invalid UTF-8 becomes \x...
std::string python_repr(std::string_view text);

}  // namespace tug::step

#endif  // TUG_STEP_VALUE_H_
