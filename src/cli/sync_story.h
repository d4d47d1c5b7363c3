// What skopeo's sync says of its copies, and the file of digests.
#ifndef TUG_CLI_SYNC_STORY_H_
#define TUG_CLI_SYNC_STORY_H_

#include "base/fd.h"
#include "cli/bulk_run.h"
#include "cli/sync_images.h"

#include <tug/digest.h>
#include <tug/error.h>
#include <tug/reference.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

// Does things of a list's items in the list's order, in whatever order the items come: those of
// the first item that is not at its end at once, those of later ones when it is their turn. Needs
// the caller's lock.
class InOrder {
 public:
  using Deed = std::function<void()>;
  void say(std::size_t item, Deed deed);
  void end(std::size_t item);
  // What is left of items that have ended, past those that have not.
  void flush();

 private:
  std::size_t current_ = 0;
  std::map<std::size_t, std::vector<Deed>> waiting_;
  std::set<std::size_t> ended_;
};

// Beside each other or not, the images are told of one after the other.
class SkopeoStory : public BulkStory {
 public:
  SkopeoStory(const SyncImages& images, bool keep_going, ProgressDisplay& display);
  std::unique_ptr<CopyProgress> progress(std::size_t image) override;
  void succeeded(std::size_t image, const CopyReport& report) override;
  void failed(std::size_t image, const Error& error) override;

  // "Copying image ref 2/3", from, to.
  void would_copy(std::size_t image) const;
  // Of the run that has ended. Throws Error: not all images were copied.
  void conclude();
  static void conclude_dry_run(const SyncImages& images);

 private:
  class Lines;
  void announce(std::size_t image, std::string_view what) const;
  void say(std::size_t image, InOrder::Deed deed);
  void end(std::size_t image);

  [[nodiscard]] std::string copying(std::size_t image) const;

  const SyncImages& images_;
  const bool keep_going_;
  ProgressDisplay& display_;
  std::vector<std::size_t> numbers_;  // of each image in its source, from 1
  std::mutex mutex_;
  InOrder order_;
  std::size_t done_ = 0;
  std::map<std::size_t, Error> failures_;
};

// --digestfile: "DIGEST DESTINATION", a line for each image that is there now, in the list's order.
class DigestFile {
 public:
  // Creates or empties it. Throws Error(local).
  explicit DigestFile(std::string path);
  DigestFile(const DigestFile&) = delete;
  DigestFile& operator=(const DigestFile&) = delete;
  // Lines that had to wait for an image which never ended are written.
  ~DigestFile();
  void add(std::size_t image, const Digest& digest, const ImageReference& destination);
  void end(std::size_t image);  // it was not copied

 private:
  void write(const std::string& line);
  const std::string path_;
  UniqueFd file_;
  std::mutex mutex_;
  InOrder order_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_STORY_H_
