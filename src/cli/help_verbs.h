// tug completion SHELL, and what the build makes manual pages and completions with.
#ifndef TUG_CLI_HELP_VERBS_H_
#define TUG_CLI_HELP_VERBS_H_

#include "cli/options.h"

namespace tug::cli {

Verb completion_verb();
Verb generate_docs_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_HELP_VERBS_H_
