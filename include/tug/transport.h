// The two ends of a copy. Each transport (docker, oci, containers-storage, …) implements one or
// both.
//
// Resources: built once, not movable, used through these interfaces. All methods may be called from
// several threads at once. Every method that may block takes a stop_token and throws
// Error(interrupted) soon after a stop is requested. Ownership: a Blob's open() refers to its
// ImageSource, which must outlive every ByteSource it gave.
#ifndef TUG_TRANSPORT_H_
#define TUG_TRANSPORT_H_

#include "tug/blob.h"
#include "tug/descriptor.h"
#include "tug/digest.h"
#include "tug/error.h"
#include "tug/manifest.h"
#include "tug/progress.h"
#include "tug/reference.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace tug {

// A manifest as it was found: nothing is known of the bytes but where they came from.
struct RawManifest {
  std::string bytes;
  std::string media_type;  // what the place says of them; may be ""
};

class ImageSource {
 public:
  ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;
  virtual ~ImageSource() = default;

  // The reference as a user would write it, resolved: "oci:/path:ref".
  [[nodiscard]] virtual std::string describe() const = 0;
  // The manifest or index that the reference names. Throws Error(not_found).
  [[nodiscard]] virtual RawManifest manifest(std::stop_token stop) = 0;
  // A child of an index, or a referrer. Its bytes have the digest and size of `descriptor`, or
  // Error(integrity) is thrown.
  [[nodiscard]] virtual RawManifest manifest(const Descriptor& descriptor,
                                             std::stop_token stop) = 0;
  // One Blob per layer of `manifest` (which this source gave), in order.
  [[nodiscard]] virtual std::vector<Blob> layers(const Manifest& manifest) = 0;
  // Any other blob: the config. Throws Error(not_found) naming the file or URL.
  [[nodiscard]] virtual Blob blob(const Descriptor& descriptor) = 0;
  // The repository that the blobs are in, when the source is a registry: where a mount may come
  // from. Once the manifest was read: it may be a mirror's.
  [[nodiscard]] virtual std::optional<RegistryReference> repository() const { return std::nullopt; }

  // --- what is said of an image by others in the same place: signatures, attestations, SBOMs

  // The manifests that name `subject` as their subject, as the place lists them; nothing is known
  // of their bytes. Empty where a place has no such thing.
  [[nodiscard]] virtual std::vector<Descriptor> referrers(const Digest& /*subject*/,
                                                          std::stop_token) {
    return {};
  }
  // Another image of the same place: a referrer, or what a tag names. Null: there is none.
  [[nodiscard]] virtual std::unique_ptr<ImageSource> beside(const Descriptor& /*manifest*/) {
    return nullptr;
  }
  [[nodiscard]] virtual std::unique_ptr<ImageSource> beside(const std::string& /*tag*/,
                                                            std::stop_token) {
    return nullptr;
  }
  // Whether it has anything to say of `subject`, as far as that is known without asking anybody.
  [[nodiscard]] virtual bool knows_attached(const Digest& /*subject*/) const { return false; }
};

// A source of a blob whose digest and size are only known once it has been read to its end
// (compressed as it is sent).
class DigestingSource : public ByteSource {
 public:
  // Digest and size of the bytes from offset 0 to the end. Requires that read() returned 0.
  [[nodiscard]] virtual Descriptor result() const = 0;
};

// A blob that is made while it is sent. open(offset) yields the same bytes each time, from `offset`
// on.
struct StreamedBlob {
  std::string media_type;
  std::function<std::unique_ptr<DigestingSource>(std::uint64_t offset)> open;
  // Names the bytes before they are made: where it is the same, they are. A destination may
  // continue under it what an earlier process began to send. "": nothing is to be continued.
  std::string resume_key = {};
  // Digest and size of what comes out, when they are known before.
  std::optional<Descriptor> expected = {};
};

// How a destination takes what an image is made of.
struct Intake {
  // One blob after the other: the layers of each image in order, then its config.
  bool in_order = false;
  // An index and its images too, not one image alone.
  bool indexes = true;
};

// The destination refused a manifest because blobs or manifests that it names are not there
// (MANIFEST_BLOB_UNKNOWN).
class MissingBlobsError : public Error {
 public:
  MissingBlobsError(const Error& error, std::vector<Digest> digests)
      : Error(error), digests_(std::move(digests)) {}
  // Those that it named; empty when it did not say which.
  [[nodiscard]] const std::vector<Digest>& digests() const noexcept { return digests_; }

 private:
  std::vector<Digest> digests_;
};

// The destination stored a manifest, but says that its digest is another one.
class OtherDigestError : public Error {
 public:
  using Error::Error;
};

// What the images that a place is given are made to be, where the user asks for nothing else.
struct ImageForm {
  enum class Layers {
    any,         // as they are, unless the user names a compression
    kept,        // as they are, whatever compression the user names
    compressed,  // plain ones are compressed
    plain,       // compressed ones are decompressed
  };
  // Manifests of the other format are converted to this one.
  std::optional<ManifestFormat> format = {};
  // The place can hold manifests of the other format as well: it is given them with
  // --preserve-digests, and where they cannot be converted.
  bool holds_any_format = true;
  Layers layers = Layers::any;
  // The place keeps what is in a layer, not its bytes. Where a source has nothing but a layer's tar
  // it is given that: in place of the blob that the manifest names, if that is known to be its
  // compressed form, else plain.
  bool takes_tars = false;
  // The place keeps an image's manifest, and so its digest.
  bool keeps_manifest = true;
};

// Called with the bytes of one blob sent so far; goes back to 0 when the blob is started again. Any
// thread.
using SentCallback = std::function<void(std::uint64_t)>;

class ImageDestination {
 public:
  ImageDestination() = default;
  ImageDestination(const ImageDestination&) = delete;
  ImageDestination& operator=(const ImageDestination&) = delete;
  virtual ~ImageDestination() = default;

  [[nodiscard]] virtual std::string describe() const = 0;
  // Where it is, when it is a registry: the scope of the blob info cache, and what mount compares.
  [[nodiscard]] virtual std::optional<RegistryReference> repository() const { return std::nullopt; }
  [[nodiscard]] virtual Intake intake() const { return {}; }

  // What an image has to become there.
  [[nodiscard]] virtual ImageForm form() const { return {}; }

  // What the destination's reference names now: media type, digest and size (0 if not told).
  // Absent, or not to be told, is nullopt.
  [[nodiscard]] virtual std::optional<Descriptor> existing(std::stop_token stop) = 0;
  // The manifest behind existing(), one that an index there names, and small blobs (a config): to
  // learn which layers are there already.
  [[nodiscard]] virtual std::optional<RawManifest> existing_manifest(std::stop_token stop) = 0;
  [[nodiscard]] virtual std::optional<RawManifest> read_manifest(const Descriptor& descriptor,
                                                                 std::stop_token stop) = 0;
  [[nodiscard]] virtual std::optional<std::string> read_small_blob(const Descriptor& descriptor,
                                                                   std::stop_token stop) = 0;

  // Whether a blob (or a manifest, for has_manifest) with this digest, and size where the place
  // tells one, is there.
  [[nodiscard]] virtual bool has_blob(const Descriptor& descriptor, std::stop_token stop) = 0;
  // The same of a blob that is put next if it is not there: the question may open its upload. Only
  // for places that are known to take mounts.
  [[nodiscard]] virtual bool has_or_open_blob(const Descriptor& descriptor, std::stop_token stop) {
    return has_blob(descriptor, std::move(stop));
  }
  // The size of a blob there of which only the digest is known (from the blob info cache); nullopt
  // when it is not there, or its size is not told.
  [[nodiscard]] virtual std::optional<std::uint64_t> blob_size(const Digest& digest,
                                                               std::stop_token stop) = 0;
  [[nodiscard]] virtual bool has_manifest(const Descriptor& descriptor, std::stop_token stop) = 0;
  // Takes a blob over from a sibling repository without sending it. False when the place will not.
  [[nodiscard]] virtual bool mount_blob(const Descriptor& descriptor, const RegistryReference& from,
                                        std::stop_token stop) = 0;
  // Sends a blob with Form::exact. When it returns, the blob is committed. Retries by itself, from
  // a fresh open(). Returns the bytes of body sent, repeats included.
  virtual std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                                 std::stop_token stop) = 0;
  // Sends a blob of unknown digest and size, and says what it was.
  virtual Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                                std::stop_token stop) = 0;
  // Stores a manifest or index by its digest, or under `tag`. Everything it names is there already.
  // A destination that finds something missing after all throws MissingBlobsError.
  virtual void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                            const std::optional<std::string>& tag, std::stop_token stop) = 0;
  // The index that the image was chosen from, which is not copied itself: for places that remember
  // it. Called before anything else is asked or put.
  virtual void chosen_from(const Index& /*index*/) {}
  // The image whose blobs come next, in a place that takes one: what is there can be worked on
  // before all of it is. Layers that are made on the way (put_stream) get other digests. Throws
  // Error(usage) when the place cannot take it.
  virtual void expect(const Manifest& /*manifest*/) {}
  // Where another image of the same place goes: under `tag`, or by its digest alone. Null: the
  // place holds one image.
  [[nodiscard]] virtual std::unique_ptr<ImageDestination> beside(
      const Digest& /*manifest*/, const std::optional<std::string>& /*tag*/) {
    return nullptr;
  }
  // The tag that the destination's reference names; nullopt when it names a digest.
  [[nodiscard]] virtual std::optional<std::string> tag() const = 0;
  // The digest that it names: no other manifest may go there.
  [[nodiscard]] virtual std::optional<Digest> digest() const {
    const std::optional<RegistryReference> repository = this->repository();
    return repository ? repository->digest() : std::nullopt;
  }
  // Makes everything visible at once, for places that can (archives). Nothing is promised before it
  // returns. May throw MissingBlobsError; it is called again when those were put.
  virtual void finish(std::stop_token) {}
};

}  // namespace tug

#endif  // TUG_TRANSPORT_H_
