// tug copy --from-file, --all-images: many images in one run.
#ifndef TUG_CLI_BULK_COPY_H_
#define TUG_CLI_BULK_COPY_H_

#include "cli/context.h"
#include "cli/options.h"

#include <vector>

namespace tug::cli {

// The flags that only these runs have, for the option table.
std::vector<Option> bulk_copy_options();
// Whether the command line asks for many images.
bool asks_for_many(const Arguments& arguments);
// Copies them all, --jobs at a time; says a line (or with --json an object) for each as it ends.
// Returns the exit code. Throws Error: for what is wrong with the command line or the list, before
// anything is sent; when it is interrupted; and, at the end, when not all images were copied.
int run_bulk_copy(Context& context, const Arguments& arguments);

}  // namespace tug::cli

#endif  // TUG_CLI_BULK_COPY_H_
