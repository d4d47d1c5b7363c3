#include "cli/bulk_copy.h"

#include "cli/bulk_run.h"
#include "cli/copier.h"
#include "cli/copy_progress.h"
#include "cli/image_list.h"
#include "cli/output.h"
#include "cli/terminal.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxListBytes = 64 * 1024 * 1024;

void check_arguments(const Arguments& arguments, std::string_view program) {
  const bool from_file = arguments.has("from-file");
  const std::size_t given = arguments.positional().size();
  if (from_file && arguments.flag("all-images"))
    throw Error(ErrorKind::usage, "--from-file and --all-images exclude each other");
  if (from_file && given != 0) {
    throw Error(ErrorKind::usage, "copy --from-file takes no arguments: the file names the images");
  }
  if (!from_file) require_arguments(arguments, 2, "copy", "SOURCE PREFIX", program);
  if (arguments.has("digestfile")) {
    throw Error(ErrorKind::usage, "--digestfile is for one image")
        .set_hint("--json prints an object for each image, with its digest");
  }
}

struct Images {
  std::vector<ImagePair> pairs;
  std::size_t unnamed = 0;    // of the source, left out
  std::size_t elsewhere = 0;  // in other shards
};

Images images_of(Context& context, const Arguments& arguments) {
  Images images;
  if (const auto file = arguments.value("from-file")) {
    images.pairs = with_context("--from-file", [&] {
      return parse_image_list(read_input(*file, kMaxListBytes, context.stop()),
                              *file == "-" ? "standard input" : *file);
    });
  } else {
    const ListedImages listed = with_context("source", [&] {
      return list_images(arguments.positional()[0], context.transports(), context.stop());
    });
    images.pairs =
        with_context("destination", [&] { return pairs_below(arguments.positional()[1], listed); });
    images.unnamed = listed.unnamed;
  }
  if (const auto text = arguments.text("shard")) {
    const Shard shard = Shard::parse(*text);
    // However an archive's path is written in the list, its first line decides.
    std::map<std::string, bool> has_archive;  // by file
    images.elsewhere = std::erase_if(images.pairs, [&](const ImagePair& pair) {
      const auto place = archive_place(pair.destination);
      if (!place) return !shard.has(pair.destination);
      const auto [known, is_new] = has_archive.try_emplace(place->file);
      if (is_new) known->second = shard.has(pair.destination);
      return !known->second;
    });
  }
  return images;
}

// The archives that images of a list go into: each is opened when the first of its images is
// copied. One thread for each archive at a time.
class Archives {
 public:
  // The pairs must outlive it. Throws Error(usage): a file would have to be two kinds of archive.
  Archives(const Copier& copier, const std::vector<ImagePair>& pairs)
      : copier_(copier), pairs_(pairs), archive_of_(pairs.size(), kNone) {
    std::map<std::string, std::size_t> known;  // by file
    for (std::size_t image = 0; image < pairs.size(); ++image) {
      const ImageReference& destination = pairs[image].destination;
      const auto place = archive_place(destination);
      if (!place) continue;
      const auto [other, is_new] = known.emplace(place->file, archives_.size());
      if (is_new) archives_.push_back({destination, place->path, {}, nullptr});
      Archive& archive = archives_[other->second];
      if (archive.first.transport != destination.transport) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} and {} are one file", archive.first.str(), destination.str()));
      }
      archive.images.push_back(image);
      archive_of_[image] = other->second;
    }
  }

  [[nodiscard]] bool empty() const noexcept { return archives_.empty(); }
  [[nodiscard]] bool fill_stdout() const {
    return std::any_of(archives_.begin(), archives_.end(),
                       [](const Archive& archive) { return is_standard_output(archive.path); });
  }
  // Throws what none of their images could be copied for: one that is there already.
  void look() const {
    for (const Archive& archive : archives_) (void)copier_.open_archive(archive.first);
  }

  // In the order of the list: an archive with its first image.
  [[nodiscard]] std::vector<ImageGroup> groups() {
    std::vector<ImageGroup> groups;
    for (std::size_t image = 0; image < pairs_.size(); ++image) {
      if (archive_of_[image] == kNone) {
        groups.push_back({{image}});
        continue;
      }
      Archive& archive = archives_[archive_of_[image]];
      if (archive.images.front() != image) continue;
      const bool stays = archive.first.transport == Transport::docker_archive;
      groups.push_back({archive.images, archive.path,
                        stays ? "remove " + archive.path + " to write it with all its images" : "",
                        [this, &archive](bool is_wanted, const std::stop_token& stop) {
                          const auto open = std::exchange(archive.open, nullptr);
                          if (is_wanted && !copier_.options().dry_run) open->finish(stop);
                        }});
    }
    return groups;
  }

  CopyReport copy(std::size_t image, Progress& progress, const std::stop_token& stop) {
    const ImagePair& pair = pairs_[image];
    if (archive_of_[image] == kNone)
      return copier_.copy(pair.source, pair.destination, progress, stop);
    Archive& archive = archives_[archive_of_[image]];
    if (!archive.open) archive.open = copier_.open_archive(archive.first);
    return copier_.copy(pair.source, *archive.open, pair.destination, progress, stop);
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Archive {
    ImageReference first;
    std::string path;
    std::vector<std::size_t> images;
    std::shared_ptr<SharedArchive> open;
  };

  const Copier& copier_;
  const std::vector<ImagePair>& pairs_;
  std::vector<Archive> archives_;
  std::vector<std::size_t> archive_of_;  // parallel to the pairs
};

void check_archives(const Arguments& arguments, bool fills_stdout, const Archives& archives) {
  if (archives.empty()) return;
  if (arguments.has("additional-tag")) {
    throw Error(ErrorKind::usage,
                "--additional-tag is for one image, and the images of an archive have names of "
                "their own")
        .set_hint("an image may stand in the list once for each name");
  }
  if (fills_stdout && arguments.flag("json"))
    throw Error(ErrorKind::usage, "--json prints to standard output, where the archive goes");
  if (!arguments.flag("keep-going")) archives.look();
}

}  // namespace

std::vector<Option> bulk_copy_options() {
  using Kind = Option::Kind;
  std::vector<Option> options{
      {"from-file", '\0', Kind::value, "FILE",
       "Copy the images that FILE lists, a line SOURCE DESTINATION each; -: standard input"},
      {"all-images", '\0', Kind::flag, "",
       "Copy every named image of SOURCE (a layout, an archive, containers-storage:) to below "
       "PREFIX, or into a new archive"}};
  for (Option& option : bulk_run_options()) options.push_back(std::move(option));
  return options;
}

bool asks_for_many(const Arguments& arguments) {
  if (arguments.has("from-file") || arguments.flag("all-images")) return true;
  for (const char* name : {"jobs", "keep-going", "shard"}) {
    if (arguments.has(name)) {
      throw Error(
          ErrorKind::usage,
          fmt::format("--{} is for many images: it needs --from-file or --all-images", name));
    }
  }
  return false;
}

int run_bulk_copy(Context& context, const Arguments& arguments) {
  check_arguments(arguments, context.program());
  const auto start = std::chrono::steady_clock::now();
  const std::size_t jobs = bulk_jobs(arguments);
  const Copier copier(context, arguments, Copier::Run::many_images);
  Images images = images_of(context, arguments);
  ProgressDisplay display(progress_mode(arguments, context.program() == "skopeo"), context.stop());
  Archives archives(copier, images.pairs);
  const bool dry_run = copier.options().dry_run;
  const bool fills_stdout = !dry_run && archives.fill_stdout();
  check_archives(arguments, fills_stdout, archives);
  BulkTally tally(images.pairs,
                  {.quiet = arguments.flag("quiet") || fills_stdout,
                   .json = arguments.flag("json"),
                   .dry_run = dry_run},
                  display);
  std::vector<ImageGroup> groups = archives.groups();
  copy_images(groups, jobs, arguments.flag("keep-going"), context.stop(), tally,
              [&](std::size_t image, Progress& progress, const std::stop_token& stop) {
                return archives.copy(image, progress, stop);
              });
  std::vector<std::string> left_out;
  if (images.elsewhere > 0) left_out.push_back(fmt::format("{} in other shards", images.elsewhere));
  if (images.unnamed > 0)
    left_out.push_back(fmt::format("{} without a name left out", images.unnamed));
  tally.conclude(std::chrono::steady_clock::now() - start, left_out);
  copier.all_succeeded();
  return EXIT_SUCCESS;
}

}  // namespace tug::cli
