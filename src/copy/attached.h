// What others say of an image, copied after it: referrers (manifests that name it as their
// subject), and what cosign's tags name.
#ifndef TUG_COPY_ATTACHED_H_
#define TUG_COPY_ATTACHED_H_

#include "copy/execute.h"

#include <tug/copy.h>
#include <tug/digest.h>
#include <tug/progress.h>
#include <tug/transport.h>

#include <stop_token>
#include <vector>

namespace tug {

// Throws Error(usage) when `destination` holds one image only, but others are asked for.
void check_holds_attached(ImageDestination& destination, const Digest& image,
                          const CopyOptions& options);

// Copies what options.referrers and options.digest_tags ask for of `subjects`, byte for byte, and
// says what that was. A listed referrer that names another subject is left out, which a note says.
std::vector<CopyReport> copy_attached(ImageSource& source, ImageDestination& destination,
                                      const std::vector<Digest>& subjects,
                                      const CopyOptions& options,
                                      const CopyEnvironment& environment, Progress& progress,
                                      const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_COPY_ATTACHED_H_
