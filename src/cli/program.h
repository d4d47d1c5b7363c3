// The names that the program answers to: as `skopeo` it is the same verbs, as `buildah` the few
// that stand in for it (step-contract.md 8).
#ifndef TUG_CLI_PROGRAM_H_
#define TUG_CLI_PROGRAM_H_

#include "cli/options.h"

#include <tug/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

struct Program {
  std::string name;
  std::string version_line;
  const std::vector<Verb>& verbs;
  int failure_status;    // any failure
  int not_found_status;  // the image was not found
  // Tells the person who ran it why it failed, on standard error; never throws.
  void (*report)(std::string_view message) noexcept;
  std::string unknown_verb_hint;  // when no verb is near
};

// By the name that the program was started with (argv[0], with or without a path). Any other name
// than skopeo and buildah is tug.
const Program& program_named(std::string_view path);

}  // namespace tug::cli

#endif  // TUG_CLI_PROGRAM_H_
