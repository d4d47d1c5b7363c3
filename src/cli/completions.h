// Completion scripts for shells, made from the option table: verbs, flags, values that can be
// listed, files, and the transports of an image. Pure.
#ifndef TUG_CLI_COMPLETIONS_H_
#define TUG_CLI_COMPLETIONS_H_

#include "cli/options.h"

#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

// Needs bash 4 and none of the bash-completion package.
std::string bash_completion(const std::vector<Verb>& verbs, std::string_view program);
std::string zsh_completion(const std::vector<Verb>& verbs, std::string_view program);
std::string fish_completion(const std::vector<Verb>& verbs, std::string_view program);

}  // namespace tug::cli

#endif  // TUG_CLI_COMPLETIONS_H_
