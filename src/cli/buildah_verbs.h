// buildah's verbs that the original step runner calls after a push (step-contract.md 5.1, 8).
#ifndef TUG_CLI_BUILDAH_VERBS_H_
#define TUG_CLI_BUILDAH_VERBS_H_

#include "cli/options.h"

namespace tug::cli {

// Checks that the registry has the image, prints its ID, and remembers it for inspect: no layer is
// fetched.
Verb buildah_pull_verb();
// What pull has remembered, else what the registry says: FromImageDigest and its like, as JSON.
Verb buildah_inspect_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_BUILDAH_VERBS_H_
