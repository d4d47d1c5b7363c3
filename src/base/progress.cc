#include <tug/progress.h>

namespace tug {

std::string_view to_string(BlobOutcome outcome) noexcept {
  switch (outcome) {
    case BlobOutcome::uploaded:
      return "uploaded";
    case BlobOutcome::mounted:
      return "mounted";
    case BlobOutcome::existed:
      return "existed";
    case BlobOutcome::skipped:
      return "skipped";
  }
  return "unknown";
}

}  // namespace tug
