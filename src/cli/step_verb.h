#ifndef TUG_CLI_STEP_VERB_H_
#define TUG_CLI_STEP_VERB_H_

#include "cli/options.h"

namespace tug::cli {

// The push-container-image step of the Ploigos Step Runner; its exit codes are those of
// step-contract.md 2.2.
Verb step_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_STEP_VERB_H_
