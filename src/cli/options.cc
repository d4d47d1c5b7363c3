#include "cli/options.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <set>
#include <utility>

// <regex> would cost start-up time and size for nothing.
#define CXXOPTS_NO_REGEX
#include "base/strings.h"

#include <tug/error.h>

#include <cxxopts.hpp>
#include <fmt/format.h>

namespace tug::cli {
namespace {

constexpr std::size_t kHelpColumn = 34;

bool parse_bool(std::string_view name, const std::string& text) {
  if (text == "true" || text == "1" || text == "t" || text == "T" || text == "TRUE" ||
      text == "True")
    return true;
  if (text == "false" || text == "0" || text == "f" || text == "F" || text == "FALSE" ||
      text == "False")
    return false;
  throw Error(ErrorKind::usage,
              fmt::format("--{}: \"{}\" is neither true nor false", name, printable(text, 40)));
}

// cxxopts takes no dot in a name (--registries.d), and nobody's name has an underscore.
std::string key_of(std::string_view name) {
  std::string key(name);
  std::replace(key.begin(), key.end(), '.', '_');
  return key;
}

std::string name_of(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '.');
  return name;
}

void add_option(cxxopts::OptionAdder& add, const Option& option) {
  const std::string key = key_of(option.name);
  switch (option.kind) {
    case Option::Kind::flag:
    case Option::Kind::optional_bool:
      add(key, option.help, cxxopts::value<std::string>()->implicit_value("true"));
      break;
    case Option::Kind::value:
      add(key, option.help, cxxopts::value<std::string>());
      break;
    case Option::Kind::list:
      add(key, option.help, cxxopts::value<std::vector<std::string>>());
      break;
    case Option::Kind::words:
      break;  // taken out before: take_words()
  }
}

// The option that `word` gives ("-c", "-cX", "--config", "--config=X"), and its value if that is
// attached.
bool names_option(const Option& option, const std::string& word, std::string& attached) {
  const std::string long_form = "--" + option.name;
  if (word == long_form) return true;
  if (word.starts_with(long_form + "=")) {
    attached = word.substr(long_form.size() + 1);
    return true;
  }
  if (option.short_name == '\0' || !word.starts_with(std::string("-") + option.short_name))
    return false;
  attached = word.substr(word.starts_with("-" + std::string(1, option.short_name) + "=") ? 3 : 2);
  return true;
}

// Takes the options of Kind::words and their values out of `words`; cxxopts has no such thing.
std::vector<std::string> take_words(
    const std::vector<OptionGroup>& groups, const std::vector<std::string>& words,
    std::map<std::string, std::vector<std::string>, std::less<>>& values) {
  std::vector<std::string> rest;
  std::vector<std::string>* taking = nullptr;
  for (const std::string& word : words) {
    const bool is_flag = word.size() > 1 && word.front() == '-';
    if (!is_flag) {
      (taking != nullptr ? *taking : rest).push_back(word);
      continue;
    }
    taking = nullptr;
    std::string attached;
    for (const OptionGroup& group : groups) {
      for (const Option& option : group.options) {
        if (option.kind != Option::Kind::words || !names_option(option, word, attached)) continue;
        taking = &values[option.name];
        taking->clear();
        if (!attached.empty()) taking->push_back(attached);
      }
    }
    if (taking == nullptr) rest.push_back(word);
  }
  for (const auto& [name, taken] : values) {
    if (taken.empty())
      throw Error(ErrorKind::usage, fmt::format("flag needs an argument: --{}", name));
  }
  return rest;
}

[[noreturn]] void refuse_unknown(const std::string& word, const std::vector<OptionGroup>& groups) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> known;
  for (const OptionGroup& group : groups) {
    for (const Option& option : group.options) {
      if (!option.hidden) known.push_back("--" + option.name);
    }
  }
  Error error(ErrorKind::usage, fmt::format("unknown flag: {}", printable(name, 60)));
  if (const std::string near = nearest(name, known); !near.empty())
    error.set_hint(fmt::format("did you mean {}?", near));
  throw error;
}

// The words as cxxopts can read them: short flags, which it takes with neither "=" nor a value
// that has more than letters and digits, by their long names. What they mean is pflag's: "-nf T",
// "-fT", "-f=T", and "-q=false" for a boolean. Unknown flags end here.
class SpelledOut {
 public:
  SpelledOut(const std::vector<OptionGroup>& groups, const std::vector<std::string>& words)
      : groups_(groups), words_(words) {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (word.starts_with("--")) {
        add_long(word);
      } else if (word.size() > 1 && word.front() == '-') {
        add_short(std::string_view(word).substr(1));
      } else {
        result_.push_back(word);
      }
    }
  }
  [[nodiscard]] const std::vector<std::string>& words() const noexcept { return result_; }

 private:
  void add_long(const std::string& word) {
    const auto equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(2, equals - 2);
    const Option* option = find_option(groups_, name);
    if (option == nullptr) refuse_unknown(word, groups_);
    if (equals < word.size()) {
      add(*option, word.substr(equals + 1));
    } else {
      add(*option, takes_value(*option) ? next_value(word) : "true");
    }
  }

  void add_short(std::string_view letters) {
    while (!letters.empty()) {
      const std::string flag{'-', letters.front()};
      const Option* option = find_short_option(groups_, letters.front());
      if (option == nullptr) refuse_unknown(flag, groups_);
      letters.remove_prefix(1);
      if (letters.size() > 1 && letters.front() == '=') return add(*option, letters.substr(1));
      if (takes_value(*option))
        return add(*option, letters.empty() ? next_value(flag) : std::string(letters));
      add(*option, "true");
    }
  }

  std::string next_value(const std::string& flag) {
    if (next_ < words_.size()) return words_[next_++];
    throw Error(ErrorKind::usage, fmt::format("flag needs an argument: {}", printable(flag, 60)));
  }

  void add(const Option& option, std::string_view value) {
    result_.push_back(fmt::format("--{}={}", key_of(option.name), value));
  }

  const std::vector<OptionGroup>& groups_;
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
  std::vector<std::string> result_;
};

std::string option_line(const Option& option) {
  std::string left =
      option.short_name == '\0' ? "      " : fmt::format("  -{}, ", option.short_name);
  left += "--" + option.name;
  const std::string value = value_text(option);
  if (!value.empty() && value.front() != '[') left += " ";
  left += value;
  if (left.size() + 2 > kHelpColumn) {
    left += "\n" + std::string(kHelpColumn, ' ');
  } else {
    left.resize(kHelpColumn, ' ');
  }
  return left + option.help + "\n";
}

std::string options_text(const std::vector<OptionGroup>& groups) {
  std::string text;
  for (const OptionGroup& group : shown_options(groups)) {
    text += fmt::format("\n{}:\n", group.title);
    for (const Option& option : group.options) text += option_line(option);
  }
  return text;
}

}  // namespace

bool Arguments::has(std::string_view name) const { return value(name).has_value(); }

std::optional<std::string> Arguments::text(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

std::optional<std::string> Arguments::value(std::string_view name) const {
  auto given = text(name);
  if (given && given->empty()) given.reset();
  return given;
}

std::vector<std::string> Arguments::list(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::optional<bool> Arguments::optional_bool(std::string_view name) const {
  const auto given = text(name);
  return given ? std::optional(parse_bool(name, *given)) : std::nullopt;
}

bool Arguments::flag(std::string_view name) const { return optional_bool(name).value_or(false); }

std::optional<std::int64_t> Arguments::integer(std::string_view name, std::int64_t low,
                                               std::int64_t high) const {
  const auto given = text(name);
  if (!given) return std::nullopt;
  const bool is_negative = given->starts_with('-');
  const auto digits =
      parse_uint(is_negative ? std::string_view(*given).substr(1) : std::string_view(*given));
  const auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (digits && *digits <= limit) {
    const auto number =
        is_negative ? -static_cast<std::int64_t>(*digits) : static_cast<std::int64_t>(*digits);
    if (number >= low && number <= high) return number;
  }
  throw Error(ErrorKind::usage, fmt::format("--{}: \"{}\" is not a whole number from {} to {}",
                                            name, printable(*given, 40), low, high));
}

std::optional<std::chrono::milliseconds> Arguments::duration(std::string_view name) const {
  const auto given = text(name);
  if (!given) return std::nullopt;
  if (const auto duration = parse_duration(*given)) return duration;
  throw Error(ErrorKind::usage,
              fmt::format("--{}: \"{}\" is not a duration such as 30s, 1m30s or 500ms", name,
                          printable(*given, 40)));
}

std::optional<std::uint64_t> Arguments::bytes(std::string_view name, std::uint64_t low,
                                              std::uint64_t high) const {
  const auto given = text(name);
  if (!given) return std::nullopt;
  const auto number = parse_bytes(*given);
  if (number && *number >= low && *number <= high) return number;
  throw Error(ErrorKind::usage,
              fmt::format("--{}: \"{}\" is not a size from {} to {}, such as 10485760, 16M or 20MB",
                          name, printable(*given, 40), human_bytes(low), human_bytes(high)));
}

void require_arguments(const Arguments& arguments, std::size_t count, std::string_view verb,
                       std::string_view names, std::string_view program) {
  const std::size_t given = arguments.positional().size();
  if (given == count) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} takes exactly {}{}, not {}", verb, counted(count, "argument"),
                          names.empty() ? "" : fmt::format(" ({})", names), given))
      .set_hint(fmt::format("\"{} {} --help\" shows how", program, verb));
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double milliseconds;
  };
  constexpr Unit kUnits[] = {{"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3}, {"ms", 1},
                             {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}};
  constexpr double kLongest = 3.6e6 * 24 * 3650;
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, digits));
    if (number.empty() || number.size() > 18 || std::count(number.begin(), number.end(), '.') > 1 ||
        number == ".")
      return std::nullopt;
    text.remove_prefix(digits);
    const std::string_view unit_name =
        text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& u) { return u.name == unit_name; });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(unit_name.size());
    total += std::stod(number) * unit->milliseconds;
  }
  if (total > kLongest) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(total)));
}

const Option* find_option(const std::vector<OptionGroup>& groups, std::string_view name) {
  for (const OptionGroup& group : groups) {
    for (const Option& option : group.options) {
      if (name == option.name) return &option;
    }
  }
  return nullptr;
}

const Option* find_short_option(const std::vector<OptionGroup>& groups, char letter) {
  for (const OptionGroup& group : groups) {
    for (const Option& option : group.options) {
      if (letter == option.short_name && letter != '\0') return &option;
    }
  }
  return nullptr;
}

bool takes_value(const Option& option) noexcept {
  return option.kind == Option::Kind::value || option.kind == Option::Kind::list;
}

Arguments parse_arguments(const std::vector<OptionGroup>& groups,
                          const std::vector<std::string>& all_words) {
  Arguments arguments;
  // What follows "--" is taken as it stands; cxxopts would split it at commas as values of a
  // positional list.
  const auto end = std::find(all_words.begin(), all_words.end(), "--");
  const std::vector<std::string> words =
      take_words(groups, {all_words.begin(), end}, arguments.values_);
  const SpelledOut spelled_out(groups, words);
  std::vector<const char*> argv{"tug"};
  std::ranges::transform(spelled_out.words(), std::back_inserter(argv),
                         [](const std::string& word) { return word.c_str(); });

  cxxopts::Options options("tug");
  options.allow_unrecognised_options();  // arguments are such, too
  auto add = options.add_options();
  std::set<std::string> added;  // a verb's own flag hides the global one of the same name
  for (const OptionGroup& group : groups) {
    for (const Option& option : group.options) {
      if (added.insert(option.name).second) add_option(add, option);
    }
  }
  try {
    const cxxopts::ParseResult result = options.parse(static_cast<int>(argv.size()), argv.data());
    for (const cxxopts::KeyValue& item : result.arguments()) {
      const std::string name = name_of(item.key());
      const Option* option = find_option(groups, name);
      auto& values = arguments.values_[name];
      if (option == nullptr || option->kind != Option::Kind::list) {
        values.push_back(item.value());
      } else if (!item.value().empty()) {
        for (const std::string_view part : split(item.value(), ',')) values.emplace_back(part);
      }
    }
    arguments.positional_ = result.unmatched();
  } catch (const cxxopts::exceptions::exception& error) {
    throw Error(ErrorKind::usage, printable(error.what(), 200));
  }
  if (end != all_words.end())
    arguments.positional_.insert(arguments.positional_.end(), end + 1, all_words.end());
  return arguments;
}

std::vector<OptionGroup> all_options(const Verb& verb) {
  std::vector<OptionGroup> groups = verb.groups;
  std::set<char> taken;
  for (const OptionGroup& group : groups) {
    for (const Option& option : group.options) taken.insert(option.short_name);
  }
  for (OptionGroup group : global_options()) {
    for (Option& option : group.options) {
      if (taken.count(option.short_name) != 0) option.short_name = '\0';
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<OptionGroup> shown_options(const std::vector<OptionGroup>& groups) {
  std::set<std::string> seen;
  std::vector<OptionGroup> shown;
  for (const OptionGroup& group : groups) {
    OptionGroup rest{group.title, {}};
    for (const Option& option : group.options) {
      if (seen.insert(option.name).second && !option.hidden) rest.options.push_back(option);
    }
    if (!rest.options.empty()) shown.push_back(std::move(rest));
  }
  return shown;
}

std::vector<OptionGroup> shown_options(const Verb& verb) {
  return shown_options(all_options(verb));
}

std::vector<Verb> shown_verbs(const std::vector<Verb>& verbs) {
  std::vector<Verb> shown;
  std::copy_if(verbs.begin(), verbs.end(), std::back_inserter(shown),
               [](const Verb& verb) { return !verb.hidden; });
  return shown;
}

std::string value_text(const Option& option) {
  switch (option.kind) {
    case Option::Kind::flag:
      return {};
    case Option::Kind::optional_bool:
      return "[=false]";
    case Option::Kind::words:
      return fmt::format("{0} [{0}...]", option.value_name);
    default:
      return option.value_name;
  }
}

std::string help_text(const Verb& verb, std::string_view program) {
  return fmt::format("{}\n\nUsage:\n  {} {} [flags] {}\n\n{}\n{}", verb.summary, program, verb.name,
                     verb.arguments, verb.description, options_text(all_options(verb)));
}

std::string help_text(const std::vector<Verb>& verbs, std::string_view program) {
  std::string text = fmt::format(
      "tug pushes and copies container images to registries, with nothing else "
      "installed.\n\nUsage:\n  {} [flags] VERB [flags] ARGUMENTS\n\nVerbs:\n",
      program);
  for (const Verb& verb : shown_verbs(verbs))
    text += fmt::format("  {:<17}{}\n", verb.name, verb.summary);
  text += options_text(global_options());
  return text + fmt::format("\n\"{} VERB --help\" tells more about a verb.\n", program);
}

}  // namespace tug::cli
