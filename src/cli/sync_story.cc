#include "cli/sync_story.h"

#include "cli/go_value.h"
#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

namespace tug::cli {

void InOrder::say(std::size_t item, Deed deed) {
  if (item == current_) return deed();
  waiting_[item].push_back(std::move(deed));
}

void InOrder::end(std::size_t item) {
  ended_.insert(item);
  while (ended_.erase(current_) > 0) {
    ++current_;
    if (auto deeds = waiting_.extract(current_))
      for (const Deed& deed : deeds.mapped()) deed();
  }
}

void InOrder::flush() {
  for (const auto& [item, deeds] : std::exchange(waiting_, {}))
    if (ended_.count(item) > 0)
      for (const Deed& deed : deeds) deed();
}

// The lines of one copy, and its notes.
class SkopeoStory::Lines : public CopyProgress {
 public:
  Lines(SkopeoStory& story, std::size_t image)
      : CopyProgress(story.display_, story.images_.pairs[image].destination.str(),
                     /*quiet=*/false),
        story_(story),
        image_(image) {}
  void line(std::string_view text) override {
    story_.say(image_, [text = std::string(text)] { write_stdout_line(text); });
  }
  void note(std::string_view text) override {
    story_.say(image_, [text = std::string(text)] { log_line(Level::warning, text); });
  }

 private:
  SkopeoStory& story_;
  const std::size_t image_;
};

SkopeoStory::SkopeoStory(const SyncImages& images, bool keep_going, ProgressDisplay& display)
    : images_(images), keep_going_(keep_going), display_(display) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < images.source_of.size(); ++i) {
    if (i == 0 || images.source_of[i] != images.source_of[i - 1]) number = 0;
    numbers_.push_back(++number);
  }
}

void SkopeoStory::announce(std::size_t image, std::string_view what) const {
  const ImagePair& pair = images_.pairs[image];
  log_line(Level::info,
           fmt::format("{} image ref {}/{}", what, numbers_[image],
                       images_.sources[images_.source_of[image]].images),
           {{"from", pair.source.str()}, {"to", pair.destination.str()}});
}

void SkopeoStory::would_copy(std::size_t image) const { announce(image, "Would have copied"); }

std::unique_ptr<CopyProgress> SkopeoStory::progress(std::size_t image) {
  say(image, [this, image] { announce(image, "Copying"); });
  return std::make_unique<Lines>(*this, image);
}

void SkopeoStory::say(std::size_t image, InOrder::Deed deed) {
  const std::lock_guard lock(mutex_);
  order_.say(image, std::move(deed));
}

void SkopeoStory::end(std::size_t image) {
  const std::lock_guard lock(mutex_);
  order_.end(image);
}

void SkopeoStory::succeeded(std::size_t image, const CopyReport&) {
  {
    const std::lock_guard lock(mutex_);
    ++done_;
  }
  end(image);
}

void SkopeoStory::failed(std::size_t image, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    failures_.emplace(image, error);
  }
  if (keep_going_) {
    say(image, [this, image, text = std::string(error.what())] {
      log_line(Level::error, copying(image), {{"error", text}});
    });
  }
  end(image);
}

std::string SkopeoStory::copying(std::size_t image) const {
  return "Error copying ref " + go_quoted(images_.pairs[image].source.str());
}

void SkopeoStory::conclude() {
  const std::lock_guard lock(mutex_);
  order_.flush();
  if (!failures_.empty() && !keep_going_) {
    auto& [image, error] = *failures_.begin();
    throw Error(error).add_context(copying(image)).set_kind(ErrorKind::local);
  }
  log_line(Level::info,
           fmt::format("Synced {} images from {} sources", done_, images_.sources.size()));
  if (!failures_.empty()) {
    throw Error(ErrorKind::local,
                "Sync failed due to previous reported error(s) for one or more images");
  }
}

void SkopeoStory::conclude_dry_run(const SyncImages& images) {
  log_line(Level::info, fmt::format("Would have synced {} images from {} sources",
                                    images.pairs.size(), images.sources.size()));
}

DigestFile::DigestFile(std::string path) : path_(std::move(path)) {
  constexpr mode_t kMode = 0644;
  file_ = UniqueFd(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!file_) {
    throw Error(ErrorKind::local,
                fmt::format("Error creating digest file: open {}: {}", path_, errno_text(errno)));
  }
}

void DigestFile::add(std::size_t image, const Digest& digest, const ImageReference& destination) {
  const std::lock_guard lock(mutex_);
  order_.say(image, [this, line = fmt::format("{} {}\n", digest.str(), destination.str())] {
    write(line);
  });
  order_.end(image);
}

void DigestFile::end(std::size_t image) {
  const std::lock_guard lock(mutex_);
  order_.end(image);
}

DigestFile::~DigestFile() {
  try {
    order_.flush();
  } catch (const std::exception& error) {
    log_line(Level::warning, error.what());
  }
}

void DigestFile::write(const std::string& line) {
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw Error(ErrorKind::local, fmt::format("Failed to write digest to file {}: {}",
                                                go_quoted(path_), errno_text(errno)));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace tug::cli
