// tug sync: many images from one place to another, in one run
#ifndef TUG_CLI_SYNC_VERB_H_
#define TUG_CLI_SYNC_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb sync_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_VERB_H_
