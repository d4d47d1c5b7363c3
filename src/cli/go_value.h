// Values as a Go program would hold them, and the text that its fmt package makes of them. A value
// is a JSON value seen through a type: the type says what JSON does not, whether an object is a
// struct or a map, and what a member that was left out is.
#ifndef TUG_CLI_GO_VALUE_H_
#define TUG_CLI_GO_VALUE_H_

#include "oci/json.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

struct GoType;

struct GoField {
  const char* name;    // as templates say it
  const char* member;  // as JSON has it
  const GoType* type;
};

struct GoType {
  enum class Kind { any, boolean, integer, string, digest, time, list, map, structure };
  Kind kind;
  const char* name;  // "[]string": for messages and for what fmt writes of a wrong verb
  const GoType* element = nullptr;
  std::vector<GoField> fields = {};  // of a structure, in their order

  // What the JSON is by itself; an object is a map.
  static const GoType& any();
  static const GoType& boolean();
  static const GoType& integer();
  static const GoType& string();
  static const GoType& digest();
  static const GoType& time();  // RFC 3339
  static const GoType& strings();
  static const GoType& string_map();
};

// A view: neither is owned. The default is no value at all, as of a key that a map does not have.
struct GoValue {
  enum class Kind { none, nil, boolean, integer, real, string, time, list, map, structure };
  const Json* json = nullptr;
  const GoType* type = &GoType::any();

  [[nodiscard]] Kind kind() const noexcept;
  [[nodiscard]] std::string type_name() const;
  // Of a list or a map, or nothing.
  [[nodiscard]] GoValue element(const Json& item) const noexcept;
  [[nodiscard]] std::string_view as_text() const noexcept;  // of a string
  [[nodiscard]] std::size_t size() const noexcept;          // of a string, list or map
  [[nodiscard]] bool truth() const noexcept;                // as {{if}} sees it
};

// Objects that are maps in Go (labels, ports, volumes), the way its encoder writes them: by key.
Json sorted(Json value);
// The members of a map, by key.
std::vector<const Json::Member*> sorted_members(const Json& map);

// What fmt.Sprint makes of it ("%v").
std::string go_text(const GoValue& value);
// What encoding/json makes of it, with the characters of HTML as they are.
std::string go_json(const GoValue& value);
// A string literal ("%q").
std::string go_quoted(std::string_view text);
// fmt.Sprint and fmt.Sprintln.
std::string go_print(const std::vector<GoValue>& values);
std::string go_println(const std::vector<GoValue>& values);
// fmt.Sprintf, with %v %s %d %q %t %x %X %T %%, the flags "-+0 " and numbers for width and
// precision. Throws Error(usage) naming a verb that is none of these.
std::string go_printf(std::string_view format, const std::vector<GoValue>& values);
// time.Time's Format, with the elements that layouts are usually made of. Throws Error(usage) when
// `time` is no time.
std::string go_time_text(std::string_view time, std::string_view layout);
// Seconds since 1970. The same.
std::int64_t go_unix_time(std::string_view time);

// text/tabwriter with a cell's least width 12 and a padding of two spaces: columns that tabs end.
std::string go_columns(std::string_view text);

}  // namespace tug::cli

#endif  // TUG_CLI_GO_VALUE_H_
