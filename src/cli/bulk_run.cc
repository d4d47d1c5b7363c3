#include "cli/bulk_run.h"

#include "base/parallel.h"
#include "base/strings.h"
#include "cli/output.h"
#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::int64_t kDefaultJobs = 4;
constexpr std::int64_t kMostJobs = 64;
// How many of the images that were not copied, and of the files, an error names.
constexpr std::size_t kMaxNamed = 20;

// The notes of one of many images say which.
class NamedProgress : public CopyProgress {
 public:
  NamedProgress(ProgressDisplay& display, std::string destination)
      : CopyProgress(display, std::move(destination), /*quiet=*/true) {}
  void note(std::string_view text) override {
    CopyProgress::note(destination() + ": " + std::string(text));
  }
};

std::string named_of(const std::vector<std::string>& all) {
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kMaxNamed));
  std::string text = join({all.begin(), end}, ", ");
  if (all.size() > kMaxNamed) text += fmt::format(" and {} more", all.size() - kMaxNamed);
  return text;
}

std::string copied_line(const std::string& source, const std::string& destination,
                        const CopyReport& report) {
  if (report.skipped)
    return fmt::format("Unchanged {}@{}", destination, report.manifest.digest.str());
  const auto count = [&](BlobOutcome outcome) {
    return std::count_if(report.blobs.begin(), report.blobs.end(),
                         [&](const BlobReport& blob) { return blob.outcome == outcome; });
  };
  return fmt::format("Copied {} to {}@{}: {} sent, {} mounted, {} there; {}", source, destination,
                     report.manifest.digest.str(),
                     counted(static_cast<std::size_t>(count(BlobOutcome::uploaded)), "blob"),
                     count(BlobOutcome::mounted), count(BlobOutcome::existed),
                     human_bytes(report.bytes_sent));
}

// Any thread.
class BulkLoop {
 public:
  BulkLoop(const std::vector<ImageGroup>& groups, bool keep_going, BulkStory& story,
           const CopyImage& copy)
      : groups_(groups),
        keep_going_(keep_going),
        story_(story),
        copy_(copy),
        copied_(groups.size()) {}

  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] bool has_failures() const noexcept { return failures_ != 0; }
  // What the story has thrown.
  [[nodiscard]] std::exception_ptr untold() const { return untold_; }

  // Throws what stops the others.
  void copy_group(const ImageGroup& group, const std::stop_token& stop) {
    const std::vector<Copied> copied = copy_all(group, stop);
    copied_[static_cast<std::size_t>(&group - groups_.data())] = copied.size();
    for (const Copied& each : copied) {
      ++done_;
      tell([&] { story_.succeeded(each.image, each.report); });
    }
  }

  void tell_of_files() {
    std::vector<std::string> not_written;
    std::string hint;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const ImageGroup& group = groups_[i];
      if (group.file.empty()) continue;
      if (copied_[i] == 0) {
        not_written.push_back(group.file);
      } else if (copied_[i] < group.images.size() && hint.empty()) {
        hint = group.hint;
      }
    }
    story_.files_left(not_written, hint);
  }

 private:
  struct Copied {
    std::size_t image;
    CopyReport report;
  };

  // Those that are there.
  std::vector<Copied> copy_all(const ImageGroup& group, const std::stop_token& stop) {
    std::vector<Copied> copied;
    for (const std::size_t image : group.images) {
      const std::unique_ptr<CopyProgress> progress = story_.progress(image);
      try {
        copied.push_back({image, copy_(image, *progress, stop)});
      } catch (const Error& error) {
        fail({image}, error);
      }
    }
    if (group.finish) {
      try {
        group.finish(!copied.empty(), stop);
      } catch (const Error& error) {
        std::vector<std::size_t> images;
        for (const Copied& each : copied) images.push_back(each.image);
        fail(images, error);
        copied.clear();
      }
    }
    return copied;
  }

  template <typename Words>
  void tell(const Words& words) {
    try {
      words();
    } catch (const Error&) {
      const std::lock_guard lock(mutex_);
      if (!untold_) untold_ = std::current_exception();
      throw;
    }
  }

  // In a catch block; returns when the others are to be copied all the same.
  void fail(const std::vector<std::size_t>& images, const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    for (const std::size_t image : images) {
      ++failures_;
      tell([&] { story_.failed(image, error); });
    }
    if (!keep_going_) throw;
  }

  const std::vector<ImageGroup>& groups_;
  const bool keep_going_;
  BulkStory& story_;
  const CopyImage& copy_;
  std::vector<std::size_t> copied_;  // of each group, once it is finished; each by its own thread
  std::atomic<std::size_t> done_ = 0;
  std::atomic<std::size_t> failures_ = 0;
  std::mutex mutex_;
  std::exception_ptr untold_;
};

}  // namespace

std::vector<Option> bulk_run_options() {
  using Kind = Option::Kind;
  return {{"jobs", '\0', Kind::value, "N", "Images copied at once; default 4"},
          {"keep-going", 'k', Kind::flag, "", "Copy the others when an image fails"},
          {"shard", '\0', Kind::value, "I/N",
           "Only the I-th of N parts of the list, to spread it over machines"}};
}

std::size_t bulk_jobs(const Arguments& arguments) {
  return static_cast<std::size_t>(arguments.integer("jobs", 1, kMostJobs).value_or(kDefaultJobs));
}

std::vector<ImageGroup> single_images(std::size_t count) {
  std::vector<ImageGroup> groups(count);
  for (std::size_t image = 0; image < count; ++image) groups[image].images = {image};
  return groups;
}

bool copy_images(std::vector<ImageGroup>& groups, std::size_t jobs, bool keep_going,
                 const std::stop_token& stop, BulkStory& story, const CopyImage& copy) {
  BulkLoop loop(groups, keep_going, story, copy);
  try {
    parallel_for_each(groups, jobs, stop,
                      [&](const ImageGroup& group, const std::stop_token& stop_group) {
                        loop.copy_group(group, stop_group);
                      });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) {
      std::size_t all = 0;
      for (const ImageGroup& group : groups) all += group.images.size();
      throw Error(ErrorKind::interrupted,
                  fmt::format("{} ({} of {} images were done)", error.what(), loop.done(), all));
    }
    if (loop.untold()) std::rethrow_exception(loop.untold());
    if (!loop.has_failures()) throw;
  }
  if (loop.has_failures()) loop.tell_of_files();
  return !loop.has_failures();
}

std::unique_ptr<CopyProgress> BulkTally::progress(std::size_t image) {
  return std::make_unique<NamedProgress>(display_, images_[image].destination.str());
}

void BulkTally::succeeded(std::size_t image, const CopyReport& report) {
  {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (report.skipped) ++unchanged_;
    bytes_sent_ += report.bytes_sent;
  }
  say(images_[image].source.str(), images_[image].destination.str(), report);
}

void BulkTally::say(const std::string& source, const std::string& destination,
                    const CopyReport& report) {
  if (style_.json) {
    write_stdout(copy_report_json(source, destination, report, style_.dry_run) + "\n");
  } else if (style_.dry_run && style_.names_blobs) {
    write_stdout(dry_run_text(source, destination, report));
  } else if (style_.dry_run && !report.skipped) {
    write_stdout(fmt::format("Would copy {} to {}\n", source, destination));
  } else if (!style_.quiet) {
    write_stdout(copied_line(source, destination, report) + "\n");
  }
}

void BulkTally::failed(std::size_t image, const Error& error) {
  const std::string destination = images_[image].destination.str();
  {
    const std::lock_guard lock(mutex_);
    failed_.push_back(destination);
  }
  if (style_.json)
    write_stdout(copy_error_json(images_[image].source.str(), destination, error) + "\n");
  log_line(Level::error, error.what());
}

void BulkTally::files_left(const std::vector<std::string>& not_written, const std::string& hint) {
  if (style_.dry_run) return;
  not_written_ = not_written;
  hint_ = hint;
}

void BulkTally::conclude(std::chrono::duration<double> elapsed,
                         const std::vector<std::string>& left_out) const {
  if (!failed_.empty()) throw failure();
  if (style_.json || style_.quiet) return;
  std::string text = counted(images_.size(), "image");
  if (!style_.dry_run) {
    text += fmt::format(": {} copied, {} unchanged; {} sent in {:.1f} s", done_ - unchanged_,
                        unchanged_, human_bytes(bytes_sent_), elapsed.count());
  }
  for (const std::string& part : left_out) text += "; " + part;
  write_stdout(text + "\n");
}

Error BulkTally::failure() const {
  const std::size_t all = images_.size();
  std::string text =
      fmt::format("{} of {} failed: {}", failed_.size(), counted(all, "image"), named_of(failed_));
  const std::size_t untried = all - done_ - failed_.size();
  if (untried > 0) text += fmt::format("; because of that {} not copied", untried);
  if (!not_written_.empty()) {
    text += fmt::format("; {} {} not written", named_of(not_written_),
                        not_written_.size() == 1 ? "is" : "are");
  }
  Error error(ErrorKind::local, std::move(text));
  error.set_hint(untried > 0      ? "--keep-going copies the others all the same"
                 : !hint_.empty() ? hint_
                                  : "the same command again copies what is missing");
  return error;
}

}  // namespace tug::cli
