// What a person or a program sees of copies while they run (--progress).
#ifndef TUG_CLI_COPY_PROGRESS_H_
#define TUG_CLI_COPY_PROGRESS_H_

#include "cli/options.h"
#include "cli/progress_text.h"

#include <tug/digest.h>
#include <tug/progress.h>

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace tug::cli {

class CopyProgress;

// Shows all copies of the process, on standard error. What it is told costs a lock and no system
// call; one thread, which starts with the first blob, writes. It draws ten times a second on a
// terminal, and says a line every ten seconds in a log and every second in JSON. Nothing of what it
// drew is left when it is gone or `stop` is requested.
class ProgressDisplay {
 public:
  enum class Mode {
    bars,   // a terminal that can move its cursor
    lines,  // a log: a line now and then
    plain,  // and one for each blob that is finished
    json,   // an object per line
    none,
  };
  ProgressDisplay(Mode mode, std::stop_token stop);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay();

 private:
  friend class CopyProgress;
  using Clock = std::chrono::steady_clock;
  struct Active {
    const CopyProgress* copy;
    std::thread::id sender;
    Digest digest;
    std::uint64_t sent;
    std::uint64_t total;
    Clock::time_point start;
    RateMeter rate;
    std::uint64_t told;  // of `sent`, in the last event
  };

  void to_send(CopyProgress& copy, std::uint64_t bytes);
  void started(const CopyProgress& copy, const Descriptor& blob, std::uint64_t total);
  void sent(const CopyProgress& copy, const Descriptor& blob, std::uint64_t bytes) noexcept;
  void finished(CopyProgress& copy, const Descriptor& stored, BlobOutcome outcome);
  void ended(const CopyProgress& copy) noexcept;

  // These are called with the lock held.
  void say(std::string line);
  std::optional<Active> take_if_sent_by(const CopyProgress& copy, std::thread::id sender);
  ProgressView view(double seconds);
  void say_bytes();
  void write_lines(std::unique_lock<std::mutex>& lock);
  void show(std::unique_lock<std::mutex>& lock, double seconds);

  void run();

  const Mode mode_;
  const bool color_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool is_over_ = false;
  std::list<Active> active_;
  std::vector<std::string> lines_;  // still to be written, in this order
  std::size_t sent_blobs_ = 0;
  std::uint64_t sent_bytes_ = 0;       // of the blobs that are complete
  std::uint64_t started_bytes_ = 0;    // of the blobs whose size is known
  std::uint64_t announced_bytes_ = 0;  // of those that will be sent
  RateMeter rate_;
  std::jthread thread_;
};

// --progress, --quiet, --json and what standard error is, as a mode. skopeo's callers take the
// beginning of what it says on standard error for the reason of a failure (step-contract.md 6.2):
// `as_skopeo` says nothing there unasked. Throws Error(usage).
ProgressDisplay::Mode progress_mode(const Arguments& arguments, bool as_skopeo);

// The progress of one copy: the story on standard output, warnings on standard error, and its blobs
// on the display. When it ends, its unfinished blobs leave the display.
class CopyProgress : public Progress {
 public:
  // `destination` names the copy in JSON.
  CopyProgress(ProgressDisplay& display, std::string destination, bool quiet)
      : display_(display), destination_(std::move(destination)), quiet_(quiet) {}
  CopyProgress(const CopyProgress&) = delete;
  CopyProgress& operator=(const CopyProgress&) = delete;
  ~CopyProgress() override { display_.ended(*this); }

  void line(std::string_view text) override;
  void note(std::string_view text) override;
  void to_send(std::uint64_t bytes) override { display_.to_send(*this, bytes); }
  void blob_started(const Descriptor& blob, std::uint64_t total) override {
    display_.started(*this, blob, total);
  }
  void blob_bytes(const Descriptor& blob, std::uint64_t bytes) override {
    display_.sent(*this, blob, bytes);
  }
  void blob_finished(const Descriptor& blob, BlobOutcome outcome) override {
    display_.finished(*this, blob, outcome);
  }
  [[nodiscard]] const std::string& destination() const noexcept { return destination_; }

 private:
  friend class ProgressDisplay;
  ProgressDisplay& display_;
  const std::string destination_;
  const bool quiet_;
  // With the display's lock:
  std::uint64_t announced_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace tug::cli

#endif  // TUG_CLI_COPY_PROGRESS_H_
