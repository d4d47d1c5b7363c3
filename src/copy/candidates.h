// What may already be at the destination in place of a planned blob: the blob itself, the blob that
// the image under the tag has for the same tar, and what the blob info cache remembers. Asking the
// destination is execute.cc's part.
#ifndef TUG_COPY_CANDIDATES_H_
#define TUG_COPY_CANDIDATES_H_

#include "copy/blob_info_cache.h"
#include "copy/layers.h"
#include "copy/plan.h"

#include <tug/blob.h>
#include <tug/copy.h>
#include <tug/descriptor.h>
#include <tug/reference.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// One copy's; the references must outlive it. After the last learn_from(), any thread may ask.
class Candidates {
 public:
  // `source` and `destination` are the repositories of the two ends, where they are registries.
  Candidates(const CopyOptions& options, BlobInfoCache& cache,
             std::optional<RegistryReference> source, std::optional<RegistryReference> destination);

  // The destination's present image and its config: its layers are paired with diff IDs.
  void learn_from(const Manifest& existing, std::string_view config_bytes);
  // The layer that image has for `layer`'s tar, if its compression is one that may be used.
  [[nodiscard]] std::optional<Descriptor> known_there(const PlannedBlob& layer) const;

  // In the order in which to ask. The blob info cache is read for it.
  [[nodiscard]] std::vector<Candidate> of(const PlannedBlob& planned) const;

 private:
  [[nodiscard]] bool is_acceptable(const PlannedBlob& planned, const Descriptor& layer) const;
  [[nodiscard]] std::optional<Candidate> original(const PlannedBlob& layer) const;
  void add_cached(const PlannedBlob& layer, std::vector<Candidate>& result) const;
  [[nodiscard]] std::string cached_type(const Blob& planned, std::string_view compressor) const;
  void add_location(const std::string& name, std::vector<RegistryReference>& mount_from) const;

  const CopyOptions& options_;
  BlobInfoCache& cache_;
  const std::optional<RegistryReference> source_;
  const std::optional<RegistryReference> destination_;
  std::map<Digest, Descriptor> there_;  // by diff ID
};

}  // namespace tug

#endif  // TUG_COPY_CANDIDATES_H_
