// tug: flags → verb → run → exit code.
#include "base/strings.h"
#include "cli/context.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/signals.h"

#include <tug/error.h>

#include <fmt/format.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace tug::cli {
namespace {

constexpr int kExitSignalBase = 128;

int exit_code(const Program& program, const Error& error, const StopOnSignal& signals) {
  if (error.kind() == ErrorKind::interrupted && signals.signal() != 0)
    return kExitSignalBase + signals.signal();
  return error.kind() == ErrorKind::not_found ? program.not_found_status : program.failure_status;
}

// `find` in the global options, then in the verbs'.
template <typename Find>
const Option* find_in_any_verb(const Program& program, Find find) {
  if (const Option* option = find(global_options())) return option;
  for (const Verb& verb : program.verbs) {
    if (const Option* option = find(verb.groups)) return option;
  }
  return nullptr;
}

[[noreturn]] void refuse_unknown(const Program& program, std::string_view flag) {
  throw Error(ErrorKind::usage, fmt::format("unknown flag: {}", printable(flag, 60)))
      .set_hint(fmt::format("\"{} --help\" lists the flags of every verb", program.name));
}

// Whether the word behind this one ("--name", "--name=value", "-nf", "-fvalue") is its value.
bool takes_next_word(const Program& program, std::string_view word) {
  if (word.starts_with("--")) {
    const std::string_view name = word.substr(2, word.find('=') - 2);
    const Option* option =
        find_in_any_verb(program, [&](const auto& groups) { return find_option(groups, name); });
    if (option == nullptr) refuse_unknown(program, word.substr(0, word.find('=')));
    return takes_value(*option) && word.find('=') == std::string_view::npos;
  }
  for (std::size_t i = 1; i < word.size() && word[i] != '='; ++i) {
    const Option* option = find_in_any_verb(
        program, [&](const auto& groups) { return find_short_option(groups, word[i]); });
    if (option == nullptr) refuse_unknown(program, std::string{'-', word[i]});
    if (takes_value(*option)) return i + 1 == word.size();
  }
  return false;
}

// The position of the verb: the first word that is neither a flag nor a flag's value. What follows
// a flag that nobody knows may be a password: then the flag is what is wrong, and all that is
// shown.
std::size_t find_verb(const Program& program, const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() < 2 || words[i].front() != '-') return i;
    if (takes_next_word(program, words[i])) ++i;
  }
  return words.size();
}

// skopeo's verbs that tug does not have.
constexpr std::array kMissingVerbs{"standalone-sign", "standalone-verify", "generate-sigstore-key",
                                   "untrusted-signature-dump-without-verification",
                                   "experimental-image-proxy"};

const Verb& verb_named(const Program& program, const std::string& name) {
  if (std::find(kMissingVerbs.begin(), kMissingVerbs.end(), name) != kMissingVerbs.end())
    throw Error(ErrorKind::usage, fmt::format("tug does not have skopeo's command {}", name));
  std::vector<std::string> names;
  for (const Verb& verb : program.verbs) {
    if (name == verb.name) return verb;
    if (!verb.hidden) names.emplace_back(verb.name);
  }
  Error error(ErrorKind::usage,
              fmt::format("unknown command \"{}\" for \"{}\"", printable(name, 60), program.name));
  const std::string near = nearest(name, names);
  throw error.set_hint(near.empty() ? program.unknown_verb_hint
                                    : fmt::format("did you mean \"{}\"?", near));
}

int run_without_verb(const Program& program, const std::vector<std::string>& words) {
  const Arguments arguments = parse_arguments(global_options(), words);
  if (arguments.flag("version")) {
    write_stdout(program.version_line + "\n");
    return EXIT_SUCCESS;
  }
  if (!arguments.flag("help")) {
    throw Error(ErrorKind::usage, "no command")
        .set_hint(fmt::format("\"{} --help\" lists the commands", program.name));
  }
  write_stdout(help_text(program.verbs, program.name));
  return EXIT_SUCCESS;
}

int run_verb(const Program& program, const Verb& verb, const std::vector<std::string>& words,
             StopOnSignal& signals) {
  const Arguments arguments = parse_arguments(all_options(verb), words);
  if (arguments.flag("help")) {
    write_stdout(help_text(verb, program.name));
    return EXIT_SUCCESS;
  }
  if (arguments.flag("version")) {
    write_stdout(program.version_line + "\n");
    return EXIT_SUCCESS;
  }
  if (verb.argument_count != kJudgedByVerb)
    require_arguments(arguments, verb.argument_count, verb.name, verb.arguments, program.name);
  if (const auto limit = arguments.duration("command-timeout"); limit && limit->count() > 0)
    signals.set_time_limit(*limit);
  Context context(program.name, arguments, signals.token());
  return verb.run(context, arguments);
}

int run(const Program& program, const std::vector<std::string>& words, StopOnSignal& signals) {
  const std::size_t position = find_verb(program, words);
  if (position == words.size()) return run_without_verb(program, words);
  if (words[position] == "help") {
    write_stdout(position + 1 < words.size()
                     ? help_text(verb_named(program, words[position + 1]), program.name)
                     : help_text(program.verbs, program.name));
    return EXIT_SUCCESS;
  }
  const Verb& verb = verb_named(program, words[position]);
  std::vector<std::string> rest = words;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(position));
  try {
    return run_verb(program, verb, rest, signals);
  } catch (const Error& error) {
    if (verb.usage_status == 0 || error.kind() != ErrorKind::usage) throw;
    program.report(error.what());
    return verb.usage_status;
  }
}

// Large buffers go back to the system when they are freed. By itself glibc stops to do that after
// the first one, which costs 5 MB of a push that compresses six layers.
void tune_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  mallopt(M_ARENA_MAX, 2);
#endif
}

// Many layers at once, each with some of its files open, are more descriptors than the usual soft
// limit of 1024, which is only there for programs that use select(). Helper programs, which get
// none of our descriptors, inherit the limit as it is then.
void raise_descriptor_limit() {
  constexpr rlim_t kPlenty = 65536;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kPlenty);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Started without a standard descriptor (">&-"), we would give its number to the next file that is
// opened, the cache's or a socket, and what we have to say would be written there. This stands in
// its place: whoever reads or writes it gets EBADF, as if it were closed.
void occupy_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int same = open("/", O_PATH);
  }
}

}  // namespace
}  // namespace tug::cli

int main(int argc, char** argv) {
  using namespace tug;
  using namespace tug::cli;
  occupy_standard_descriptors();
  tune_memory();
  raise_descriptor_limit();
  const Program& program = program_named(argc > 0 ? argv[0] : "tug");
  try {
    StopOnSignal signals;
    try {
      return run(program, std::vector<std::string>(argv + std::min(argc, 1), argv + argc), signals);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::interrupted && signals.timed_out())
        error.add_context("the time limit (--command-timeout) is over");
      program.report(error.what());
      return exit_code(program, error, signals);
    }
  } catch (const std::exception& error) {
    program.report(error.what());
    return program.failure_status;
  }
}
