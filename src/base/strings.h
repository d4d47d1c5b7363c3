// Text: small pure helpers that more than one layer needs.
#ifndef TUG_BASE_STRINGS_H_
#define TUG_BASE_STRINGS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

std::string_view trim(std::string_view text) noexcept;  // ASCII white space
std::vector<std::string_view> split(std::string_view text, char separator);
std::string to_lower(std::string_view text);  // ASCII
bool equals_ignore_case(std::string_view a, std::string_view b) noexcept;
bool starts_with_ignore_case(std::string_view text, std::string_view prefix) noexcept;
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Decimal digits only, no sign, no overflow.
std::optional<std::uint64_t> parse_uint(std::string_view text) noexcept;

// Text of strangers made fit for a terminal and a log: control characters (C0, C1, DEL, newlines),
// bidi overrides and invalid UTF-8 become '?' or ' ', and what is over `max_bytes` is cut on a
// character's border and ends in "…".
std::string printable(std::string_view text, std::size_t max_bytes = 500);

// How many bytes the valid UTF-8 character has that `text` begins with; 0 when it begins with none.
std::size_t utf8_length(std::string_view text) noexcept;
bool is_utf8(std::string_view text) noexcept;

// RFC 4648. Decoding accepts missing padding; nullopt for anything else that is not base64.
std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// Percent-encodes everything but RFC 3986 unreserved characters.
std::string percent_encode(std::string_view text);

// In single quotes, as POSIX shells read them.
std::string single_quoted(std::string_view text);

// "1 blob", "3 blobs"
std::string counted(std::uint64_t count, std::string_view noun);

// The nearest of `candidates` within an edit distance that is a likely typing error; "" when none
// is.
std::string nearest(std::string_view text, const std::vector<std::string>& candidates);

// The environment variable, or nullopt when it is unset. (One place for getenv, so that it is
// called before threads start or read-only.)
std::optional<std::string> env(const char* name);
// The same, but an empty value counts as unset.
std::optional<std::string> env_nonempty(const char* name);

// A number of bytes as people write it: "1048576", "16M" and "16MiB" (powers of 1024), "16MB"
// (powers of 1000), with k, m, g or t in either case; nullopt for anything else.
std::optional<std::uint64_t> parse_bytes(std::string_view text) noexcept;
// "12.3 MB", decimal units, for people.
std::string human_bytes(std::uint64_t bytes);

}  // namespace tug

#endif  // TUG_BASE_STRINGS_H_
