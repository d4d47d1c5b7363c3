#ifndef TUG_CLI_DELETE_VERB_H_
#define TUG_CLI_DELETE_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb delete_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_DELETE_VERB_H_
