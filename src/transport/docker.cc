#include "transport/docker.h"

#include "base/strings.h"
#include "registry/pull_places.h"
#include "registry/repository.h"
#include "stream/file_source.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

// Configs are read whole; containers/image reads no more of one either.
constexpr std::size_t kMaxSmallBlobBytes = kMaxManifestBytes;
// A source's blob up to this size is in memory before the first byte is handed on: many of them
// cost no thread each.
constexpr std::size_t kMaxHeldBytes = 256 * 1024;

// Looking at what a destination has already only saves work: what it does not have, will not show,
// or has in a broken form is as good as absent. Everything else (the network, credentials) would
// fail the push as well, so it flies.
bool means_absent(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::not_found:
    case ErrorKind::denied:
    case ErrorKind::protocol:
    case ErrorKind::integrity:
    case ErrorKind::limit:
      return true;
    default:
      return false;
  }
}

template <typename Work>
auto nullopt_if_absent(Work&& work) -> std::optional<decltype(work())> {
  try {
    return work();
  } catch (const Error& error) {
    if (!means_absent(error)) throw;
    return std::nullopt;
  }
}

using Place = registry::PullPlaces::Place;

// The tag that is there and was probably meant. Whatever is wrong with the list of tags, the error
// is what it was.
void hint_at_tag(Error& error, Place& place, const std::stop_token& stop) {
  const std::vector<std::string>& codes = error.registry_codes();
  if (std::count(codes.begin(), codes.end(), "NAME_UNKNOWN") > 0) return;
  const RegistryReference& reference = place.reference();
  try {
    const std::string likely = nearest(reference.identifier(), place.repository().first_tags(stop));
    if (!likely.empty() && likely != reference.identifier())
      error.set_hint("did you mean " + reference.name() + ":" + likely + "?");
  } catch (const Error&) {  // no list, no hint
  }
}

RawManifest read_manifest(Place& place, const std::stop_token& stop) {
  try {
    // A mirror that is away is not waited for.
    return place.repository().get_manifest(place.reference().identifier(), stop, place.is_last());
  } catch (Error& error) {
    const bool may_be_mistyped = error.kind() == ErrorKind::not_found && error.hint().empty();
    if (may_be_mistyped && !place.reference().digest()) hint_at_tag(error, place, stop);
    throw;
  }
}

RawManifest read_manifest(Place& place, const Descriptor& descriptor, const std::stop_token& stop) {
  RawManifest manifest = place.repository().get_manifest(descriptor.digest.str(), stop);
  if (manifest.bytes.size() != descriptor.size) {
    throw Error(ErrorKind::integrity,
                "manifest " + descriptor.digest.str() + " at " + place.reference().name() +
                    " has " + std::to_string(manifest.bytes.size()) +
                    " bytes, but its descriptor says " + std::to_string(descriptor.size));
  }
  return manifest;
}

// A blob that one place breaks off, or has not, and the next one goes on with. Whoever reads it
// checks the digest.
class BlobFromPlaces final : public ByteSource {
 public:
  BlobFromPlaces(registry::PullPlaces& places, const Descriptor& descriptor, std::uint64_t offset,
                 std::stop_token stop)
      : places_(places),
        descriptor_(descriptor),
        offset_(offset),
        stop_(std::move(stop)),
        place_(places.in_use()) {
    open();
  }

  std::size_t read(std::span<std::byte> buffer) override {
    for (;;) {
      try {
        const std::size_t size = source_->read(buffer);
        offset_ += size;
        return size;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted || place_ + 1 >= places_.count()) throw;
        ++place_;
        open();
      }
    }
  }

 private:
  void open() {
    source_.reset();
    source_ = places_.at(place_).repository().open_blob(descriptor_, offset_, stop_);
  }

  registry::PullPlaces& places_;
  const Descriptor descriptor_;
  std::uint64_t offset_;
  const std::stop_token stop_;
  std::size_t place_;
  std::unique_ptr<ByteSource> source_;
};

class RegistrySource final : public ImageSource {
 public:
  RegistrySource(registry::Hosts& hosts, const RegistryReference& reference,
                 const RegistryAccess& access, std::stop_token stop)
      : hosts_(hosts),
        reference_(reference),
        access_(access),
        places_(hosts, reference, access),
        stop_(std::move(stop)) {}

  [[nodiscard]] std::string describe() const override { return "docker://" + reference_.str(); }
  [[nodiscard]] std::optional<RegistryReference> repository() const override {
    return places_.at(places_.in_use()).reference().without_identifier();
  }

  [[nodiscard]] RawManifest manifest(std::stop_token stop) override {
    return places_.read([&](Place& place) { return read_manifest(place, stop); });
  }

  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token stop) override {
    return places_.read([&](Place& place) { return read_manifest(place, descriptor, stop); });
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> layers;
    for (const Descriptor& layer : manifest.layers()) layers.push_back(blob(layer));
    return layers;
  }

  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    auto open = [this, descriptor](std::uint64_t offset) -> std::unique_ptr<ByteSource> {
      if (descriptor.size > kMaxHeldBytes)
        return std::make_unique<BlobFromPlaces>(places_, descriptor, offset, stop_);
      return memory_source(places_.read([&](Place& place) {
        return place.repository().get_blob(descriptor, kMaxHeldBytes, stop_);
      }),
                           offset);
    };
    return {descriptor, Blob::Form::exact, std::nullopt, descriptor.size, false, std::move(open)};
  }

  [[nodiscard]] std::vector<Descriptor> referrers(const Digest& subject,
                                                  std::stop_token stop) override {
    return itself().referrers(subject, stop);
  }
  [[nodiscard]] std::unique_ptr<ImageSource> beside(const Descriptor& manifest) override {
    return std::make_unique<RegistrySource>(
        hosts_, reference_.without_identifier().with_digest(manifest.digest), access_, stop_);
  }
  [[nodiscard]] std::unique_ptr<ImageSource> beside(const std::string& tag,
                                                    std::stop_token stop) override {
    if (!itself().head_manifest(tag, stop)) return nullptr;
    return std::make_unique<RegistrySource>(hosts_, reference_.without_identifier().with_tag(tag),
                                            access_, stop_);
  }

 private:
  // What there is beside an image, a mirror may not know: the registry is asked.
  registry::Repository& itself() { return places_.at(places_.count() - 1).repository(); }

  registry::Hosts& hosts_;
  const RegistryReference reference_;
  const RegistryAccess access_;
  registry::PullPlaces places_;
  const std::stop_token stop_;
};

class RegistryDestination final : public ImageDestination {
 public:
  RegistryDestination(registry::Host& host, const RegistryReference& reference,
                      std::stop_token stop)
      : reference_(reference),
        repository_(host, reference.without_identifier(), /*writable=*/true),
        stop_(std::move(stop)) {}
  // After a failure, finish() was not called.
  ~RegistryDestination() override { repository_.cancel_sessions(stop_); }

  [[nodiscard]] std::string describe() const override { return "docker://" + reference_.str(); }
  // With its tag or digest: a destination by digest takes that manifest only, which the copy checks
  // before it sends anything.
  [[nodiscard]] std::optional<RegistryReference> repository() const override { return reference_; }
  [[nodiscard]] std::optional<std::string> tag() const override { return reference_.tag(); }
  [[nodiscard]] std::unique_ptr<ImageDestination> beside(
      const Digest& manifest, const std::optional<std::string>& tag) override {
    const RegistryReference name = reference_.without_identifier();
    return std::make_unique<RegistryDestination>(
        repository_.host(), tag ? name.with_tag(*tag) : name.with_digest(manifest), stop_);
  }

  [[nodiscard]] std::optional<Descriptor> existing(std::stop_token stop) override {
    return repository_.manifest_to_replace(reference_.identifier(), stop);
  }
  [[nodiscard]] std::optional<RawManifest> existing_manifest(std::stop_token stop) override {
    return nullopt_if_absent(
        [&] { return repository_.get_manifest(reference_.identifier(), stop); });
  }
  [[nodiscard]] std::optional<RawManifest> read_manifest(const Descriptor& descriptor,
                                                         std::stop_token stop) override {
    return nullopt_if_absent(
        [&] { return repository_.get_manifest(descriptor.digest.str(), stop); });
  }
  [[nodiscard]] std::optional<std::string> read_small_blob(const Descriptor& descriptor,
                                                           std::stop_token stop) override {
    return nullopt_if_absent(
        [&] { return repository_.get_blob(descriptor, kMaxSmallBlobBytes, stop); });
  }

  [[nodiscard]] bool has_blob(const Descriptor& descriptor, std::stop_token stop) override {
    return repository_.has_blob(descriptor, stop);
  }
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const Digest& digest,
                                                       std::stop_token stop) override {
    return repository_.blob_size(digest, stop);
  }
  [[nodiscard]] bool has_manifest(const Descriptor& descriptor, std::stop_token stop) override {
    const std::optional<Descriptor> found =
        repository_.manifest_to_replace(descriptor.digest.str(), stop);
    // A size of 0 means that the registry told none.
    return found && found->digest == descriptor.digest &&
           (found->size == 0 || found->size == descriptor.size);
  }
  // A mount from the repository itself is taken if the blob is there, and opens an upload if it is
  // not (5.3).
  [[nodiscard]] bool has_or_open_blob(const Descriptor& descriptor, std::stop_token stop) override {
    return repository_.mount_blob(descriptor, reference_.repository(), stop);
  }
  // Only a sibling can lend its blobs (5.3): another repository of the same registry.
  [[nodiscard]] bool mount_blob(const Descriptor& descriptor, const RegistryReference& from,
                                std::stop_token stop) override {
    if (from.registry() != reference_.registry() || from.repository() == reference_.repository())
      return false;
    return repository_.mount_blob(descriptor, from.repository(), stop);
  }

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    return repository_.put_blob(blob, sent, stop);
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    return repository_.put_stream(blob, sent, stop);
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>& tag, std::stop_token stop) override {
    repository_.put_manifest(tag.value_or(descriptor.digest.str()), descriptor, bytes, stop);
  }
  // Everything is visible already: what is left are sessions that nothing was sent in.
  void finish(std::stop_token stop) override { repository_.cancel_sessions(stop); }

 private:
  const RegistryReference reference_;
  registry::Repository repository_;
  const std::stop_token stop_;
};

}  // namespace

std::unique_ptr<ImageSource> open_registry_source(registry::Hosts& hosts,
                                                  const RegistryReference& reference,
                                                  const RegistryAccess& access,
                                                  const std::stop_token& stop) {
  return std::make_unique<RegistrySource>(hosts, reference, access, stop);
}

std::unique_ptr<ImageDestination> open_registry_destination(registry::Hosts& hosts,
                                                            const RegistryReference& reference,
                                                            const RegistryAccess& access,
                                                            const std::stop_token& stop) {
  return std::make_unique<RegistryDestination>(hosts.get(reference, access), reference, stop);
}

}  // namespace tug
