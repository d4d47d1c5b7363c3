#include "cli/completions.h"

#include "base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

namespace tug::cli {
namespace {

using Kind = Option::Kind;

// What can be offered for a value or an argument, as the scripts name it: words, or one of these.
constexpr std::string_view kFile = "@file";
constexpr std::string_view kDirectory = "@dir";
constexpr std::string_view kBoolean = "@bool";   // behind "=" alone
constexpr std::string_view kSource = "@source";  // an image that is read
constexpr std::string_view kDestination = "@destination";
constexpr std::string_view kNothing = "@nothing";

constexpr std::string_view kSourceTransports = "oci: containers-storage: docker://";
constexpr std::string_view kDestinationTransports = "docker://";

// "" for a flag without a value.
std::string_view offer_for(const Option& option) {
  const std::string_view name = option.value_name;
  if (option.kind == Kind::flag) return {};
  if (option.kind == Kind::optional_bool) return kBoolean;
  if (*option.choices != '\0') return option.choices;
  if (name == "FILE" || name == "PATH") return kFile;
  return name == "DIR" ? kDirectory : kNothing;
}

// What the verb's arguments are, in order.
std::vector<std::string> argument_offers(const Verb& verb) {
  std::vector<std::string> offers;
  for (const std::string_view argument : split(verb.arguments, ' ')) {
    if (argument.empty()) continue;
    if (argument == "SOURCE" || argument == "IMAGE") {
      offers.emplace_back(kSource);
    } else if (argument == "DESTINATION") {
      offers.emplace_back(kDestination);
    } else if (std::islower(static_cast<unsigned char>(argument.front())) != 0) {
      offers.emplace_back(argument);
      std::replace(offers.back().begin(), offers.back().end(), '|', ' ');
    } else {
      offers.emplace_back(kNothing);
    }
  }
  return offers;
}

std::vector<Option> flat(const std::vector<OptionGroup>& groups) {
  std::vector<Option> options;
  for (const OptionGroup& group : groups)
    options.insert(options.end(), group.options.begin(), group.options.end());
  return options;
}

// ---- bash
// ----------------------------------------------------------------------------------------

// Flags that may stand before the verb are those of all verbs.
std::vector<Option> options_before_verb(const std::vector<Verb>& verbs) {
  std::vector<OptionGroup> groups = global_options();
  for (const Verb& verb : verbs)
    groups.insert(groups.end(), verb.groups.begin(), verb.groups.end());
  return flat(shown_options(groups));
}

std::string bash_flags_case(std::string_view verb, const std::vector<Option>& options) {
  std::string words;
  for (const Option& option : options) words += " --" + option.name;
  return fmt::format("    {}) echo{} ;;\n", single_quoted(verb), words);
}

std::string bash_values_cases(std::string_view verb, const std::vector<Option>& options) {
  std::map<std::string, std::string> patterns;  // by what is offered
  for (const Option& option : options) {
    const std::string_view offer = offer_for(option);
    if (offer.empty()) continue;
    std::string& pattern = patterns[std::string(offer)];
    const auto add = [&](const std::string& flag) {
      pattern += fmt::format("{}{},{}", pattern.empty() ? "" : " | ", verb, flag);
    };
    add("--" + option.name);
    if (option.short_name != '\0') add(std::string("-") + option.short_name);
  }
  std::string cases;
  for (const auto& [offer, pattern] : patterns)
    cases += fmt::format("    {}) echo {} ;;\n", pattern, single_quoted(offer));
  return cases;
}

std::string bash_arguments_case(const Verb& verb) {
  std::string cases;
  int number = 0;
  for (const std::string& offer : argument_offers(verb))
    cases += fmt::format("    {},{}) echo {} ;;\n", verb.name, ++number, single_quoted(offer));
  return cases;
}

// "PROGRAM" is replaced. The current word is read from the line: bash has split it at the colons of
// "oci:" and "docker://".
constexpr std::string_view kBashFunctions = R"BASH(
_PROGRAM_offer() {
  local cur=$1 prefix=$2 offer=$3 word
  case $offer in
    @file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null ;;
    @dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames 2>/dev/null ;;
    @source)
      if [[ $cur == oci:* ]]; then
        _PROGRAM_offer "${cur#oci:}" "${prefix}oci:" @dir
        compopt -o nospace 2>/dev/null
        return 0
      fi
      mapfile -t COMPREPLY < <(compgen -W 'SOURCES' -- "$cur")
      compopt -o nospace 2>/dev/null ;;
    @destination)
      mapfile -t COMPREPLY < <(compgen -W 'DESTINATIONS' -- "$cur")
      compopt -o nospace 2>/dev/null ;;
    @*) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur") ;;
  esac
  # Only what stands behind the last character at which bash splits is replaced.
  local whole=$prefix$cur break i
  for break in : =; do
    [[ $COMP_WORDBREAKS == *"$break"* && $whole == *"$break"* ]] || continue
    for i in "${!COMPREPLY[@]}"; do
      word=$prefix${COMPREPLY[i]}
      COMPREPLY[i]=${word#"${whole%"$break"*}$break"}
    done
    prefix='' whole=${whole##*"$break"}
  done
  if [[ $prefix ]]; then COMPREPLY=("${COMPREPLY[@]/#/$prefix}"); fi
  return 0
}

_PROGRAM() {
  local line=${COMP_LINE:0:COMP_POINT} verb='' count=0 skip='' word offer
  local cur=${line##*[[:space:]]} before=${line%"${line##*[[:space:]]}"}
  local -a words
  read -ra words <<<"$before"
  COMPREPLY=()
  for word in "${words[@]:1}"; do
    if [[ $skip ]]; then
      skip=''
    elif [[ $word == -* ]]; then
      offer=$(_PROGRAM_values "$verb" "$word")
      if [[ $offer && $offer != @bool && $word != *=* ]]; then skip=$offer; fi
    elif [[ ! $verb ]]; then
      verb=$word
    else
      count=$((count + 1))
    fi
  done
  if [[ $skip ]]; then
    _PROGRAM_offer "$cur" '' "$skip"
  elif [[ $cur == --*=* ]]; then
    offer=$(_PROGRAM_values "$verb" "${cur%%=*}")
    if [[ $offer == @bool ]]; then offer='true false'; fi
    _PROGRAM_offer "${cur#*=}" "${cur%%=*}=" "${offer:-@nothing}"
  elif [[ $cur == -* ]]; then
    _PROGRAM_offer "$cur" '' "$(_PROGRAM_flags "$verb")"
  elif [[ ! $verb ]]; then
    _PROGRAM_offer "$cur" '' 'VERBS'
  else
    offer=$(_PROGRAM_arguments "$verb" "$((count + 1))")
    _PROGRAM_offer "$cur" '' "${offer:-@nothing}"
  fi
}
complete -F _PROGRAM PROGRAM
)BASH";

std::string replace_all(std::string text, std::string_view word, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size())
    text.replace(at, word.size(), by);
  return text;
}

std::string verb_words(const std::vector<Verb>& verbs) {
  std::string words;
  for (const Verb& verb : verbs) words += std::string(words.empty() ? "" : " ") + verb.name;
  return words + " help";
}

// ---- zsh
// -----------------------------------------------------------------------------------------

// Text inside "[…]" or between ":" of a specification.
std::string zsh_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_action(std::string_view offer) {
  if (offer == kFile) return "_files";
  if (offer == kDirectory) return "_files -/";
  if (offer == kBoolean) return "(true false)";
  if (offer == kSource) return "_PROGRAM_source";
  if (offer == kDestination) return "_PROGRAM_destination";
  if (offer == kNothing) return " ";
  return fmt::format("({})", offer);
}

std::string zsh_option(const Option& option) {
  const bool repeats = option.kind == Kind::list || option.kind == Kind::words;
  std::string rest = "[" + zsh_text(option.help) + "]";
  if (option.kind == Kind::optional_bool) {
    rest = "=-" + rest + ":value:" + zsh_action(kBoolean);
  } else if (option.kind != Kind::flag) {
    rest = "=" + rest + ":" + zsh_text(option.value_name) + ":" + zsh_action(offer_for(option));
  }
  const std::string name = "--" + option.name;
  if (option.short_name == '\0') return single_quoted((repeats ? "*" : "") + name + rest);
  const std::string short_name = std::string("-") + option.short_name;
  // A short name takes no "=".
  const std::string short_rest =
      rest.front() == '=' ? rest.substr(rest.starts_with("=-") ? 2 : 1) : rest;
  const std::string others = repeats ? "*" : fmt::format("({} {})", short_name, name);
  return single_quoted(others + short_name + short_rest) + " " +
         single_quoted(others + name + rest);
}

std::string zsh_verb(const Verb& verb) {
  std::string text = fmt::format("    {})\n      _arguments -s", verb.name);
  for (const Option& option : flat(shown_options(verb)))
    text += " \\\n        " + zsh_option(option);
  int number = 0;
  for (const std::string& offer : argument_offers(verb)) {
    ++number;
    text +=
        " \\\n        " + single_quoted(fmt::format("{}:argument:{}", number, zsh_action(offer)));
  }
  return text + " ;;\n";
}

constexpr std::string_view kZshFunctions = R"ZSH(
_PROGRAM_source() {
  if compset -P 'oci:'; then
    _files -/
  else
    compadd -S '' -- SOURCES
  fi
}

_PROGRAM_destination() {
  compadd -S '' -- DESTINATIONS
}
)ZSH";

// ---- fish
// ----------------------------------------------------------------------------------------

std::string fish_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish_values(std::string_view offer) {
  if (offer.empty() || offer == kBoolean) return {};
  if (offer == kFile) return " -r -F";
  if (offer == kDirectory) return " -x -a '(__fish_complete_directories)'";
  if (offer == kNothing) return " -x";
  return " -x -a " + fish_quoted(offer);
}

std::string fish_option(const std::string& condition, const Option& option) {
  std::string line = "complete -c PROGRAM" + condition + " -l " + option.name;
  if (option.short_name != '\0') line += std::string(" -s ") + option.short_name;
  return line + fish_values(offer_for(option)) + " -d " + fish_quoted(option.help) + "\n";
}

std::string fish_arguments(const std::string& condition, const Verb& verb) {
  std::string words;
  for (const std::string& offer : argument_offers(verb)) {
    if (offer == kSource) words += " " + std::string(kSourceTransports);
    if (offer.front() != '@') words += " " + offer;
  }
  return words.empty()
             ? ""
             : "complete -c PROGRAM" + condition + " -a " + fish_quoted(words.substr(1)) + "\n";
}

std::string finished(std::string text, const std::vector<Verb>& verbs, std::string_view program) {
  text = replace_all(std::move(text), "SOURCES", kSourceTransports);
  text = replace_all(std::move(text), "DESTINATIONS", kDestinationTransports);
  text = replace_all(std::move(text), "VERBS", verb_words(verbs));
  return replace_all(std::move(text), "PROGRAM", program);
}

}  // namespace

std::string bash_completion(const std::vector<Verb>& all_verbs, std::string_view program) {
  const std::vector<Verb> verbs = shown_verbs(all_verbs);
  const std::vector<Option> first = options_before_verb(verbs);
  std::string flags = bash_flags_case("", flat(shown_options(global_options())));
  std::string values = bash_values_cases("", first);
  std::string arguments;
  for (const Verb& verb : verbs) {
    const std::vector<Option> options = flat(shown_options(verb));
    flags += bash_flags_case(verb.name, options);
    values += bash_values_cases(verb.name, options);
    arguments += bash_arguments_case(verb);
  }
  arguments += fmt::format("    help,1) echo {} ;;\n", single_quoted(verb_words(verbs)));
  const std::string tables = fmt::format(
      "# bash completion for PROGRAM, made from its option table.\n\n"
      "# The flags of a verb.\n_PROGRAM_flags() {{\n  case $1 in\n{}  esac\n}}\n\n"
      "# What the value of a verb's flag can be.\n_PROGRAM_values() {{\n  case $1,$2 in\n{}  "
      "esac\n}}"
      "\n\n# What an argument of a verb can be.\n_PROGRAM_arguments() {{\n  case $1,$2 in\n{}  "
      "esac\n"
      "}}\n",
      flags, values, arguments);
  return finished(tables + std::string(kBashFunctions), verbs, program);
}

std::string zsh_completion(const std::vector<Verb>& all_verbs, std::string_view program) {
  const std::vector<Verb> verbs = shown_verbs(all_verbs);
  std::string names;
  std::string cases;
  for (const Verb& verb : verbs) {
    names += "\n    " + single_quoted(std::string(verb.name) + ":" + zsh_text(verb.summary));
    cases += zsh_verb(verb);
  }
  std::string options;
  for (const Option& option : flat(shown_options(global_options())))
    options += "    " + zsh_option(option) + " \\\n";
  const std::string text = fmt::format(
      "#compdef PROGRAM\n# Made from the option table of PROGRAM.\n{}\n_PROGRAM() {{\n"
      "  local curcontext=$curcontext state line\n  typeset -A opt_args\n  local -a verbs=({}\n  "
      ")\n"
      "  _arguments -C -s \\\n{}    '1:verb:->verb' '*::argument:->argument'\n"
      "  if [[ $state == verb ]]; then\n    _describe verb verbs\n    return\n  fi\n"
      "  case $words[1] in\n{}  esac\n}}\n\n"
      "if [[ $funcstack[1] == _PROGRAM ]]; then\n  _PROGRAM \"$@\"\nelse\n  compdef _PROGRAM "
      "PROGRAM\n"
      "fi\n",
      kZshFunctions, names, options, cases);
  return finished(text, verbs, program);
}

std::string fish_completion(const std::vector<Verb>& all_verbs, std::string_view program) {
  const std::vector<Verb> verbs = shown_verbs(all_verbs);
  std::string text =
      "# fish completion for PROGRAM, made from its option table.\ncomplete -c PROGRAM -f\n";
  for (const Verb& verb : verbs) {
    text += fmt::format("complete -c PROGRAM -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                        fish_quoted(verb.summary));
  }
  for (const Option& option : flat(shown_options(global_options())))
    text += fish_option(" -n __fish_use_subcommand", option);
  for (const Verb& verb : verbs) {
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", verb.name);
    for (const Option& option : flat(shown_options(verb))) text += fish_option(condition, option);
    text += fish_arguments(condition, verb);
  }
  return finished(std::move(text), verbs, program);
}

}  // namespace tug::cli
