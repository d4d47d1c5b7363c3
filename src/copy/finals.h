// Manifests as they are pushed: those of the plan, with what became of their blobs and children.
// Pure.
#ifndef TUG_COPY_FINALS_H_
#define TUG_COPY_FINALS_H_

#include "copy/plan.h"

#include <tug/copy.h>
#include <tug/descriptor.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tug {

// A manifest or index as it is pushed.
struct FinalManifest {
  Descriptor descriptor;
  std::string bytes;
};

// What the destination holds (or will hold) for a planned blob; nullopt: the blob that the source's
// manifest names.
using MadeBlob = std::function<std::optional<Descriptor>(std::size_t blob)>;

// One for each node of the plan. Throws Error(usage) for what a Docker manifest cannot hold.
std::vector<FinalManifest> final_manifests(const CopyPlan& plan, const CopyOptions& options,
                                           const MadeBlob& made);

}  // namespace tug

#endif  // TUG_COPY_FINALS_H_
