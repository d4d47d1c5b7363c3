#include "cli/bulk_copy.h"

#include "cli/bulk_run.h"
#include "cli/copier.h"
#include "cli/copy_progress.h"
#include "cli/image_list.h"
#include "cli/terminal.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
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
  if (const auto text = arguments.value("shard")) {
    const Shard shard = Shard::parse(*text);
    images.elsewhere = std::erase_if(
        images.pairs, [&](const ImagePair& pair) { return !shard.has(pair.destination); });
  }
  return images;
}

}  // namespace

std::vector<Option> bulk_copy_options() {
  using Kind = Option::Kind;
  std::vector<Option> options{
      {"from-file", '\0', Kind::value, "FILE",
       "Copy the images that FILE lists, a line SOURCE DESTINATION each; -: standard input"},
      {"all-images", '\0', Kind::flag, "",
       "Copy every named image of SOURCE (a layout, an archive, containers-storage:) to below "
       "PREFIX"}};
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
  BulkTally tally(images.pairs,
                  {arguments.flag("quiet"), arguments.flag("json"), copier.options().dry_run},
                  display);
  copy_images(images.pairs, jobs, arguments.flag("keep-going"), context.stop(), tally,
              [&](std::size_t image, Progress& progress, const std::stop_token& stop) {
                const ImagePair& pair = images.pairs[image];
                return copier.copy(pair.source, pair.destination, progress, stop);
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
