#ifndef TUG_CLI_INSPECT_VERB_H_
#define TUG_CLI_INSPECT_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb inspect_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_INSPECT_VERB_H_
