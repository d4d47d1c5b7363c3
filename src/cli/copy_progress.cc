#include "cli/copy_progress.h"

#include "base/strings.h"
#include "cli/output.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tug::cli {
namespace {

using Mode = ProgressDisplay::Mode;

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::chrono::milliseconds interval(Mode mode) {
  switch (mode) {
    case Mode::bars:
      return std::chrono::milliseconds(100);
    case Mode::json:
      return std::chrono::seconds(1);
    default:
      return std::chrono::seconds(10);
  }
}

bool stderr_can_show_bars() {
  const auto type = env_nonempty("TERM");
  return isatty(STDERR_FILENO) == 1 && type && *type != "dumb";
}

}  // namespace

ProgressDisplay::Mode progress_mode(const Arguments& arguments, bool as_skopeo) {
  const auto given = arguments.value("progress");
  if (given == "none") return Mode::none;
  if (given == "plain") return Mode::plain;
  if (given == "json") return Mode::json;
  if (given && given != "auto") {
    throw Error(ErrorKind::usage, fmt::format("--progress: \"{}\" is not auto, plain, json or none",
                                              printable(*given, 40)));
  }
  if (!given && (arguments.flag("quiet") || arguments.flag("json"))) return Mode::none;
  if (stderr_can_show_bars()) return Mode::bars;
  return as_skopeo && !given ? Mode::none : Mode::lines;
}

ProgressDisplay::ProgressDisplay(Mode mode, std::stop_token stop)
    : mode_(mode), color_(!env_nonempty("NO_COLOR")), stop_(std::move(stop)) {}

ProgressDisplay::~ProgressDisplay() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
}

// ---- what the copies say
// -------------------------------------------------------------------------

void ProgressDisplay::to_send(CopyProgress& copy, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  copy.announced_bytes_ += bytes;
  announced_bytes_ += bytes;
}

void ProgressDisplay::started(const CopyProgress& copy, const Descriptor& blob,
                              std::uint64_t total) {
  if (mode_ == Mode::none) return;
  const std::lock_guard lock(mutex_);
  active_.push_back(
      {&copy, std::this_thread::get_id(), blob.digest, 0, total, Clock::now(), {}, 0});
  started_bytes_ += total;
  if (mode_ == Mode::json) {
    say(event_json({.event = "started",
                    .destination = copy.destination(),
                    .digest = blob.digest.str(),
                    .total = total}));
  } else if (!thread_.joinable()) {
    thread_ = std::jthread([this] { run(); });
  }
}

void ProgressDisplay::sent(const CopyProgress& copy, const Descriptor& blob,
                           std::uint64_t bytes) noexcept {
  if (mode_ == Mode::none) return;
  const std::lock_guard lock(mutex_);
  for (Active& active : active_) {
    if (active.copy == &copy && active.digest == blob.digest) active.sent = bytes;
  }
}

// A layer that was compressed has another digest now than it began with; who sent it says that it
// is finished.
std::optional<ProgressDisplay::Active> ProgressDisplay::take_if_sent_by(const CopyProgress& copy,
                                                                        std::thread::id sender) {
  const auto found = std::find_if(active_.begin(), active_.end(), [&](const Active& active) {
    return active.copy == &copy && active.sender == sender;
  });
  if (found == active_.end()) return std::nullopt;
  Active taken = std::move(*found);
  active_.erase(found);
  return taken;
}

void ProgressDisplay::finished(CopyProgress& copy, const Descriptor& stored, BlobOutcome outcome) {
  if (mode_ == Mode::none) return;
  const bool is_sent = outcome == BlobOutcome::uploaded;
  const std::lock_guard lock(mutex_);
  const std::optional<Active> blob = take_if_sent_by(copy, std::this_thread::get_id());
  if (blob) started_bytes_ -= blob->total;
  if (is_sent) {
    started_bytes_ += stored.size;
    sent_bytes_ += stored.size;
    copy.sent_bytes_ += stored.size;
    ++sent_blobs_;
  }
  const std::string digest = stored.digest.str();
  if (mode_ == Mode::plain) {
    const double seconds = blob ? seconds_between(blob->start, Clock::now()) : 0;
    say(finished_line(digest, outcome, stored.size, seconds));
  } else if (mode_ == Mode::json) {
    const std::string began_as = blob ? blob->digest.str() : digest;
    say(event_json({.event = "finished",
                    .destination = copy.destination(),
                    .digest = began_as,
                    .bytes = is_sent ? stored.size : 0,
                    .total = stored.size,
                    .outcome = to_string(outcome),
                    .stored = began_as == digest ? std::string_view() : digest}));
  }
}

// What it did not finish, it will not.
void ProgressDisplay::ended(const CopyProgress& copy) noexcept {
  const std::lock_guard lock(mutex_);
  announced_bytes_ -= copy.announced_bytes_ - std::min(copy.announced_bytes_, copy.sent_bytes_);
  for (auto active = active_.begin(); active != active_.end();) {
    if (active->copy != &copy) {
      ++active;
      continue;
    }
    started_bytes_ -= active->total;
    try {
      if (mode_ == Mode::json) {
        say(event_json({.event = "finished",
                        .destination = copy.destination(),
                        .digest = active->digest.str(),
                        .bytes = active->sent,
                        .total = active->total,
                        .outcome = "failed"}));
      }
    } catch (...) {  // out of memory, in a destructor: the error of the copy says it
    }
    active = active_.erase(active);
  }
}

// One thread writes, so that lines have their order and nobody who copies waits for a terminal.
void ProgressDisplay::say(std::string line) {
  lines_.push_back(std::move(line));
  if (!thread_.joinable()) thread_ = std::jthread([this] { run(); });
  changed_.notify_all();
}

// ---- what is shown
// -------------------------------------------------------------------------------

ProgressView ProgressDisplay::view(double seconds) {
  ProgressView view;
  view.sent_blobs = sent_blobs_;
  view.sent = sent_bytes_;
  bool all_known = true;
  for (Active& active : active_) {
    active.rate.update(active.sent, seconds);
    view.active.push_back(
        {active.digest.str(), active.sent, active.total, active.rate.per_second()});
    view.sent += active.sent;
    all_known = all_known && active.total != 0;
  }
  rate_.update(view.sent, seconds);
  view.per_second = rate_.per_second();
  if (all_known) view.total = std::max(started_bytes_, announced_bytes_);
  return view;
}

void ProgressDisplay::say_bytes() {
  for (Active& active : active_) {
    if (active.sent == active.told) continue;
    active.told = active.sent;
    lines_.push_back(event_json({.event = "bytes",
                                 .destination = active.copy->destination(),
                                 .digest = active.digest.str(),
                                 .bytes = active.sent,
                                 .total = active.total}));
  }
}

void ProgressDisplay::run() {
  // What is over before does not flash up.
  constexpr std::chrono::milliseconds kFirstBars{300};
  constexpr std::chrono::hours kNever{24 * 365};
  std::unique_lock lock(mutex_);
  auto last = Clock::now();
  auto next = last + (mode_ == Mode::bars ? kFirstBars : interval(mode_));
  bool is_stopping = false;
  for (;;) {
    changed_.wait_until(lock, is_stopping ? std::stop_token() : stop_, next,
                        [this] { return is_over_ || !lines_.empty(); });
    write_lines(lock);
    if (is_over_) break;
    const auto now = Clock::now();
    if (stop_.stop_requested()) {
      if (!std::exchange(is_stopping, true)) erase_status();
      next = now + kNever;
    } else if (now >= next) {
      show(lock, seconds_between(last, now));
      last = now;
      next = now + interval(mode_);
    }
  }
  lock.unlock();
  erase_status();
}

// The lock is given back while something is written: a terminal may be slow, or stopped by its
// user.
void ProgressDisplay::write_lines(std::unique_lock<std::mutex>& lock) {
  while (!lines_.empty()) {
    const std::vector<std::string> lines = std::exchange(lines_, {});
    lock.unlock();
    for (const std::string& line : lines) {
      if (mode_ == Mode::json) {
        write_stderr_line(line);
      } else {
        log_line(Level::info, line);
      }
    }
    lock.lock();
  }
}

void ProgressDisplay::show(std::unique_lock<std::mutex>& lock, double seconds) {
  if (mode_ == Mode::json) {
    say_bytes();
    return write_lines(lock);
  }
  const ProgressView now = view(seconds);
  if (mode_ == Mode::bars) {
    lock.unlock();
    draw_status([&](TerminalSize size) {
      return now.active.empty() ? std::vector<std::string>() : status_lines(now, size, color_);
    });
    lock.lock();
  } else if (!now.active.empty()) {
    lines_.push_back(summary_line(now));
    write_lines(lock);
  }
}

void CopyProgress::line(std::string_view text) {
  if (!quiet_) write_stdout_line(text);
}

void CopyProgress::note(std::string_view text) { log_line(Level::warning, text); }

}  // namespace tug::cli
