// The blobs of one copy on their way: what is there is found, what is missing is sent (design 6).
#ifndef TUG_COPY_BLOB_MOVER_H_
#define TUG_COPY_BLOB_MOVER_H_

#include "copy/candidates.h"
#include "copy/execute.h"
#include "copy/plan.h"

#include <tug/copy.h>
#include <tug/descriptor.h>
#include <tug/progress.h>
#include <tug/transport.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug {

// Requests without a body: many more of them than of bodies may be under way (user-asks 5).
inline constexpr std::size_t kParallelRequests = 32;

// What became of a planned blob.
struct BlobState {
  std::optional<Descriptor> made;  // what the destination holds for it; set once it is there
  BlobOutcome outcome = BlobOutcome::existed;
  std::uint64_t bytes_sent = 0;
  bool converted = false;  // it was compressed here: its digest was not known before
};

// One copy's; the references must outlive it. Its methods are called by one thread, and run workers
// of their own. Blobs are named by their position in the plan.
class BlobMover {
 public:
  BlobMover(const CopyPlan& plan, const CopyOptions& options, const CopyEnvironment& environment,
            const Candidates& candidates, ImageDestination& destination, Progress& progress,
            std::stop_token stop);
  BlobMover(const BlobMover&) = delete;
  BlobMover& operator=(const BlobMover&) = delete;

  // Parallel to the plan's blobs.
  [[nodiscard]] const std::vector<BlobState>& states() const noexcept { return states_; }

  // Every blob is there when it returns; in a dry run it only finds out what is. Throws Error.
  void move_all();
  // The destination misses these, though they had been there or it said so: sends them again,
  // without asking for any but those that were sent, which may become visible late.
  void supply(std::vector<std::size_t> blobs);
  // A copy that sends nothing, since the image is there: its blobs are, as `expected` says.
  void assume_there(std::size_t blob, const Descriptor& expected) { states_[blob].made = expected; }
  // Into the shared cache, that all are where they are: those that were compressed here are
  // remembered already.
  void remember_all();

 private:
  [[nodiscard]] std::vector<std::size_t> all_blobs() const;
  [[nodiscard]] std::string shared_key(const PlannedBlob& layer) const;
  [[nodiscard]] Descriptor as_planned(std::size_t blob, const Descriptor& there) const;
  [[nodiscard]] bool needs_slot(std::size_t blob) const;
  void refuse_layers_with_other_digests() const;
  void announce_bytes(const std::vector<std::size_t>& blobs);

  void find(std::size_t blob, const std::stop_token& stop);
  void find(std::size_t blob, SharedBlobs::Answer answer, const std::stop_token& stop);
  void await(std::size_t blob, const std::stop_token& stop);
  void find_at_destination(std::size_t blob, bool may_open, const std::stop_token& stop);
  std::optional<Descriptor> mount(const Descriptor& candidate, const RegistryReference& from,
                                  const std::stop_token& stop);
  std::optional<Descriptor> probe(const Descriptor& candidate, const std::stop_token& stop);
  bool appears_after_all(const BlobState& state, const std::stop_token& stop);
  void settle(std::size_t blob, Descriptor descriptor, BlobOutcome outcome);

  void send(const std::vector<std::size_t>& missing);
  [[nodiscard]] std::vector<std::size_t> in_image_order(
      const std::vector<std::size_t>& missing) const;
  [[nodiscard]] bool may_change_digest() const noexcept;
  void upload(std::size_t blob, const std::stop_token& stop);
  void make_and_upload(std::size_t blob, const SentCallback& sent, const std::stop_token& stop);
  void remember(const std::vector<std::size_t>& blobs);

  const CopyPlan& plan_;
  const CopyOptions& options_;
  const CopyEnvironment& environment_;
  const Candidates& candidates_;
  ImageDestination& destination_;
  Progress& progress_;
  const std::stop_token stop_;
  const std::optional<RegistryReference> repository_;
  const Intake intake_;
  const std::shared_ptr<BodySlots> slots_;
  // What the copies of the process do together.
  struct Shared {
    std::optional<SharedBlobs::Claim> claim;
    bool awaited = false;  // another copy is getting it to the registry
  };
  // Parallel to the plan's blobs; each element is touched by one worker at a time.
  std::vector<BlobState> states_;
  std::vector<Shared> shared_;
};

}  // namespace tug

#endif  // TUG_COPY_BLOB_MOVER_H_
