#include "cli/go_template.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxFormat = 256 * 1024;
constexpr std::size_t kMaxDepth = 100;          // of blocks and parentheses
constexpr std::size_t kMaxSteps = 1'000'000;    // pieces of a template carried out
constexpr std::size_t kMaxOutput = 16'000'000;  // bytes
constexpr std::size_t kMaxMade = 64'000'000;    // bytes of values made on the way

// --- what a template is made of ------------------------------------------------------------------

struct Pipeline;

// One word of a command, and the fields behind it: `.Labels`, `$x.Size`, `"text"`, `(len .)`.
struct Operand {
  enum class Kind { dot, nil, constant, variable, function, pipeline };
  Kind kind = Kind::dot;
  std::string name;  // of a variable or function
  Json constant;
  std::unique_ptr<Pipeline> pipeline;
  std::vector<std::string> fields;
  std::size_t at = 0;  // in the template
};

using Command = std::vector<Operand>;

struct Pipeline {
  std::vector<std::string> declared;  // $i, $v :=
  bool assigns = false;               // $v =
  std::vector<Command> commands;
  std::size_t at = 0;
};

struct Node {
  enum class Kind { text, action, condition, range, with, leave, next };
  Kind kind = Kind::text;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> body;
  std::vector<Node> otherwise;
  std::size_t at = 0;
};

constexpr std::string_view kFunctions[] = {
    "and",    "eq",      "ge",    "gt",    "index", "join",     "json", "le",
    "len",    "lower",   "lt",    "ne",    "not",   "or",       "pad",  "print",
    "printf", "println", "slice", "split", "title", "truncate", "upper"};
// Those that Go or skopeo has and we do not.
constexpr std::string_view kOtherFunctions[] = {"call", "html", "js", "urlquery"};
constexpr std::string_view kOtherKeywords[] = {"block", "define", "template"};

template <typename List>
bool contains(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

class Complaint {
 public:
  explicit Complaint(std::string_view text) : text_(text) {}
  [[nodiscard]] Error error(std::size_t at, std::string_view what,
                            ErrorKind kind = ErrorKind::usage) const {
    const std::string_view before = text_.substr(0, std::min(at, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    return Error(kind, fmt::format("--format: line {}, column {}: {}", line, column, what));
  }

 private:
  std::string_view text_;
};

// --- reading -------------------------------------------------------------------------------------

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), complaint_(text) {}

  std::vector<Node> parse() {
    std::vector<Node> nodes = block();
    if (end_ != End::text)
      fail(end_at_, end_ == End::end ? "unexpected {{end}}" : "unexpected {{else}}");
    return nodes;
  }

 private:
  enum class End { text, end, otherwise };  // how a block ended

  [[noreturn]] void fail(std::size_t at, std::string_view what) const {
    throw complaint_.error(at, what);
  }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  }

  // Nodes up to the {{end}} or {{else}} that is not theirs, or the end of the text.
  std::vector<Node> block() {
    if (++depth_ > kMaxDepth) throw complaint_.error(at_, "too deep", ErrorKind::limit);
    const std::size_t scope = variables_.size();
    std::vector<Node> nodes;
    end_ = End::text;
    while (at_ < text_.size()) {
      add_text(nodes);
      if (at_ == text_.size()) break;
      open();
      if (!is_comment_) {
        if (is_end_of_block()) break;
        nodes.push_back(action());
      }
      end_ = End::text;
    }
    variables_.resize(scope);
    --depth_;
    return nodes;
  }

  void add_text(std::vector<Node>& nodes) {
    const std::size_t start = at_;
    std::string_view text = rest().substr(0, std::min(rest().find("{{"), rest().size()));
    at_ += text.size();
    const bool trims = rest().size() > 3 && rest()[2] == '-' && is_space(rest()[3]);
    if (trim_) text = text.substr(std::min(first_solid(text), text.size()));
    if (trims) text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    trim_ = false;
    if (text.empty()) return;
    Node node;
    node.text = text;
    node.at = start;
    nodes.push_back(std::move(node));
  }
  static std::size_t first_solid(std::string_view text) {
    return text.find_first_not_of(" \t\r\n");
  }

  // Goes behind "{{"; a comment is skipped with its end.
  void open() {
    action_at_ = at_;
    at_ += 2;
    if (rest().size() > 1 && rest()[0] == '-' && is_space(rest()[1])) {
      ++at_;
      if (const auto solid = first_solid(rest());
          rest().substr(solid == rest().npos ? 0 : solid).starts_with("/*"))
        at_ += solid;
    }
    is_comment_ = rest().starts_with("/*");
    if (!is_comment_) return;
    const auto end = rest().find("*/");
    if (end == std::string_view::npos) fail(action_at_, "the comment has no end");
    at_ += end + 2;
    if (!close()) fail(action_at_, "a comment ends with its action: {{/* … */}}");
  }

  // Goes behind "}}" or " -}}" if that is next; white space before it is skipped in any case.
  bool close() {
    skip_space();
    const bool trims = is_trimming_end();
    if (!trims && !rest().starts_with("}}")) return false;
    at_ += trims ? 3 : 2;
    trim_ = trims;
    return true;
  }

  [[nodiscard]] bool is_trimming_end() const {
    return rest().starts_with("-}}") && is_space(text_[at_ - 1]);
  }

  bool skip_space() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ != start;
  }

  // The word that is next, "" if none.
  [[nodiscard]] std::string_view peek_word() const {
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    return word.empty() || (word.front() >= '0' && word.front() <= '9') ? std::string_view() : word;
  }

  void close_or_fail(std::string_view after) {
    const std::size_t start = at_;
    if (!close()) fail(start, fmt::format("{} takes nothing more", after));
  }

  bool is_end_of_block() {
    skip_space();
    const std::string_view word = peek_word();
    if (word != "end" && word != "else") return false;
    end_at_ = action_at_;
    at_ += word.size();
    end_ = word == "end" ? End::end : End::otherwise;
    if (end_ == End::end) close_or_fail("end");
    return true;  // behind "else" there may be an "if"
  }

  Node action() {
    skip_space();
    Node node;
    node.at = at_;
    const std::string_view word = peek_word();
    if (contains(kOtherKeywords, word))
      fail(at_, fmt::format("{} is not supported by this version of tug", word));
    if (word == "break" || word == "continue") {
      if (loops_ == 0) fail(at_, fmt::format("{} stands outside of a range", word));
      at_ += word.size();
      close_or_fail(word);
      node.kind = word == "break" ? Node::Kind::leave : Node::Kind::next;
      return node;
    }
    if (word == "if" || word == "range" || word == "with") {
      at_ += word.size();
      return control(word, std::move(node));
    }
    node.kind = Node::Kind::action;
    node.pipeline = pipeline(false, false);
    if (!close()) fail(at_, "unexpected " + next_thing());
    return node;
  }

  Node control(std::string_view word, Node node) {
    node.kind = word == "if"      ? Node::Kind::condition
                : word == "range" ? Node::Kind::range
                                  : Node::Kind::with;
    const std::size_t scope = variables_.size();
    const std::size_t opened = action_at_;
    const std::size_t is_loop = word == "range" ? 1 : 0;
    skip_space();
    if (rest().starts_with("}}")) fail(at_, fmt::format("{} needs a value", word));
    node.pipeline = pipeline(word == "range", false);
    if (!close()) fail(at_, "unexpected " + next_thing());
    loops_ += is_loop;
    node.body = block();
    loops_ -= is_loop;
    if (end_ == End::otherwise) node.otherwise = otherwise(word);
    if (end_ == End::text) fail(opened, fmt::format("this {} has no {{{{end}}}}", word));
    end_ = End::text;
    variables_.resize(scope);
    return node;
  }

  // Behind the word "else".
  std::vector<Node> otherwise(std::string_view word) {
    if (close()) {
      std::vector<Node> nodes = block();
      if (end_ == End::otherwise) fail(end_at_, "a second {{else}}");
      return nodes;
    }
    const std::string_view next = peek_word();
    if (next != "if" || word != "if") fail(at_, "unexpected " + next_thing() + " behind else");
    if (++depth_ > kMaxDepth) throw complaint_.error(at_, "too deep", ErrorKind::limit);
    Node node;
    node.at = at_;
    at_ += next.size();
    std::vector<Node> nodes;
    nodes.push_back(control("if", std::move(node)));
    --depth_;
    end_ = End::end;  // the one {{end}} is that of all
    return nodes;
  }

  // What is next, for messages.
  [[nodiscard]] std::string next_thing() const {
    if (at_ == text_.size()) return "end of the template";
    if (const std::string_view word = peek_word(); !word.empty())
      return fmt::format("\"{}\"", printable(word, 40));
    const std::size_t length = std::max<std::size_t>(utf8_length(rest()), 1);
    return fmt::format("\"{}\"", printable(rest().substr(0, length)));
  }

  Pipeline pipeline(bool of_range, bool in_parentheses) {
    Pipeline result;
    skip_space();
    result.at = at_;
    if (!in_parentheses) declarations(result, of_range);
    for (;;) {
      result.commands.push_back(command());
      if (!rest().starts_with('|')) break;
      ++at_;
      skip_space();
    }
    // They are known behind their pipeline alone.
    if (!result.assigns)
      variables_.insert(variables_.end(), result.declared.begin(), result.declared.end());
    return result;
  }

  // "$x :=", "$x =", "$i, $v :=", or nothing.
  void declarations(Pipeline& pipeline, bool of_range) {
    const std::size_t start = at_;
    std::vector<std::string> names;
    while (rest().starts_with('$') && names.size() < 2) {
      names.push_back(variable_name());
      skip_space();
      const bool continues = of_range && names.size() == 1 && rest().starts_with(',');
      if (!continues) break;
      ++at_;
      skip_space();
    }
    const bool declares = !names.empty() && rest().starts_with(":=");
    const bool assigns = !names.empty() && rest().starts_with('=');
    if (!declares && !assigns) {
      at_ = start;
      return;
    }
    if (assigns && of_range) fail(start, "a range declares its variables with :=");
    at_ += declares ? 2 : 1;
    skip_space();
    for (const std::string& name : names) {
      if (assigns && !contains(variables_, name)) fail(start, "there is no variable " + name);
    }
    pipeline.declared = std::move(names);
    pipeline.assigns = assigns;
  }

  std::string variable_name() {
    const std::size_t start = at_++;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  // Operands with white space between them, up to what ends a command.
  Command command() {
    Command operands;
    const auto ends = [&] {
      return at_ == text_.size() || rest().starts_with("}}") || rest().starts_with('|') ||
             rest().starts_with(')') || is_trimming_end();
    };
    while (!ends()) {
      operands.push_back(operand());
      const bool is_apart = skip_space();
      if (!is_apart && !ends()) fail(at_, "unexpected " + next_thing());
    }
    if (operands.empty()) {
      fail(at_, at_ == text_.size() ? "this action has no }}"
                                    : "there is a value missing before " + next_thing());
    }
    if (at_ == text_.size()) fail(action_at_, "this action has no }}");
    return operands;
  }

  Operand operand() {
    Operand result;
    result.at = at_;
    const char c = text_[at_];
    if (c == '.') {
      const bool is_dot = at_ + 1 == text_.size() || !is_word(text_[at_ + 1]);
      if (is_dot) {
        ++at_;
        return result;
      }
    } else if (c == '$') {
      result.kind = Operand::Kind::variable;
      result.name = variable_name();
      if (!contains(variables_, result.name))
        fail(result.at, "there is no variable " + result.name);
    } else if (c == '(') {
      parenthesized(result);
    } else if (c == '"' || c == '`') {
      result.kind = Operand::Kind::constant;
      result.constant = c == '"' ? quoted() : raw();
      return result;
    } else if (c == '\'' || (c >= '0' && c <= '9') || c == '+' || c == '-') {
      result.kind = Operand::Kind::constant;
      result.constant = c == '\'' ? character() : number();
      return result;
    } else {
      word(result);
      return result;
    }
    while (rest().starts_with('.')) {
      ++at_;
      std::size_t end = at_;
      while (end < text_.size() && is_word(text_[end])) ++end;
      if (end == at_) fail(at_ - 1, "unexpected \".\"");
      result.fields.emplace_back(text_.substr(at_, end - at_));
      at_ = end;
    }
    return result;
  }

  void parenthesized(Operand& result) {
    if (++depth_ > kMaxDepth) throw complaint_.error(at_, "too deep", ErrorKind::limit);
    ++at_;
    result.kind = Operand::Kind::pipeline;
    result.pipeline = std::make_unique<Pipeline>(pipeline(false, true));
    if (!rest().starts_with(')')) fail(result.at, "this ( has no )");
    ++at_;
    --depth_;
  }

  // nil, true, false, or a function.
  void word(Operand& result) {
    const std::string_view name = peek_word();
    if (name.empty()) fail(at_, "unexpected " + next_thing());
    at_ += name.size();
    result.kind = Operand::Kind::constant;
    if (name == "nil") {
      result.kind = Operand::Kind::nil;
    } else if (name == "true" || name == "false") {
      result.constant = name == "true";
    } else if (contains(kFunctions, name)) {
      result.kind = Operand::Kind::function;
      result.name = name;
    } else if (contains(kOtherFunctions, name)) {
      fail(result.at, fmt::format("the function {} is not supported by this version of tug", name));
    } else {
      fail(result.at, fmt::format("function \"{}\" not defined", printable(name, 60)));
    }
  }

  std::string raw() {
    const auto end = text_.find('`', at_ + 1);
    if (end == std::string_view::npos) fail(at_, "this string has no end");
    std::string text(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return text;
  }

  std::string quoted() {
    const std::size_t start = at_++;
    std::string text;
    while (!rest().starts_with('"')) {
      if (at_ == text_.size() || text_[at_] == '\n') fail(start, "this string has no end");
      text += text_[at_] == '\\' ? escape() : std::string(1, text_[at_++]);
    }
    ++at_;
    return text;
  }

  std::int64_t character() {
    const std::size_t start = at_++;
    if (at_ >= text_.size() || text_[at_] == '\'' || text_[at_] == '\n')
      fail(start, "this is no character");
    std::string text;
    if (text_[at_] == '\\') {
      text = escape();
    } else {
      const std::size_t length = std::max<std::size_t>(utf8_length(rest()), 1);
      text = rest().substr(0, length);
      at_ += length;
    }
    if (!rest().starts_with('\'')) fail(start, "this is no character");
    ++at_;
    return code_point(text);
  }

  // Of a valid UTF-8 character, or the byte.
  static std::int64_t code_point(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    if (text.size() == 1) return first;
    std::int64_t value = first & (0xFF >> (text.size() + 1));
    for (const char c : text.substr(1))
      value = (value << 6) | (static_cast<unsigned char>(c) & 0x3F);
    return value;
  }

  std::string escape() {
    const std::size_t start = at_++;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    ++at_;
    constexpr std::string_view kLetters = "abfnrtv\\\"'";
    if (const auto found = kLetters.find(c); found != std::string_view::npos && c != '\0')
      return std::string(1, "\a\b\f\n\r\t\v\\\"'"[found]);
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < digits && at_ < text_.size(); ++i, ++at_) {
      const auto digit = std::string_view("0123456789abcdef").find(to_lower(text_.substr(at_, 1)));
      if (digit == std::string_view::npos) fail(start, "this is no escape");
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    if (digits == 0) fail(start, "this is no escape");
    if (c == 'x') return std::string(1, static_cast<char>(value));
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      fail(start, "this is no character");
    return utf8(value);
  }

  static std::string utf8(std::uint32_t c) {
    const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
    if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
    return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
  }

  // Whole numbers, as Go writes them.
  std::int64_t number() {
    const std::size_t start = at_;
    const bool negative = text_[at_] == '-';
    if (negative || text_[at_] == '+') ++at_;
    std::size_t end = at_;
    while (end < text_.size() && (is_word(text_[end]) || text_[end] == '.')) ++end;
    std::string digits = to_lower(text_.substr(at_, end - at_));
    at_ = end;
    std::erase(digits, '_');
    unsigned base = 10;
    if (digits.size() > 1 && digits[0] == '0') {
      base = digits[1] == 'x' ? 16 : digits[1] == 'b' ? 2 : 8;
      digits.erase(0, digits[1] == 'x' || digits[1] == 'b' || digits[1] == 'o' ? 2 : 1);
    }
    std::uint64_t value = 0;
    const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    bool is_number = !digits.empty();
    for (const char c : digits) {
      const auto digit = std::string_view("0123456789abcdef").substr(0, base).find(c);
      is_number = is_number && digit != std::string_view::npos && value <= (most - digit) / base;
      if (!is_number) break;
      value = value * base + digit;
    }
    if (!is_number) {
      fail(start, fmt::format("{} is no whole number that tug knows",
                              printable(text_.substr(start, end - start), 40)));
    }
    return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  }

  std::string_view text_;
  Complaint complaint_;
  std::size_t at_ = 0;
  std::size_t action_at_ = 0;
  std::size_t end_at_ = 0;
  std::size_t depth_ = 0;
  std::size_t loops_ = 0;
  End end_ = End::text;
  bool trim_ = false;  // the text behind the last action
  bool is_comment_ = false;
  std::vector<std::string> variables_{"$"};
};

// --- carrying out --------------------------------------------------------------------------------

class Executor {
 public:
  Executor(std::string_view text, const GoValue& root) : complaint_(text) {
    variables_.emplace_back("$", root);
  }

  std::string run(const std::vector<Node>& nodes, const GoValue& dot) {
    walk(nodes, dot);
    return std::move(output_);
  }

 private:
  enum class Flow { on, leave, next };
  using Values = std::vector<GoValue>;

  [[noreturn]] void fail(std::size_t at, std::string_view what) const {
    throw complaint_.error(at, what);
  }
  [[noreturn]] void limit(std::size_t at, std::string_view what) const {
    throw complaint_.error(at, what, ErrorKind::limit);
  }

  Flow walk(const std::vector<Node>& nodes, const GoValue& dot) {
    const std::size_t scope = variables_.size();
    Flow flow = Flow::on;
    for (const Node& node : nodes) {
      flow = walk(node, dot);
      if (flow != Flow::on) break;
    }
    variables_.resize(scope);
    return flow;
  }

  Flow walk(const Node& node, const GoValue& dot) {
    step(node.at);
    const std::size_t scope = variables_.size();
    switch (node.kind) {
      case Node::Kind::text:
        write(node.at, node.text);
        return Flow::on;
      case Node::Kind::leave:
        return Flow::leave;
      case Node::Kind::next:
        return Flow::next;
      case Node::Kind::action: {
        const GoValue value = evaluate(node.pipeline, dot);
        if (!node.pipeline.declared.empty()) return Flow::on;
        const bool is_nothing = value.kind() == GoValue::Kind::none;
        write(node.at, is_nothing ? "<no value>" : go_text(value));
        return Flow::on;
      }
      case Node::Kind::range:
        break;
      default: {
        const GoValue value = evaluate(node.pipeline, dot);
        const bool as_dot = node.kind == Node::Kind::with && value.truth();
        const Flow flow = walk(value.truth() ? node.body : node.otherwise, as_dot ? value : dot);
        variables_.resize(scope);
        return flow;
      }
    }
    const Flow flow = loop(node, dot);
    variables_.resize(scope);
    return flow;
  }

  Flow loop(const Node& node, const GoValue& dot) {
    const Pipeline& pipeline = node.pipeline;
    const GoValue over = run_commands(pipeline, dot);
    const auto kind = over.kind();
    const bool is_nothing = kind == GoValue::Kind::none || kind == GoValue::Kind::nil;
    if (kind != GoValue::Kind::list && kind != GoValue::Kind::map && !is_nothing)
      fail(pipeline.at, fmt::format("range can't iterate over {}", printable(go_text(over), 60)));
    if (over.size() == 0) return walk(node.otherwise, dot);
    std::uint64_t index = 0;
    const auto round = [&](const GoValue& key, const GoValue& value) {
      step(node.at);
      const std::size_t scope = variables_.size();
      const auto& names = pipeline.declared;
      if (names.size() == 2) variables_.emplace_back(names[0], key);
      if (!names.empty()) variables_.emplace_back(names.back(), value);
      const Flow flow = walk(node.body, value);
      variables_.resize(scope);
      return flow != Flow::leave;
    };
    if (const Json::Array* items = over.json->as_array()) {
      for (const Json& item : *items) {
        if (!round(made(node.at, Json(index++)), over.element(item))) break;
      }
    } else {
      for (const Json::Member* member : sorted_members(*over.json)) {
        if (!round(made(node.at, Json(member->first)), over.element(member->second))) break;
      }
    }
    return Flow::on;
  }

  // --- pipelines

  GoValue evaluate(const Pipeline& pipeline, const GoValue& dot) {
    const GoValue value = run_commands(pipeline, dot);
    for (const std::string& name : pipeline.declared) {
      if (!pipeline.assigns) {
        variables_.emplace_back(name, value);
        continue;
      }
      const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                      [&](const auto& known) { return known.first == name; });
      if (found != variables_.rend()) found->second = value;
    }
    return value;
  }

  GoValue run_commands(const Pipeline& pipeline, const GoValue& dot) {
    std::optional<GoValue> last;
    for (const Command& command : pipeline.commands) last = run_command(command, dot, last);
    return *last;
  }

  GoValue run_command(const Command& command, const GoValue& dot,
                      const std::optional<GoValue>& piped) {
    const Operand& first = command.front();
    step(first.at);
    const bool has_arguments = command.size() > 1 || piped.has_value();
    if (first.kind == Operand::Kind::function) return call(command, dot, piped);
    if (first.kind == Operand::Kind::nil) fail(first.at, "nil is not a command");
    if (!has_arguments) return value_of(first, dot, nullptr);
    if (first.fields.empty()) fail(first.at, "only functions and methods have arguments");
    Values arguments = arguments_of(command, 1, dot);
    if (piped) arguments.push_back(*piped);
    return value_of(first, dot, &arguments);
  }

  Values arguments_of(const Command& command, std::size_t from, const GoValue& dot) {
    Values values;
    for (std::size_t i = from; i < command.size(); ++i) values.push_back(argument(command[i], dot));
    return values;
  }

  GoValue argument(const Operand& operand, const GoValue& dot) {
    step(operand.at);
    // A function by its name alone, as an argument, is called.
    if (operand.kind != Operand::Kind::function) return value_of(operand, dot, nullptr);
    return apply(operand, {});
  }

  // `arguments`: of the last field, which must be a method then.
  GoValue value_of(const Operand& operand, const GoValue& dot, const Values* arguments) {
    static const Json kNil;
    GoValue value = dot;
    switch (operand.kind) {
      case Operand::Kind::nil:
        return {&kNil, &GoType::any()};
      case Operand::Kind::constant:
        return {&operand.constant, &GoType::any()};
      case Operand::Kind::variable:
        value = variable(operand.name);
        break;
      case Operand::Kind::pipeline:
        value = run_commands(*operand.pipeline, dot);
        break;
      default:
        break;
    }
    for (std::size_t i = 0; i < operand.fields.size(); ++i) {
      const bool is_last = i + 1 == operand.fields.size();
      value = field(operand.at, value, operand.fields[i], is_last ? arguments : nullptr);
    }
    return value;
  }

  [[nodiscard]] GoValue variable(const std::string& name) const {
    const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                    [&](const auto& known) { return known.first == name; });
    return found == variables_.rend() ? GoValue{} : found->second;
  }

  GoValue field(std::size_t at, const GoValue& value, const std::string& name,
                const Values* arguments) {
    static const Json kAbsent;
    if (const auto result = method(at, value, name, arguments)) return *result;
    const auto is_data = [&] {
      if (arguments != nullptr) fail(at, name + " has arguments but cannot be invoked as function");
    };
    switch (value.kind()) {
      case GoValue::Kind::none:
        is_data();
        return {};
      case GoValue::Kind::structure:
        for (const GoField& known : value.type->fields) {
          if (name != known.name) continue;
          is_data();
          const Json* found = value.json->find(known.member);
          return {found == nullptr ? &kAbsent : found, known.type};
        }
        fail(at, unknown_field(value, name));
      case GoValue::Kind::map: {
        is_data();
        const Json* found = value.json->find(name);
        return found == nullptr ? GoValue{} : value.element(*found);
      }
      case GoValue::Kind::nil:
        fail(at, fmt::format("nil has no field {}", name));
      default:
        fail(at, fmt::format("can't evaluate field {} in type {}", name, value.type_name()));
    }
  }

  static std::string unknown_field(const GoValue& value, const std::string& name) {
    std::vector<std::string> names;
    for (const GoField& known : value.type->fields) names.emplace_back(known.name);
    std::string text = fmt::format("there is no field {} in {}", name, value.type->name);
    const std::string near = nearest(name, names);
    return near.empty() ? text : text + fmt::format("; did you mean {}?", near);
  }

  // The methods that a digest and a time have.
  std::optional<GoValue> method(std::size_t at, const GoValue& value, const std::string& name,
                                const Values* arguments) {
    const std::size_t given = arguments == nullptr ? 0 : arguments->size();
    const auto takes = [&](std::size_t count) {
      if (given != count)
        fail(at, fmt::format("wrong number of args for {}: want {} got {}", name, count, given));
    };
    if (value.type->kind == GoType::Kind::digest) {
      const std::string_view text = value.as_text();
      const std::size_t colon = std::min(text.find(':'), text.size());
      std::optional<std::string_view> part;
      if (name == "String") part = text;
      if (name == "Algorithm") part = text.substr(0, colon);
      if (name == "Hex" || name == "Encoded") part = text.substr(std::min(colon + 1, text.size()));
      if (!part) return std::nullopt;
      takes(0);
      return made(at, Json(*part));
    }
    if (value.kind() != GoValue::Kind::time) return std::nullopt;
    if (name == "Format") {
      takes(1);
      return made(at, Json(go_time_text(value.as_text(), string_argument(at, arguments->front()))));
    }
    if (name == "String") {
      takes(0);
      return made(at, Json(go_text(value)));
    }
    if (name == "Unix") {
      takes(0);
      return made(at, Json(go_unix_time(value.as_text())));
    }
    if (name == "Year") {
      takes(0);
      return made(at, Json(std::stoi(go_time_text(value.as_text(), "2006"))));
    }
    return std::nullopt;
  }

  template <typename Function>
  auto located(std::size_t at, const Function& function) const {
    try {
      return function();
    } catch (const Error& error) {
      throw complaint_.error(at, error.message(), error.kind());
    }
  }

  // --- functions

  GoValue call(const Command& command, const GoValue& dot, const std::optional<GoValue>& piped) {
    const Operand& function = command.front();
    const std::string& name = function.name;
    if (name == "and" || name == "or") return first_that(command, dot, piped, name == "or");
    Values values = arguments_of(command, 1, dot);
    if (piped) values.push_back(*piped);
    return apply(function, values);
  }

  // The first argument whose truth is `wanted`, else the last; what follows is not looked at.
  GoValue first_that(const Command& command, const GoValue& dot,
                     const std::optional<GoValue>& piped, bool wanted) {
    const Operand& function = command.front();
    std::optional<GoValue> value;
    for (std::size_t i = 1; i < command.size(); ++i) {
      value = argument(command[i], dot);
      if (value->truth() == wanted) return *value;
    }
    if (piped) value = piped;
    if (!value) fail(function.at, fmt::format("{} needs an argument", function.name));
    return *value;
  }

  GoValue apply(const Operand& function, const Values& values) {
    const std::string& name = function.name;
    const std::size_t at = function.at;
    const auto count = [&](std::size_t least, std::size_t most) {
      if (values.size() >= least && values.size() <= most) return;
      fail(at, fmt::format("wrong number of args for {}: want {}{} got {}", name,
                           most > least ? "at least " : "", least, values.size()));
    };
    const auto text = [&](std::size_t i) { return string_argument(at, values[i]); };
    constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
    if (name == "print") return made(at, Json(go_print(values)));
    if (name == "println") return made(at, Json(go_println(values)));
    if (name == "printf") {
      count(1, kAny);
      const Values rest(values.begin() + 1, values.end());
      return made(at, Json(located(at, [&] { return go_printf(text(0), rest); })));
    }
    if (name == "and" || name == "or") count(1, 0);  // by name alone
    if (name == "index" || name == "slice") {
      count(1, kAny);
      return name == "index" ? index(at, values) : slice(at, values);
    }
    if (name == "eq" || name == "ne" || name == "lt" || name == "le" || name == "gt" ||
        name == "ge") {
      count(2, name == "eq" ? kAny : 2);
      return made(at, Json(compare(at, name, values)));
    }
    if (name == "join" || name == "split" || name == "truncate") {
      count(2, 2);
      if (name == "join") return made(at, Json(joined(at, values)));
      if (name == "split") return split_text(at, text(0), text(1));
      return made(at, Json(text(0).substr(0, integer_argument(at, values[1]))));
    }
    if (name == "pad") {
      count(3, 3);
      const std::string before(std::min<std::size_t>(integer_argument(at, values[1]), 10'000), ' ');
      const std::string after(std::min<std::size_t>(integer_argument(at, values[2]), 10'000), ' ');
      return made(at,
                  Json(text(0).empty() ? std::string() : before + std::string(text(0)) + after));
    }
    count(1, 1);
    if (name == "not") return made(at, Json(!values[0].truth()));
    if (name == "len") return length(at, values[0]);
    if (name == "json") return made(at, Json(go_json(values[0])));
    return made(at, Json(in_case(name, text(0))));
  }

  static std::string in_case(std::string_view function, std::string_view text) {
    std::string result(text);
    bool starts_word = true;
    for (char& c : result) {
      const bool to_upper = function == "upper" || (function == "title" && starts_word);
      if (to_upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      if (function == "lower" && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      starts_word = c == ' ' || c == '\t' || c == '\n';
    }
    return result;
  }

  std::string_view string_argument(std::size_t at, const GoValue& value) const {
    if (value.kind() == GoValue::Kind::string) return value.as_text();
    fail(at, fmt::format("wrong type for value; expected string; got {}", value.type_name()));
  }

  std::size_t integer_argument(std::size_t at, const GoValue& value) const {
    const auto number = value.json == nullptr ? std::nullopt : value.json->as_uint();
    if (number) return static_cast<std::size_t>(*number);
    if (value.kind() == GoValue::Kind::integer) fail(at, "index out of range: " + go_text(value));
    fail(at, fmt::format("cannot index with type {}", value.type_name()));
  }

  GoValue length(std::size_t at, const GoValue& value) {
    switch (value.kind()) {
      case GoValue::Kind::string:
      case GoValue::Kind::list:
      case GoValue::Kind::map:
        return made(at, Json(value.size()));
      default:
        fail(at, "len of type " + value.type_name());
    }
  }

  GoValue index(std::size_t at, const Values& values) {
    GoValue item = values[0];
    for (std::size_t i = 1; i < values.size(); ++i) {
      if (item.kind() == GoValue::Kind::map) {
        const Json* found = item.json->find(string_argument(at, values[i]));
        static const Json kZero;
        // A value that is not there is its type's zero.
        item = found != nullptr ? item.element(*found) : item.element(kZero);
        continue;
      }
      if (item.kind() != GoValue::Kind::list && item.kind() != GoValue::Kind::string)
        fail(at, "can't index item of type " + item.type_name());
      const std::size_t position = integer_argument(at, values[i]);
      if (position >= item.size()) fail(at, fmt::format("index out of range: {}", position));
      if (const Json::Array* items = item.json->as_array()) {
        item = item.element((*items)[position]);
      } else {
        item = made(at, Json(static_cast<unsigned char>(item.as_text()[position])));
      }
    }
    return item;
  }

  GoValue slice(std::size_t at, const Values& values) {
    const GoValue& item = values[0];
    const bool is_list = item.kind() == GoValue::Kind::list;
    if (!is_list && item.kind() != GoValue::Kind::string)
      fail(at, "can't slice item of type " + item.type_name());
    if (values.size() > 3) fail(at, "a slice has at most two indexes");
    const std::size_t from = values.size() > 1 ? integer_argument(at, values[1]) : 0;
    const std::size_t to = values.size() > 2 ? integer_argument(at, values[2]) : item.size();
    if (to > item.size()) fail(at, fmt::format("index out of range: {}", to));
    if (from > to) fail(at, fmt::format("invalid slice index: {} > {}", from, to));
    if (!is_list) return made(at, Json(item.as_text().substr(from, to - from)));
    Json::Array items;
    for (std::size_t i = from; i < to; ++i) {
      charge(at, (*item.json->as_array())[i].dump().size());
      items.push_back((*item.json->as_array())[i]);
    }
    GoValue result = made(at, Json(std::move(items)));
    result.type = item.type;
    return result;
  }

  std::string joined(std::size_t at, const Values& values) {
    if (values[0].kind() != GoValue::Kind::list)
      fail(at,
           fmt::format("wrong type for value; expected []string; got {}", values[0].type_name()));
    std::vector<std::string> parts;
    if (const Json::Array* items = values[0].json->as_array()) {
      for (const Json& item : *items)
        parts.emplace_back(string_argument(at, values[0].element(item)));
    }
    const std::string_view separator = string_argument(at, values[1]);
    charge(at, parts.size() * separator.size());
    return join(parts, separator);
  }

  GoValue split_text(std::size_t at, std::string_view text, std::string_view separator) {
    Json::Array parts;
    charge(at, text.size() * (separator.empty() ? sizeof(Json) : 1));
    while (!separator.empty() && text.find(separator) != std::string_view::npos) {
      charge(at, sizeof(Json));
      parts.emplace_back(text.substr(0, text.find(separator)));
      text.remove_prefix(text.find(separator) + separator.size());
    }
    while (separator.empty() && !text.empty()) {
      const std::size_t one = std::max<std::size_t>(utf8_length(text), 1);
      parts.emplace_back(text.substr(0, one));
      text.remove_prefix(one);
    }
    if (!separator.empty()) parts.emplace_back(text);
    GoValue result = made(at, Json(std::move(parts)));
    result.type = &GoType::strings();
    return result;
  }

  bool compare(std::size_t at, const std::string& name, const Values& values) {
    if (name == "eq") {
      return std::any_of(values.begin() + 1, values.end(),
                         [&](const GoValue& other) { return equal(at, values[0], other); });
    }
    if (name == "ne") return !equal(at, values[0], values[1]);
    const auto kind = values[0].kind();
    if (kind != values[1].kind()) fail(at, "incompatible types for comparison");
    if (kind != GoValue::Kind::string && kind != GoValue::Kind::integer)
      fail(at, "invalid type for comparison: " + values[0].type_name());
    const auto order = [&](const auto& a, const auto& b) {
      return name == "lt" ? a < b : name == "le" ? a <= b : name == "gt" ? a > b : a >= b;
    };
    if (kind == GoValue::Kind::string) return order(values[0].as_text(), values[1].as_text());
    return order(values[0].json->as_int().value_or(0), values[1].json->as_int().value_or(0));
  }

  bool equal(std::size_t at, const GoValue& a, const GoValue& b) const {
    const auto is_nothing = [](const GoValue& value) {
      return value.kind() == GoValue::Kind::none || value.kind() == GoValue::Kind::nil;
    };
    if (is_nothing(a) || is_nothing(b)) return is_nothing(a) && is_nothing(b);
    for (const GoValue* value : {&a, &b}) {
      const auto kind = value->kind();
      if (kind == GoValue::Kind::list || kind == GoValue::Kind::map ||
          kind == GoValue::Kind::structure)
        fail(at, "non-comparable type " + value->type_name());
    }
    if (a.kind() != b.kind()) fail(at, "incompatible types for comparison");
    if (a.kind() == GoValue::Kind::string) return a.as_text() == b.as_text();
    return go_text(a) == go_text(b);
  }

  // --- bounds

  void step(std::size_t at) {
    if (++steps_ > kMaxSteps) limit(at, fmt::format("more than {} steps", kMaxSteps));
  }

  void charge(std::size_t at, std::size_t bytes) {
    made_bytes_ += bytes;
    if (made_bytes_ > kMaxMade)
      limit(at, fmt::format("the values made here have more than {}", human_bytes(kMaxMade)));
  }

  // A value of our own: it lives as long as this.
  GoValue made(std::size_t at, Json value) {
    charge(at, sizeof(Json) + (value.as_string() == nullptr ? 0 : value.as_string()->size()));
    return {&own_.emplace_back(std::move(value)), &GoType::any()};
  }

  void write(std::size_t at, std::string_view text) {
    if (text.size() > kMaxOutput - output_.size())
      limit(at, fmt::format("the output has more than {}", human_bytes(kMaxOutput)));
    output_ += text;
  }

  Complaint complaint_;
  std::vector<std::pair<std::string, GoValue>> variables_;
  std::deque<Json> own_;
  std::string output_;
  std::size_t steps_ = 0;
  std::size_t made_bytes_ = 0;
};

// --- the format of a report ----------------------------------------------------------------------

constexpr std::string_view kTable = "table ";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// `\t` and `\n` are what people write in a shell.
std::string normalized(std::string_view format, bool is_table) {
  std::string text(format);
  if (is_table) replace_all(text, kTable, "");
  replace_all(text, "\\t", "\t");
  replace_all(text, "\\n", "\n");
  if (is_table) replace_all(text, " ", "\t");
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

// The words of the first action of `text`, which loses it; white space between them is one space.
std::optional<std::string> take_action(std::string_view& text) {
  const auto start = text.find("{{");
  const auto end = text.find("}}", std::min(start, text.size()));
  if (end == std::string_view::npos) return std::nullopt;
  std::vector<std::string> words;
  std::string inner(text.substr(start + 2, end - start - 2));
  std::replace_if(
      inner.begin(), inner.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  for (const std::string_view word : split(inner, ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  text.remove_prefix(end + 2);
  return join(words, " ");
}

bool ranges_over_all(std::string_view text) {
  bool has_range = false;
  while (const auto action = take_action(text)) {
    if (*action == "range .") has_range = true;
    if (has_range && (*action == "end" || *action == "end -")) return true;
  }
  return false;
}

// Of `text`, or, where that is no template, of what it was made from (which it becomes then): a
// "\\n" in a string must stay as it is.
std::vector<Node> parse_either(std::string& text, const std::string& original) {
  try {
    return Parser(text).parse();
  } catch (const Error&) {
    if (text == original) throw;
    try {
      std::vector<Node> nodes = Parser(original).parse();
      text = original;
      return nodes;
    } catch (const Error&) {  // the first error counts
    }
    throw;
  }
}

}  // namespace

bool is_json_format(std::string_view format) {
  std::string_view rest = trim(format);
  if (rest == "json") return true;
  const bool is_action = rest.starts_with("{{");
  const auto action = take_action(rest);
  return is_action && action && rest.empty() &&
         (*action == "json" || *action == "json ." || *action == "json.");
}

std::string format_value(std::string_view format, const GoValue& value) {
  if (format.size() > kMaxFormat)
    throw Error(ErrorKind::limit, "--format: the template has over " + human_bytes(kMaxFormat));
  const bool is_table = format.starts_with(kTable);
  std::string text = normalized(format, is_table);
  const Json list = Json::array({value.json == nullptr ? Json() : *value.json});
  const GoType list_type{GoType::Kind::list, "[]interface {}", value.type};
  const GoValue root{&list, &list_type};
  const std::vector<Node> nodes = parse_either(text, is_table ? text : std::string(format) + "\n");
  const bool of_list = !is_table && ranges_over_all(text);
  std::string output =
      Executor(text, root).run(nodes, of_list ? root : root.element(list.as_array()->front()));
  return is_table ? go_columns(output) : output;
}

}  // namespace tug::cli
