// What a long operation reports while it runs. The copy engine calls it; the command line draws it.
#ifndef TUG_PROGRESS_H_
#define TUG_PROGRESS_H_

#include "tug/descriptor.h"

#include <cstdint>
#include <string_view>

namespace tug {

// How a blob came to be at the destination.
enum class BlobOutcome {
  uploaded,  // its bytes were sent
  mounted,   // taken over from another repository of the registry
  existed,   // it was there already
  skipped,   // not needed there (a foreign layer)
};
std::string_view to_string(BlobOutcome outcome) noexcept;

// Methods may be called from any thread, several at once, and must return soon. The default does
// nothing.
class Progress {
 public:
  virtual ~Progress() = default;
  // A line of the copy's story, as skopeo prints it ("Copying blob sha256:…", "Writing manifest to
  // image destination").
  virtual void line(std::string_view) {}
  // Something the user should know though nothing failed: a warning of the registry, a changed
  // digest.
  virtual void note(std::string_view) {}
  // A blob of `total` bytes (0: not known yet) begins to be sent; bytes() counts those sent since.
  virtual void blob_started(const Descriptor&, std::uint64_t /*total*/) {}
  virtual void blob_bytes(const Descriptor&, std::uint64_t /*sent_so_far*/) {}
  virtual void blob_finished(const Descriptor&, BlobOutcome) {}
};

}  // namespace tug

#endif  // TUG_PROGRESS_H_
