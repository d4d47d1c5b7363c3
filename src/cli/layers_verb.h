// tug layers IMAGE [DIGEST...]
#ifndef TUG_CLI_LAYERS_VERB_H_
#define TUG_CLI_LAYERS_VERB_H_

#include "cli/options.h"

namespace tug::cli {

// skopeo's deprecated and hidden verb: an image's blobs in a new directory layers-XXXXXX.
Verb layers_verb();

}  // namespace tug::cli

#endif  // TUG_CLI_LAYERS_VERB_H_
