#ifndef TUG_CLI_LOGIN_VERB_H_
#define TUG_CLI_LOGIN_VERB_H_

#include "cli/options.h"

namespace tug::cli {

// Words and exit codes are those of `skopeo login` and `skopeo logout`; buildah's are the same
// verbs, so that Verb::run serves under its name too.
Verb login_verb();
Verb logout_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_LOGIN_VERB_H_
