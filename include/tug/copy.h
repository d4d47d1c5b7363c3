// One copy: how it is done (CopyOptions), and what came of it (CopyReport). Values, and the
// functions that do it.
#ifndef TUG_COPY_H_
#define TUG_COPY_H_

#include "tug/descriptor.h"
#include "tug/digest.h"
#include "tug/manifest.h"
#include "tug/progress.h"
#include "tug/reference.h"
#include "tug/registry.h"
#include "tug/transport.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug {

enum class LayerCompression { gzip, zstd };

// Which instances of an index are copied (--all, --multi-arch).
struct InstanceSelection {
  enum class Kind { system, all, index_only, platforms };
  Kind kind = Kind::system;
  std::vector<Platform> platforms = {};  // for Kind::platforms
};

struct CopyOptions {
  InstanceSelection instances;
  Platform platform = Platform::host();  // for Kind::system, after --override-os/-arch/-variant
  std::vector<std::string>
      additional_tags;  // names only: pushed to the destination's repository as well
  // Bodies in flight at most; unset: 6, and beside them small ones, which cost round trips and no
  // bandwidth.
  std::optional<int> parallel_blobs = {};
  bool skip_existing = true;  // the tag has our digest already: send nothing
  // What would change a manifest is not done, or refused where it was asked for (Error(usage)).
  bool preserve_digests = false;
  // --format: manifests of the other format are converted; unset: as the destination wants them.
  std::optional<ManifestFormat> format = {};
  // --dest-compress-format: all layers are compressed with this; unset: gzip where one is needed.
  std::optional<LayerCompression> compression;
  std::optional<int> compression_level;
  bool force_compression = false;
  bool use_blob_info_cache = true;
  bool strip_removed_platforms =
      false;  // with Kind::platforms: the index pushed names only what was copied
  // Copy what others say of the image too: manifests that name it (or a manifest below it) as their
  // subject, and theirs; and what cosign's tags "sha256-….sig", ".att" and ".sbom" name.
  bool referrers = false;
  bool digest_tags = false;
  bool dry_run = false;
};

// What becomes of one blob.
struct BlobReport {
  Descriptor descriptor;  // as pushed
  BlobOutcome outcome = BlobOutcome::existed;
  std::uint64_t bytes_sent = 0;
};

struct CopyReport {
  Descriptor
      manifest;  // of what the tag names now; its digest is computed here, from the bytes sent
  // False only after a dry run that would compress layers: the digest is then that of the image
  // before.
  bool digest_is_final = true;
  bool skipped = false;  // the destination had it already, nothing was sent
  std::vector<BlobReport> blobs = {};
  std::vector<Descriptor> instances = {};  // manifests pushed below an index
  std::vector<std::string> tags = {};      // all tags that name it now
  std::vector<Descriptor> attached = {};   // referrers, and what digest tags name
  std::uint64_t bytes_sent = 0;            // bodies of blobs and manifests
  std::chrono::duration<double> elapsed{};
};

// Copies what `source` names to `destination`. Blocking; runs its own workers. Throws Error; then
// no tag was moved to anything incomplete.
CopyReport copy_image(ImageSource& source, ImageDestination& destination,
                      const CopyOptions& options, Progress& progress, std::stop_token stop);

// How the ends of a copy are reached when they are given by name.
struct CopyAccess {
  RegistryAccess source = {};
  RegistryAccess destination = {};
  RetryPolicy retry = {};
  Timeouts timeouts = {};
};

// The same with references in place of opened ends, as `tug copy` does it: credentials, CAs,
// registries.conf and policy.json are looked for where they usually are. But nothing is kept of a
// push that broke off. Throws Error(denied) too, when the policy forbids the source.
CopyReport copy_image(const ImageReference& source, const ImageReference& destination,
                      const CopyOptions& options = {}, const CopyAccess& access = {},
                      Progress* progress = nullptr, const std::stop_token& stop = {});

}  // namespace tug

#endif  // TUG_COPY_H_
