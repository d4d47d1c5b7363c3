// Many copies beside each other: the loop that `tug copy --from-file`, --all-images and `tug sync`
// share, and what tug says of them.
#ifndef TUG_CLI_BULK_RUN_H_
#define TUG_CLI_BULK_RUN_H_

#include "cli/copy_progress.h"
#include "cli/image_list.h"
#include "cli/options.h"

#include <tug/copy.h>
#include <tug/error.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace tug::cli {

// --jobs, --keep-going and --shard, for the option table.
std::vector<Option> bulk_run_options();
// --jobs. Throws Error(usage).
std::size_t bulk_jobs(const Arguments& arguments);

// What is said while images are copied, and of each as it ends; `image` is its place in the list.
// Any thread.
class BulkStory {
 public:
  BulkStory() = default;
  BulkStory(const BulkStory&) = delete;
  BulkStory& operator=(const BulkStory&) = delete;
  virtual ~BulkStory() = default;
  virtual std::unique_ptr<CopyProgress> progress(std::size_t image) = 0;
  // May throw Error(local): it could not be said, which ends the run.
  virtual void succeeded(std::size_t image, const CopyReport& report) = 0;
  virtual void failed(std::size_t image, const Error& error) = 0;
  // At the end, of the files of groups: those that are not as they were to be.
  virtual void files_left(const std::vector<std::string>& /*not_written*/,
                          const std::string& /*hint*/) {}
};

// Images of a list, by their places in it, that are copied one after the other into one file. They
// are there when that is finished, and told of then.
struct ImageGroup {
  std::vector<std::size_t> images;
  std::string file = {};  // "": an image that is there by itself
  // What helps when the file is written without some of its images; "": the same command again.
  std::string hint = {};
  // Called at their end: `is_wanted`, when any of them was copied. Throws Error.
  std::function<void(bool is_wanted, const std::stop_token& stop)> finish = {};
};
// Each by itself.
std::vector<ImageGroup> single_images(std::size_t count);

// Copies one of the list. Throws Error.
using CopyImage =
    std::function<CopyReport(std::size_t image, Progress& progress, const std::stop_token& stop)>;

// All of them, `jobs` groups at a time. An image that fails stops the others, and no group that it
// is of is finished, unless it shall be kept going: then those of its group that did not fail are.
// Returns whether all have succeeded. Throws Error(interrupted) that says how many were done, and
// before anything else what the story throws.
bool copy_images(std::vector<ImageGroup>& groups, std::size_t jobs, bool keep_going,
                 const std::stop_token& stop, BulkStory& story, const CopyImage& copy);

// A line on standard output for each image, or with --json an object.
class BulkTally : public BulkStory {
 public:
  struct Style {
    bool quiet = false;
    bool json = false;
    bool dry_run = false;
    // A dry run tells of each blob, not of images alone.
    bool names_blobs = true;
  };
  // The list must outlive this, as must the display.
  BulkTally(const std::vector<ImagePair>& images, Style style, ProgressDisplay& display)
      : images_(images), style_(style), display_(display) {}

  std::unique_ptr<CopyProgress> progress(std::size_t image) override;
  void succeeded(std::size_t image, const CopyReport& report) override;
  void failed(std::size_t image, const Error& error) override;
  void files_left(const std::vector<std::string>& not_written, const std::string& hint) override;

  // Of the run that has ended. `left_out` are further parts of the line: "2 in other shards".
  // Throws Error when not all images were copied.
  void conclude(std::chrono::duration<double> elapsed,
                const std::vector<std::string>& left_out) const;

 private:
  [[nodiscard]] Error failure() const;
  void say(const std::string& source, const std::string& destination, const CopyReport& report);

  const std::vector<ImagePair>& images_;
  const Style style_;
  ProgressDisplay& display_;
  std::mutex mutex_;
  // After the workers have ended, any thread may read these without it.
  std::size_t done_ = 0;
  std::size_t unchanged_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::vector<std::string> failed_;
  std::vector<std::string> not_written_;
  std::string hint_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_BULK_RUN_H_
