#include "copy/attached.h"

#include "base/parallel.h"
#include "base/strings.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tug {
namespace {

constexpr std::array<std::string_view, 3> kDigestTagSuffixes{".sig", ".att", ".sbom"};
constexpr std::size_t kParallelQuestions = 16;
// Somebody who may push can hang any number of them on an image.
constexpr std::size_t kMaxAttached = 10'000;

// The story of a copy is that of the image; of what is attached to it one line each is told.
class QuietLines : public Progress {
 public:
  explicit QuietLines(Progress& progress) : progress_(progress) {}
  void note(std::string_view text) override { progress_.note(text); }
  void to_send(std::uint64_t bytes) override { progress_.to_send(bytes); }
  void blob_started(const Descriptor& blob, std::uint64_t total) override {
    progress_.blob_started(blob, total);
  }
  void blob_bytes(const Descriptor& blob, std::uint64_t sent) override {
    progress_.blob_bytes(blob, sent);
  }
  void blob_finished(const Descriptor& blob, BlobOutcome outcome) override {
    progress_.blob_finished(blob, outcome);
  }

 private:
  Progress& progress_;
};

std::optional<Digest> subject_of(const RawManifest& raw, const Descriptor& descriptor) {
  const ManifestOrIndex document = parse_manifest_or_index(
      raw.bytes, raw.media_type.empty() ? descriptor.media_type : raw.media_type);
  const auto subject = std::visit([](const auto& value) { return value.subject(); }, document);
  return subject ? std::optional(subject->digest) : std::nullopt;
}

class AttachedCopy {
 public:
  AttachedCopy(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
               const CopyEnvironment& environment, Progress& progress, const std::stop_token& stop)
      : source_(source),
        destination_(destination),
        wanted_(options),
        options_(options_for_each(options)),
        environment_(environment),
        progress_(progress),
        stop_(stop) {}

  std::vector<CopyReport> run(const std::vector<Digest>& subjects) {
    seen_.insert(subjects.begin(), subjects.end());
    if (wanted_.referrers) copy_referrers(subjects);
    if (wanted_.digest_tags) copy_digest_tags(subjects);
    return std::move(copied_);
  }

 private:
  // They are about digests, and so is what is about them.
  static CopyOptions options_for_each(const CopyOptions& options) {
    CopyOptions each = options;
    each.instances = {.kind = InstanceSelection::Kind::all};
    each.additional_tags.clear();
    each.preserve_digests = true;
    each.format.reset();
    each.compression.reset();
    each.compression_level.reset();
    each.force_compression = false;
    each.strip_removed_platforms = false;
    each.referrers = false;
    each.digest_tags = false;
    return each;
  }

  // A level at a time: those of the image, those of these, and so on. Each once: they may name each
  // other as they like.
  void copy_referrers(std::vector<Digest> subjects) {
    while (!subjects.empty()) {
      std::vector<std::vector<Descriptor>> listed(subjects.size());
      parallel_for_each(subjects, kParallelQuestions, stop_,
                        [&](const Digest& subject, const std::stop_token& stop) {
                          listed[static_cast<std::size_t>(&subject - subjects.data())] =
                              source_.referrers(subject, stop);
                        });
      std::vector<Digest> next;
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        for (const Descriptor& referrer : listed[i]) {
          if (seen_.count(referrer.digest) == 0 && copy_referrer(referrer, subjects[i]))
            next.push_back(referrer.digest);
        }
      }
      subjects = std::move(next);
    }
  }

  bool copy_referrer(const Descriptor& referrer, const Digest& subject) {
    return with_context("referrer " + referrer.digest.str(), [&] {
      if (subject_of(source_.manifest(referrer, stop_), referrer) != subject) {
        progress_.note(
            fmt::format("{} is listed as a referrer of {}, but names another subject; "
                        "it is left out",
                        referrer.digest.str(), subject.str()));
        return false;
      }
      progress_.line(fmt::format("Copying referrer {}{}", referrer.digest.str(),
                                 referrer.artifact_type.empty()
                                     ? ""
                                     : " (" + printable(referrer.artifact_type, 100) + ")"));
      copy(source_.beside(referrer), referrer.digest, std::nullopt);
      return true;
    });
  }

  void copy_digest_tags(const std::vector<Digest>& subjects) {
    for (const Digest& subject : subjects) {
      for (const std::string_view suffix : kDigestTagSuffixes) {
        const std::string tag =
            fmt::format("{}-{}{}", subject.algorithm_name(), subject.hex(), suffix);
        if (!is_tag(tag)) continue;
        with_context("tag " + tag, [&] {
          auto image = source_.beside(tag, stop_);
          if (!image) return;
          progress_.line("Copying tag " + tag);
          copy(std::move(image), subject, tag);
        });
      }
    }
  }

  void copy(std::unique_ptr<ImageSource> image, const Digest& digest,
            const std::optional<std::string>& tag) {
    if (copied_.size() >= kMaxAttached)
      throw Error(ErrorKind::limit,
                  fmt::format("more than {} manifests are attached to the image", kMaxAttached));
    const auto destination = destination_.beside(digest, tag);
    QuietLines quiet(progress_);
    copied_.push_back(execute_copy(*image, *destination, options_, environment_, quiet, stop_));
    seen_.insert(copied_.back().manifest.digest);
  }

  ImageSource& source_;
  ImageDestination& destination_;
  const CopyOptions& wanted_;
  const CopyOptions options_;
  const CopyEnvironment& environment_;
  Progress& progress_;
  const std::stop_token& stop_;
  std::set<Digest> seen_;
  std::vector<CopyReport> copied_;
};

}  // namespace

void check_holds_attached(ImageDestination& destination, const Digest& image,
                          const CopyOptions& options) {
  if (!(options.referrers || options.digest_tags) || destination.beside(image, std::nullopt))
    return;
  throw Error(ErrorKind::usage, fmt::format("--{}: the destination holds one image only",
                                            options.referrers ? "referrers" : "digest-tags"))
      .set_hint("docker:// and oci: hold others beside it");
}

std::vector<CopyReport> copy_attached(ImageSource& source, ImageDestination& destination,
                                      const std::vector<Digest>& subjects,
                                      const CopyOptions& options,
                                      const CopyEnvironment& environment, Progress& progress,
                                      const std::stop_token& stop) {
  try {
    return AttachedCopy(source, destination, options, environment, progress, stop).run(subjects);
  } catch (Error& error) {
    // "not-found" speaks of the image that is to be copied.
    if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::protocol);
    throw;
  }
}

}  // namespace tug
