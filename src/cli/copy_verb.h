#ifndef TUG_CLI_COPY_VERB_H_
#define TUG_CLI_COPY_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb copy_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_COPY_VERB_H_
