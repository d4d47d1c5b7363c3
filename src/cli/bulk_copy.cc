#include "cli/bulk_copy.h"

#include "base/parallel.h"
#include "base/strings.h"
#include "cli/copier.h"
#include "cli/copy_progress.h"
#include "cli/image_list.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/terminal.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::int64_t kDefaultJobs = 4;
constexpr std::int64_t kMostJobs = 64;
constexpr std::size_t kMaxListBytes = 64 * 1024 * 1024;
// How many of the images that were not copied an error names.
constexpr std::size_t kMaxNamed = 20;

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

// What a run comes to, and what is said of it. Any thread.
class Tally {
 public:
  Tally(const Images& images, bool quiet, bool json, bool dry_run)
      : images_(images), quiet_(quiet), json_(json), dry_run_(dry_run) {}

  void succeeded(const ImagePair& pair, const CopyReport& report) {
    const std::string source = pair.source.str();
    const std::string destination = pair.destination.str();
    {
      const std::lock_guard lock(mutex_);
      ++done_;
      if (report.skipped) ++unchanged_;
      bytes_sent_ += report.bytes_sent;
    }
    if (json_) {
      write_stdout(copy_report_json(source, destination, report, dry_run_) + "\n");
    } else if (dry_run_) {
      write_stdout(dry_run_text(source, destination, report));
    } else if (!quiet_) {
      write_stdout(copied_line(source, destination, report) + "\n");
    }
  }

  void failed(const ImagePair& pair, const Error& error) {
    const std::string destination = pair.destination.str();
    {
      const std::lock_guard lock(mutex_);
      failed_.push_back(destination);
    }
    if (json_) write_stdout(copy_error_json(pair.source.str(), destination, error) + "\n");
    log_line(Level::error, error.what());
  }

  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] bool has_failed() const noexcept { return !failed_.empty(); }

  // Throws Error when not all were copied.
  void conclude(std::chrono::duration<double> elapsed) const {
    const std::size_t all = images_.pairs.size();
    if (!failed_.empty()) throw failure(all);
    if (json_ || quiet_) return;
    std::string text = counted(all, "image");
    if (!dry_run_) {
      text += fmt::format(": {} copied, {} unchanged; {} sent in {:.1f} s", done_ - unchanged_,
                          unchanged_, human_bytes(bytes_sent_), elapsed.count());
    }
    if (images_.elsewhere > 0) text += fmt::format("; {} in other shards", images_.elsewhere);
    if (images_.unnamed > 0) text += fmt::format("; {} without a name left out", images_.unnamed);
    write_stdout(text + "\n");
  }

 private:
  [[nodiscard]] Error failure(std::size_t all) const {
    const std::size_t named = std::min(failed_.size(), kMaxNamed);
    std::string text = fmt::format(
        "{} of {} failed: {}", failed_.size(), counted(all, "image"),
        join({failed_.begin(), failed_.begin() + static_cast<std::ptrdiff_t>(named)}, ", "));
    if (failed_.size() > named) text += fmt::format(" and {} more", failed_.size() - named);
    const std::size_t untried = all - done_ - failed_.size();
    if (untried > 0) text += fmt::format("; because of that {} not copied", untried);
    Error error(ErrorKind::local, std::move(text));
    error.set_hint(untried > 0 ? "--keep-going copies the others all the same"
                               : "the same command again copies what is missing");
    return error;
  }

  static std::string copied_line(const std::string& source, const std::string& destination,
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

  const Images& images_;
  const bool quiet_;
  const bool json_;
  const bool dry_run_;
  std::mutex mutex_;
  // After the workers have ended, any thread may read these without it.
  std::size_t done_ = 0;
  std::size_t unchanged_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::vector<std::string> failed_;
};

// The notes of one of many images say which.
class NamedProgress : public CopyProgress {
 public:
  NamedProgress(ProgressDisplay& display, std::string destination)
      : CopyProgress(display, std::move(destination), /*quiet=*/true) {}
  void note(std::string_view text) override {
    CopyProgress::note(destination() + ": " + std::string(text));
  }
};

}  // namespace

std::vector<Option> bulk_copy_options() {
  using Kind = Option::Kind;
  return {{"from-file", '\0', Kind::value, "FILE",
           "Copy the images that FILE lists, a line SOURCE DESTINATION each; -: standard input"},
          {"all-images", '\0', Kind::flag, "",
           "Copy every named image of SOURCE (a layout, an archive, containers-storage:) to below PREFIX"},
          {"jobs", '\0', Kind::value, "N", "Images copied at once; default 4"},
          {"keep-going", 'k', Kind::flag, "", "Copy the others when an image fails"},
          {"shard", '\0', Kind::value, "I/N",
           "Only the I-th of N parts of the list, to spread it over machines"}};
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
  const auto jobs = arguments.integer("jobs", 1, kMostJobs).value_or(kDefaultJobs);
  const bool keep_going = arguments.flag("keep-going");
  const Copier copier(context, arguments, Copier::Run::many_images);
  Images images = images_of(context, arguments);
  Tally tally(images, arguments.flag("quiet"), arguments.flag("json"), copier.options().dry_run);
  ProgressDisplay display(progress_mode(arguments, context.program() == "skopeo"), context.stop());
  const auto copy = [&](const ImagePair& pair, const std::stop_token& stop) {
    NamedProgress progress(display, pair.destination.str());
    std::optional<CopyReport> report;
    try {
      report = copier.copy(pair.source, pair.destination, progress, stop);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      tally.failed(pair, error);
      if (!keep_going) throw;
      return;
    }
    tally.succeeded(pair, *report);
  };
  try {
    parallel_for_each(images.pairs, static_cast<std::size_t>(jobs), context.stop(), copy);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) {
      throw Error(ErrorKind::interrupted,
                  fmt::format("{} ({} of {} images were done)", error.what(), tally.done(),
                              images.pairs.size()));
    }
    if (!tally.has_failed()) throw;  // it could not be said
  }
  tally.conclude(std::chrono::steady_clock::now() - start);
  copier.all_succeeded();
  return EXIT_SUCCESS;
}

}  // namespace tug::cli
