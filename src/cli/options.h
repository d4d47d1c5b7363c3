// The option table: the one place that says which verbs and flags exist. Parsing, --help, the man
// page and the completions are made from it. cxxopts is known to options.cc alone.
#ifndef TUG_CLI_OPTIONS_H_
#define TUG_CLI_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

struct Option {
  enum class Kind {
    flag,           // --quiet
    optional_bool,  // --tls-verify, --tls-verify=false; takes a value with '=' only
    value,          // --authfile FILE, --authfile=FILE
    list,           // --additional-tag TAG, may be repeated; also splits at commas
    words,          // --config A B C: all words up to the next flag; the last one given counts
  };
  std::string name;
  char short_name;  // '\0': none
  Kind kind;
  const char* value_name;
  const char* help;
  bool hidden = false;  // accepted, not shown
  // The words that are values, separated by spaces, where they can be listed. A value_name of FILE,
  // DIR or PATH says what else a shell can offer.
  const char* choices = "";
};

// A heading and its flags.
struct OptionGroup {
  const char* title;
  std::vector<Option> options;
};

// What was given on the command line.
class Arguments {
 public:
  [[nodiscard]] const std::vector<std::string>& positional() const noexcept { return positional_; }
  // An empty value is none, as in skopeo: scripts write --flag "$VAR". text() is for the flags that
  // skopeo refuses then.
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> value(
      std::string_view name) const;                                            // the last one given
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;  // an empty one too
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;    // and of words
  // Throw Error(usage) naming the flag, for an empty value too.
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::optional<bool> optional_bool(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name, std::int64_t low,
                                                    std::int64_t high) const;
  [[nodiscard]] std::optional<std::chrono::milliseconds> duration(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint64_t> bytes(std::string_view name, std::uint64_t low,
                                                   std::uint64_t high) const;

 private:
  friend Arguments parse_arguments(const std::vector<OptionGroup>&,
                                   const std::vector<std::string>&);
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> positional_;
};

// The option with this long name, without the dashes; nullptr if there is none.
const Option* find_option(const std::vector<OptionGroup>& groups, std::string_view name);
const Option* find_short_option(const std::vector<OptionGroup>& groups, char letter);
// Whether the word behind such a flag is its value, unless one is attached.
bool takes_value(const Option& option) noexcept;

// Options and arguments may be mixed; "--" ends options. Throws Error(usage): unknown flag (with
// the nearest known one; of a short one only its letter is shown, since what stands behind it may
// be a password), missing value.
Arguments parse_arguments(const std::vector<OptionGroup>& groups,
                          const std::vector<std::string>& words);

// Throws Error(usage) unless there are `count` arguments; `names` is what a verb's are called.
void require_arguments(const Arguments& arguments, std::size_t count, std::string_view verb,
                       std::string_view names, std::string_view program);

// A Go duration: "30s", "1m30s", "500ms", "1.5h", "0". nullopt when it is none or negative.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

class Context;

// The verb says itself, in skopeo's words, what is wrong with the number of its arguments.
constexpr std::size_t kJudgedByVerb = std::numeric_limits<std::size_t>::max();

struct Verb {
  const char* name;
  const char* arguments;  // "SOURCE DESTINATION"; words in lower case stand for themselves: "a|b"
  const char* summary;    // one line
  const char* description;
  std::vector<OptionGroup> groups;
  std::size_t argument_count;  // or kJudgedByVerb
  int (*run)(Context& context, const Arguments& arguments);
  int usage_status = 0;  // the exit code for a wrong command line, when not the program's
  bool hidden = false;   // works, not shown
};

// Flags of every verb, before or after it.
const std::vector<OptionGroup>& global_options();
const std::vector<Verb>& verbs();
// The verb's flags, then the global ones; those leave a letter to the verb that it uses itself
// (login's -v is --verbose).
std::vector<OptionGroup> all_options(const Verb& verb);
// Those that are shown, one of each name: a verb's own flag hides the global one.
std::vector<OptionGroup> shown_options(const std::vector<OptionGroup>& groups);
std::vector<OptionGroup> shown_options(const Verb& verb);
std::vector<Verb> shown_verbs(const std::vector<Verb>& verbs);
// "FILE", "[=false]", "PATH [PATH...]": what stands behind the flag's name; "" for a flag.
std::string value_text(const Option& option);

// Groups that several verbs share; `prefix` is "", "src-" or "dest-".
std::vector<Option> registry_options(const std::string& prefix);
// Where a Docker daemon listens; `name` is the flag's.
Option daemon_option(const std::string& name);
std::vector<Option> retry_options();

// `program` is the name that the program goes by (program.h).
std::string help_text(const Verb& verb, std::string_view program);
std::string help_text(const std::vector<Verb>& verbs, std::string_view program);

}  // namespace tug::cli

#endif  // TUG_CLI_OPTIONS_H_
