#include "step/yaml.h"

#include "base/strings.h"
#include "step/numbers.h"
#include "step/yaml_types.h"

#include <tug/error.h>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tug::step {
namespace {

[[noreturn]] void fail(std::string message) { throw Error(ErrorKind::usage, std::move(message)); }

[[noreturn]] void fail_at(const YAML::Mark& mark, std::string_view message) {
  const std::string position = mark.is_null()
                                   ? ""
                                   : "line " + std::to_string(mark.line + 1) + ", column " +
                                         std::to_string(mark.column + 1) + ": ";
  fail(position + std::string(message));
}

// The tag is not shown, nor is an anchor: an unquoted password may begin with ! or &.
[[noreturn]] void fail_unknown_tag(const YAML::Mark& mark) {
  fail_at(mark, "the tag is not known here; a value that begins with ! has to be quoted");
}

// What makes two keys one in a dict: 1, 1.0 and True are. Requires a scalar.
std::string key_identity(const Value& key) {
  if (const auto flag = key.as_bool()) return *flag ? "n1" : "n0";
  if (key.type() == Value::Type::integer) return "n" + key.repr();
  if (const auto real = key.as_real()) return "n" + whole_digits(*real).value_or(key.repr());
  return (key.is_string() ? "s" : "o") + key.str();
}

// A mapping that is being filled: Value::set(), but not quadratic.
class MapBuilder {
 public:
  void set(Value key, Value value) {
    const auto [at, is_new] = index_.try_emplace(key_identity(key), entries_.size());
    if (is_new) {
      entries_.emplace_back(std::move(key), std::move(value));
    } else {
      entries_[at->second].second = std::move(value);
    }
  }
  void set_all(Value::Map entries) {
    for (auto& [key, value] : entries) set(std::move(key), std::move(value));
  }
  Value::Map take() { return std::move(entries_); }

 private:
  Value::Map entries_;
  std::unordered_map<std::string, std::size_t> index_;
};

// What a value costs when an alias writes it out once more.
struct Weight {
  std::size_t values = 0;
  std::size_t bytes = 0;
  std::size_t depth = 0;
};

Weight weight_of(const Value& value) {
  Weight sum{1, value.written().size(), 0};
  const auto add = [&sum](const Value& child) {
    const Weight weight = weight_of(child);
    sum.values += weight.values;
    sum.bytes += weight.bytes;
    sum.depth = std::max(sum.depth, weight.depth + 1);
  };
  if (const std::string* text = value.as_string()) sum.bytes += text->size();
  if (const auto* items = value.as_list())
    for (const Value& item : *items) add(item);
  if (const auto* entries = value.as_map())
    for (const auto& [key, content] : *entries) {
      add(key);
      add(content);
    }
  return sum;
}

// yaml-cpp 0.7 makes single bytes of "\N" and "\_", which PyYAML writes for U+0085 and U+00A0.
// The document itself is UTF-8, so any other byte that is not comes from there.
std::string repaired(const std::string& text) {
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = utf8_length(rest);
    if (length == 0) result += '\xc2';
    result += rest.substr(0, std::max<std::size_t>(length, 1));
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

// The scalar tags that safe-loading constructs and a configuration may want.
constexpr std::array<std::pair<std::string_view, ScalarType>, 6> kTags = {{
    {"tag:yaml.org,2002:str", ScalarType::string},
    {"tag:yaml.org,2002:int", ScalarType::integer},
    {"tag:yaml.org,2002:float", ScalarType::real},
    {"tag:yaml.org,2002:bool", ScalarType::boolean},
    {"tag:yaml.org,2002:null", ScalarType::null},
    {"tag:yaml.org,2002:timestamp", ScalarType::date},
}};

// Takes yaml-cpp's events and builds the value as PyYAML's composer and safe constructor would.
// (yaml-cpp's own Node would keep neither the difference of 1.10 and "1.10" nor the order of keys.)
class Builder : public YAML::EventHandler {
 public:
  Value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    if (!anchor_names_.insert(name).second)
      fail_at(mark, "duplicate anchor; a value that begins with & has to be quoted");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(Value(), anchor, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_at(mark, "an alias inside the value that it stands for");
    const Weight weight = weight_of(found->second);
    spend(weight, mark);
    if (stack_.size() + weight.depth > kMaxDocumentDepth) fail_at(mark, "nested too deeply");
    add(found->second, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (expects_key() && text == "<<" && (tag == "?" || tag == "tag:yaml.org,2002:merge")) {
      stack_.back().key_is_merge = true;
      stack_.back().key = Value(text);
      return;
    }
    finish(scalar(mark, tag, text), anchor, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, "tag:yaml.org,2002:seq", anchor, false);
  }
  void OnSequenceEnd() override {
    Frame frame = close();
    finish(Value(std::move(frame.items)), frame.anchor, frame.mark);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, "tag:yaml.org,2002:map", anchor, true);
  }
  void OnMapEnd() override {
    Frame frame = close();
    // What is merged stands before what the mapping says itself, which wins.
    frame.merged.set_all(frame.entries.take());
    finish(Value(frame.merged.take()), frame.anchor, frame.mark);
  }

 private:
  struct Frame {
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    bool is_map = false;
    Value::List items;
    MapBuilder entries;
    MapBuilder merged;
    std::optional<Value> key;
    bool key_is_merge = false;
  };

  [[nodiscard]] bool expects_key() const {
    return !stack_.empty() && stack_.back().is_map && !stack_.back().key;
  }

  static Value scalar(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    try {
      if (tag == "?") return typed_scalar(text);
      if (tag == "!") return repaired(text);
      for (const auto& [name, type] : kTags)
        if (tag == name) return scalar_of_type(type, repaired(text));
    } catch (const Error& error) {
      fail_at(mark, error.message());
    }
    fail_unknown_tag(mark);
  }

  void open(const YAML::Mark& mark, const std::string& tag, std::string_view plain_tag,
            YAML::anchor_t anchor, bool is_map) {
    if (tag != "?" && tag != "!" && !tag.empty() && tag != plain_tag) fail_unknown_tag(mark);
    if (expects_key()) fail_at(mark, "a list or mapping cannot be a key");
    if (stack_.size() >= kMaxDocumentDepth) fail_at(mark, "nested too deeply");
    Frame& frame = stack_.emplace_back();
    frame.mark = mark;
    frame.anchor = anchor;
    frame.is_map = is_map;
  }

  Frame close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    return frame;
  }

  void spend(const Weight& weight, const YAML::Mark& mark) {
    values_ += weight.values;
    bytes_ += weight.bytes;
    if (values_ > kMaxDocumentValues || bytes_ > kMaxExpandedBytes)
      fail_at(mark, "too many values or too much text, with aliases written out");
  }

  // A value that stands here itself, not as an alias.
  void finish(Value value, YAML::anchor_t anchor, const YAML::Mark& mark) {
    const std::string* text = value.as_string();
    spend({1, value.written().size() + (text == nullptr ? 0 : text->size()), 0}, mark);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
    add(std::move(value), mark);
  }

  void add(Value value, const YAML::Mark& mark) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = stack_.back();
    if (!frame.is_map) {
      frame.items.push_back(std::move(value));
    } else if (!frame.key) {
      if (value.is_list() || value.is_map()) fail_at(mark, "a list or mapping cannot be a key");
      frame.key = std::move(value);
    } else if (std::exchange(frame.key_is_merge, false)) {
      merge(frame, std::move(value), mark);
      frame.key.reset();
    } else {
      frame.entries.set(*std::exchange(frame.key, std::nullopt), std::move(value));
    }
  }

  // `<<: *defaults` or `<<: [*first, *second]`, of which the first wins.
  static void merge(Frame& frame, Value value, const YAML::Mark& mark) {
    Value::List sources;
    if (Value::List* list = value.as_list()) {
      sources = std::move(*list);
    } else {
      sources.push_back(std::move(value));
    }
    for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
      if (!source->is_map()) fail_at(mark, "<< takes a mapping or a list of mappings");
      frame.merged.set_all(std::move(*source->as_map()));
    }
  }

  Value root_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Value> anchors_;
  std::set<std::string> anchor_names_;
  std::size_t values_ = 0;
  std::size_t bytes_ = 0;
};

// The characters that YAML allows in a document. Also keeps from yaml-cpp what it takes for UTF-16,
// and the EOT that it takes for the end.
void check_characters(std::string_view text) {
  std::size_t line = 1;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t length = utf8_length(text);
    if (length == 0) fail("line " + std::to_string(line) + ": not UTF-8");
    const bool control = (first < 0x20 && first != '\t' && first != '\n' && first != '\r') ||
                         first == 0x7f ||
                         (first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0 &&
                          static_cast<unsigned char>(text[1]) != 0x85);
    if (control) fail("line " + std::to_string(line) + ": a control character");
    if (first == '\n') ++line;
    text.remove_prefix(length);
  }
}

Value parse_yaml(std::string text) {
  check_characters(text);
  // yaml-cpp takes the last line break for the quote that somebody forgot, unless the document says
  // that it ends here. (Without a line break, one would become part of a block scalar.)
  if (text.ends_with('\n')) text += "...\n";
  std::istringstream stream(text);
  Builder builder;
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return {};
    Value value = builder.take();
    Builder second;
    if (parser.HandleNextDocument(second)) fail("more than one document");
    return value;
  } catch (const YAML::Exception& error) {
    fail_at(error.mark, printable(error.msg, 200));
  }
}

bool looks_like_json(std::string_view text) noexcept {
  const std::string_view content = trim(text);
  return content.starts_with('{') || content.starts_with('[');
}

Value parse_any(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.size() > kMaxDocumentBytes)
    fail("larger than " + human_bytes(kMaxDocumentBytes) + ", which no configuration is");
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (looks_like_json(text)) {
    try {
      return Value::from_json(Json::parse(text, {.max_bytes = kMaxDocumentBytes,
                                                 .max_depth = kMaxDocumentDepth,
                                                 .max_values = kMaxDocumentValues}));
    } catch (const Error&) {
      // Then it is YAML in flow style, or the YAML reader says what is wrong with it.
    }
  }
  return parse_yaml(std::string(text));
}

}  // namespace

Value parse_document(std::string_view text, const std::string& file) {
  return with_context(file, [&] {
    Value value = parse_any(text);
    value.set_place(std::make_shared<const Place>(Place{nullptr, file, true}));
    return value;
  });
}

}  // namespace tug::step
