#ifndef TUG_CLI_LIST_TAGS_VERB_H_
#define TUG_CLI_LIST_TAGS_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb list_tags_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_LIST_TAGS_VERB_H_
