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
  // Blobs of so many bytes together are missing at the destination and will be sent, beside those
  // that were told of before. Not told when some are only compressed while they are sent.
  virtual void to_send(std::uint64_t /*bytes*/) {}
  // A blob of `total` bytes (0: not known yet) begins to be sent; bytes() counts those sent since.
  virtual void blob_started(const Descriptor&, std::uint64_t /*total*/) {}
  virtual void blob_bytes(const Descriptor&, std::uint64_t /*sent_so_far*/) {}
  // By the thread that said blob_started(), if somebody did. A blob that was compressed on its way
  // has another descriptor now.
  virtual void blob_finished(const Descriptor&, BlobOutcome) {}
};

}  // namespace tug

#endif  // TUG_PROGRESS_H_
