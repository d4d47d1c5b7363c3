#ifndef TUG_CLI_MANIFEST_DIGEST_VERB_H_
#define TUG_CLI_MANIFEST_DIGEST_VERB_H_

#include "cli/options.h"

namespace tug::cli {

Verb manifest_digest_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_MANIFEST_DIGEST_VERB_H_
