#include "registry/challenge.h"

#include "base/strings.h"

#include <algorithm>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxLineBytes = 8 * 1024;

bool is_alnum(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
bool is_token_char(char c) noexcept {
  return is_alnum(c) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
bool is_token68_char(char c) noexcept {
  return is_alnum(c) || (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}
bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

// A cursor over one header line; every step stays inside it.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] bool at(char c) const noexcept { return !rest_.empty() && rest_.front() == c; }
  bool take(char c) noexcept {
    if (!at(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  template <typename Predicate>
  std::string_view take_while(Predicate predicate) noexcept {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), predicate);
    const auto taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  bool skip_blanks() noexcept { return !take_while(is_blank).empty(); }
  // Blanks and the empty elements that a list may have: ", ,".
  void skip_separators() noexcept {
    take_while([](char c) { return is_blank(c) || c == ','; });
  }
  std::string_view token() noexcept { return take_while(is_token_char); }

  // token68 fills its challenge alone: it is one only if the list or the line ends behind it.
  bool token68() noexcept {
    Scanner ahead = *this;
    if (ahead.take_while(is_token68_char).empty()) return false;
    ahead.take_while([](char c) { return c == '='; });
    ahead.skip_blanks();
    if (!ahead.at_end() && !ahead.at(',')) return false;
    *this = ahead;
    return true;
  }
  // Whether `token BWS =` comes next: a parameter, not the scheme of a new challenge.
  [[nodiscard]] bool param_follows() const noexcept {
    Scanner ahead = *this;
    if (ahead.token().empty()) return false;
    ahead.skip_blanks();
    return ahead.at('=');
  }
  // The text of a quoted-string, unescaped; nullopt when it is not closed or has CR, LF or NUL in
  // it.
  std::optional<std::string> quoted_string() {
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!at_end()) {
      char c = next();
      if (c == '"') return text;
      if (c == '\\') {
        if (at_end()) return std::nullopt;
        c = next();
      }
      if (c == '\r' || c == '\n' || c == '\0') return std::nullopt;
      text.push_back(c);
    }
    return std::nullopt;
  }

 private:
  char next() noexcept {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  std::string_view rest_;
};

bool parse_param(Scanner& in, Challenge& challenge) {
  std::string name = to_lower(in.token());
  in.skip_blanks();
  if (name.empty() || !in.take('=')) return false;
  in.skip_blanks();
  std::optional<std::string> value;
  if (in.at('"')) {
    value = in.quoted_string();
  } else if (const std::string_view token = in.token(); !token.empty()) {
    value = std::string(token);
  }
  if (!value) return false;
  if (!challenge.param(name)) challenge.params.emplace_back(std::move(name), std::move(*value));
  return true;
}

// What follows the scheme. False at a fault.
bool parse_rest(Scanner& in, Challenge& challenge) {
  const bool blank = in.skip_blanks();
  if (in.at_end() || in.at(',')) return true;
  if (!blank) return false;
  if (in.token68()) return true;
  for (;;) {
    if (!parse_param(in, challenge)) return false;
    in.skip_blanks();
    if (in.at_end()) return true;
    if (!in.take(',')) return false;
    in.skip_separators();
    if (!in.param_follows()) return true;
  }
}

void parse_line(std::string_view line, std::vector<Challenge>& challenges) {
  Scanner in(line.substr(0, kMaxLineBytes));
  while (challenges.size() < kMaxChallenges) {
    in.skip_separators();
    Challenge challenge{to_lower(in.token()), {}};
    if (challenge.scheme.empty() || !parse_rest(in, challenge)) return;
    challenges.push_back(std::move(challenge));
  }
}

}  // namespace

std::optional<std::string_view> Challenge::param(std::string_view name) const noexcept {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<Challenge> parse_challenges(const std::vector<std::string_view>& header_lines) {
  std::vector<Challenge> challenges;
  for (const std::string_view line : header_lines) parse_line(line, challenges);
  return challenges;
}

const Challenge* choose_challenge(const std::vector<Challenge>& challenges) noexcept {
  const Challenge* basic = nullptr;
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme == "bearer" && !challenge.param("realm").value_or("").empty())
      return &challenge;
    if (challenge.scheme == "basic" && basic == nullptr) basic = &challenge;
  }
  return basic;
}

}  // namespace tug::registry
