#include "cli/bulk_run.h"

#include "base/parallel.h"
#include "base/strings.h"
#include "cli/output.h"
#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string_view>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::int64_t kDefaultJobs = 4;
constexpr std::int64_t kMostJobs = 64;
// How many of the images that were not copied an error names.
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
  BulkLoop(bool keep_going, BulkStory& story, const CopyImage& copy)
      : keep_going_(keep_going), story_(story), copy_(copy) {}

  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] bool has_failures() const noexcept { return failures_ != 0; }

  // Throws what stops the others.
  void copy_group(const ImageGroup& group, const std::stop_token& stop) {
    try {
      if (!copy_into(group, stop) && !group.file.empty()) story_.not_written(group.file);
    } catch (const Error& error) {
      if (!group.file.empty() && error.kind() != ErrorKind::interrupted)
        story_.not_written(group.file);
      throw;
    }
  }

 private:
  struct Copied {
    std::size_t image;
    CopyReport report;
  };

  // Whether any image is there.
  bool copy_into(const ImageGroup& group, const std::stop_token& stop) {
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
        return false;
      }
    }
    for (const Copied& each : copied) {
      ++done_;
      story_.succeeded(each.image, each.report);
    }
    return !copied.empty();
  }

  // In a catch block; returns when the others are to be copied all the same.
  void fail(const std::vector<std::size_t>& images, const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    for (const std::size_t image : images) {
      ++failures_;
      story_.failed(image, error);
    }
    if (!keep_going_) throw;
  }

  const bool keep_going_;
  BulkStory& story_;
  const CopyImage& copy_;
  std::atomic<std::size_t> done_ = 0;
  std::atomic<std::size_t> failures_ = 0;
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
  BulkLoop loop(keep_going, story, copy);
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
    if (!loop.has_failures()) throw;  // it could not be said
  }
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

void BulkTally::not_written(const std::string& file) {
  const std::lock_guard lock(mutex_);
  not_written_.push_back(file);
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
  const std::size_t named = std::min(failed_.size(), kMaxNamed);
  std::string text = fmt::format(
      "{} of {} failed: {}", failed_.size(), counted(all, "image"),
      join({failed_.begin(), failed_.begin() + static_cast<std::ptrdiff_t>(named)}, ", "));
  if (failed_.size() > named) text += fmt::format(" and {} more", failed_.size() - named);
  const std::size_t untried = all - done_ - failed_.size();
  if (untried > 0) text += fmt::format("; because of that {} not copied", untried);
  for (const std::string& file : not_written_) text += fmt::format("; {} is not written", file);
  Error error(ErrorKind::local, std::move(text));
  error.set_hint(untried > 0 ? "--keep-going copies the others all the same" : style_.hint);
  return error;
}

}  // namespace tug::cli
