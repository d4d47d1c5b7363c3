// How far a copy is, as text: bars for a terminal, lines for a log, JSON for a program. Pure.
#ifndef TUG_CLI_PROGRESS_TEXT_H_
#define TUG_CLI_PROGRESS_TEXT_H_

#include <tug/progress.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

// Bytes per second over the last few seconds; the older a byte is, the less it counts.
class RateMeter {
 public:
  // `bytes`, so far in all, were reached `seconds` after the last call (or the beginning). Fewer
  // than before are none: an upload started over.
  void update(std::uint64_t bytes, double seconds) noexcept;
  [[nodiscard]] double per_second() const noexcept;

 private:
  std::uint64_t bytes_ = 0;
  double recent_bytes_ = 0;
  double recent_seconds_ = 0;
};

// A blob under way.
struct BlobProgress {
  std::string digest;
  std::uint64_t sent = 0;
  std::uint64_t total = 0;  // 0: not known
  double per_second = 0;
};

// Everything at a moment.
struct ProgressView {
  std::vector<BlobProgress> active;  // the oldest first
  std::size_t sent_blobs = 0;        // those that are complete
  std::uint64_t sent = 0;            // their bytes, and those of the active ones
  std::uint64_t total = 0;           // 0: not known
  double per_second = 0;
};

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// A line per active blob and one for the total, none longer than the terminal is wide less one
// column, nor more than leave a row of it for other output. Bars first, then rates, then sizes give
// way on a narrow terminal. With `color` SGR sequences are in them, which take no column.
std::vector<std::string> status_lines(const ProgressView& view, TerminalSize size, bool color);

// "sent 120.0 MB of 500.0 MB (24 %), 3 blobs done, 12.0 MB/s, 32s left"
std::string summary_line(const ProgressView& view);

// "sha256:… uploaded: 12.3 MB in 2.1 s, 5.9 MB/s"; `bytes` of it were sent.
std::string finished_line(std::string_view digest, BlobOutcome outcome, std::uint64_t bytes,
                          double seconds);

// One object, without a newline. `event` is "started", "bytes", or "finished", which has an
// outcome ("failed" too). `stored` is the digest at the destination where that is another one.
struct ProgressEvent {
  std::string_view event;
  std::string_view destination;
  std::string_view digest;
  std::uint64_t bytes = 0;
  std::uint64_t total = 0;  // 0: not known
  std::string_view outcome = {};
  std::string_view stored = {};
};
std::string event_json(const ProgressEvent& event);

// The rows that text takes on a terminal so wide, once it was written without a line break.
std::size_t rows_of(std::string_view line, std::size_t columns) noexcept;
// What replaces the `rows` rows above the cursor by these lines and leaves the cursor below them.
std::string redraw(const std::vector<std::string>& lines, std::size_t rows);

}  // namespace tug::cli

#endif  // TUG_CLI_PROGRESS_TEXT_H_
