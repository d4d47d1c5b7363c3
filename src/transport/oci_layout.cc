#include "transport/oci_layout.h"

#include "base/strings.h"
#include "base/temporary_file.h"
#include "registry/referrers.h"
#include "transport/image_archive.h"
#include "transport/oci_layout_files.h"
#include "transport/open.h"

#include <tug/error.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace tug {
namespace {

// How many entries an error message lists before it only counts them.
constexpr std::size_t kMaxListed = 10;

// How a user selects this entry: by its name, else by its position.
std::string selector(const Descriptor& descriptor, std::size_t position) {
  if (const std::string* name = ref_name(descriptor); name != nullptr && !name->empty()) {
    return printable(*name, 200);
  }
  return "@" + std::to_string(position);
}

std::string list_images(const Index& index) {
  const std::vector<Descriptor>& entries = index.manifests();
  std::vector<std::string> listed;
  for (std::size_t i = 0; i < entries.size() && i < kMaxListed; ++i) {
    listed.push_back(selector(entries[i], i));
  }
  std::string text = join(listed, ", ");
  if (entries.size() > kMaxListed) {
    text += " and " + std::to_string(entries.size() - kMaxListed) + " more";
  }
  return text;
}

Error no_such_image(const Index& index, const OciReference& reference) {
  Error error(ErrorKind::not_found, reference.str() + ": no such image; " + reference.path +
                                        "/index.json lists " + list_images(index));
  std::vector<std::string> names;
  for (const Descriptor& entry : index.manifests()) {
    if (const std::string* name = ref_name(entry)) names.push_back(*name);
  }
  const std::string likely = nearest(reference.name, names);
  if (!likely.empty()) error.set_hint("did you mean \"" + printable(likely, 200) + "\"?");
  return error;
}

const Descriptor* find_by_name(const Index& index, const std::string& name) {
  for (const Descriptor& entry : index.manifests()) {
    const std::string* entry_name = ref_name(entry);
    if (entry_name != nullptr && *entry_name == name) return &entry;
  }
  return nullptr;
}

// Where the files of a layout are read.
struct LayoutFiles {
  std::shared_ptr<const ImageFiles> files;
  std::string parent;  // of the blobs

  [[nodiscard]] std::string path_of(const Digest& digest) const {
    return blob_path(parent, digest);
  }
};

class OciLayoutSource final : public ImageSource {
 public:
  OciLayoutSource(OciReference reference, Descriptor image, LayoutFiles blobs, Index index)
      : reference_(std::move(reference)),
        image_(std::move(image)),
        blobs_(std::move(blobs)),
        index_(std::move(index)) {}

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] RawManifest manifest(std::stop_token stop) override {
    return manifest(image_, stop);
  }

  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    return {blobs_.files->read_manifest(blobs_.path_of(descriptor.digest), descriptor),
            descriptor.media_type};
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> layers;
    layers.reserve(manifest.layers().size());
    for (const Descriptor& layer : manifest.layers()) layers.push_back(blob(layer));
    return layers;
  }

  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    return blobs_.files->blob(blobs_.path_of(descriptor.digest), descriptor);
  }

  // In the list are the referrers themselves, as oras writes them, or what the referrers tag of a
  // registry would name, as regclient does.
  [[nodiscard]] std::vector<Descriptor> referrers(const Digest& subject,
                                                  std::stop_token stop) override {
    std::vector<Descriptor> found;
    for (const Descriptor& entry : index_.manifests()) {
      const std::string* name = ref_name(entry);
      if (name != nullptr && *name == registry::referrers_tag(subject)) {
        const RawManifest raw = manifest(entry, stop);
        const Index listed = Index::parse(raw.bytes, raw.media_type);
        found.insert(found.end(), listed.manifests().begin(), listed.manifests().end());
      } else if (names_subject(entry, subject, stop)) {
        found.push_back(entry);
      }
    }
    return found;
  }
  [[nodiscard]] std::unique_ptr<ImageSource> beside(const Descriptor& manifest) override {
    return std::make_unique<OciLayoutSource>(
        OciReference{reference_.path, "", {}, reference_.transport}, manifest, blobs_, index_);
  }
  [[nodiscard]] std::unique_ptr<ImageSource> beside(const std::string& tag,
                                                    std::stop_token) override {
    const Descriptor* found = find_by_name(index_, tag);
    if (found == nullptr) return nullptr;
    return std::make_unique<OciLayoutSource>(
        OciReference{reference_.path, tag, {}, reference_.transport}, *found, blobs_, index_);
  }
  // By the names in the list.
  [[nodiscard]] bool knows_attached(const Digest& subject) const override {
    const std::vector<Descriptor>& entries = index_.manifests();
    return std::any_of(entries.begin(), entries.end(), [&](const Descriptor& entry) {
      const std::string* name = ref_name(entry);
      return name != nullptr && name->starts_with(registry::referrers_tag(subject));
    });
  }

 private:
  // An entry that cannot be read is another image's trouble.
  [[nodiscard]] bool names_subject(const Descriptor& entry, const Digest& subject,
                                   const std::stop_token& stop) {
    try {
      const RawManifest raw = manifest(entry, stop);
      const auto referrer = registry::referrer_of(raw.bytes, entry);
      return referrer && referrer->subject == subject;
    } catch (const Error&) {
      return false;
    }
  }

  const OciReference reference_;
  const Descriptor image_;
  const LayoutFiles blobs_;
  const Index index_;  // as it was when the layout was opened
};

// A layout whose index was read.
struct OpenedLayout {
  std::shared_ptr<const ImageFiles> files;
  Index index;
};

OpenedLayout checked_layout(std::shared_ptr<const ImageFiles> files) {
  check_layout_version(*files);
  Index index = read_layout_index(*files);
  return {std::move(files), std::move(index)};
}

OpenedLayout open_layout(const std::string& path) {
  return checked_layout(std::make_shared<const ImageDirectory>(open_layout_directory(path)));
}

OpenedLayout open_archive(const std::string& path, const std::string& temporary_directory,
                          const std::stop_token& stop) {
  auto files =
      std::make_shared<const ImageArchive>(ImageArchive::open(path, temporary_directory, stop));
  const bool is_dockers = !files->has(std::string(kLayoutFile)) && files->has("manifest.json");
  try {
    return checked_layout(std::move(files));
  } catch (Error& error) {
    if (is_dockers) error.set_hint("what docker save makes is docker-archive:" + path);
    throw;
  }
}

LayoutFiles blobs_of(OpenedLayout layout, const std::optional<std::string>& shared_blob_dir) {
  if (shared_blob_dir) return {std::make_shared<const ImageDirectory>(*shared_blob_dir), ""};
  // Beneath the layout, not beneath its "blobs", which may be a link inside the layout but not one
  // out of it.
  return {std::move(layout.files), std::string(kLayoutBlobs)};
}

// "sha256-HEX", and cosign's tags with something behind it.
bool is_digest_tag(std::string_view name) {
  constexpr std::string_view kPrefix = "sha256-";
  constexpr std::size_t kHexDigits = 64;
  if (!name.starts_with(kPrefix)) return false;
  const std::string_view hex = name.substr(kPrefix.size(), kHexDigits);
  const std::string_view rest = name.substr(kPrefix.size() + hex.size());
  return Digest::try_parse("sha256:" + std::string(hex)) && (rest.empty() || rest.front() == '.');
}

// The only entry that is not there for another's sake; nullptr: none, or several.
const Descriptor* only_image(const std::vector<Descriptor>& entries,
                             const IsAttached& is_attached) {
  // Each is a manifest to be read.
  constexpr std::size_t kMostRead = 64;
  std::vector<const Descriptor*> images;
  for (const Descriptor& entry : entries) {
    const std::string* name = ref_name(entry);
    if (name == nullptr || !is_digest_tag(*name)) images.push_back(&entry);
  }
  if (images.size() > kMostRead) return nullptr;
  if (is_attached) {
    images.erase(std::remove_if(images.begin(), images.end(),
                                [&](const Descriptor* entry) { return is_attached(*entry); }),
                 images.end());
  }
  return images.size() == 1 ? images.front() : nullptr;
}

// Whether the manifest names a subject. What cannot be read may be an image.
bool names_a_subject(const LayoutFiles& blobs, const Descriptor& entry) {
  try {
    const std::string bytes = blobs.files->read_manifest(blobs.path_of(entry.digest), entry);
    return registry::referrer_of(bytes, entry).has_value();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return false;
  }
}

std::unique_ptr<ImageSource> open_image(const OciReference& reference, OpenedLayout layout,
                                        const std::optional<std::string>& shared_blob_dir) {
  const Index index = layout.index;
  LayoutFiles blobs;
  // Opened before the image is chosen only if that needs it: what is wrong with the choice is said
  // first.
  const auto is_attached = [&](const Descriptor& entry) {
    if (!blobs.files) blobs = blobs_of(layout, shared_blob_dir);
    return names_a_subject(blobs, entry);
  };
  const Descriptor image = select_image(index, reference, is_attached);
  if (!blobs.files) blobs = blobs_of(std::move(layout), shared_blob_dir);
  return std::make_unique<OciLayoutSource>(reference, image, std::move(blobs), index);
}

ListedImages list_layout(const OciReference& layout, const Index& index) {
  ListedImages listed;
  std::map<std::string, Digest> seen;
  for (std::size_t i = 0; i < index.manifests().size(); ++i) {
    const Descriptor& entry = index.manifests()[i];
    const std::string* name = ref_name(entry);
    if (name == nullptr || name->empty()) {
      ++listed.unnamed;
      continue;
    }
    const auto [other, is_new] = seen.emplace(*name, entry.digest);
    if (!is_new && other->second != entry.digest) {
      throw Error(
          ErrorKind::usage,
          layout.path + "/index.json lists several images under the name " + printable(*name, 200));
    }
    if (!is_new) continue;
    // A name that looks like a position is reached by its own.
    const std::string selected = name->front() == '@' ? "@" + std::to_string(i) : *name;
    listed.images.push_back({*name, {layout.transport, layout.path + ":" + selected}});
  }
  return listed;
}

std::string prefix_of(Transport transport) { return std::string(to_string(transport)) + ":"; }

void require_no_image(const OciReference& layout) {
  if (!layout.index && (layout.name.empty() || layout.name == "*")) return;
  throw Error(ErrorKind::usage, layout.str() + " names an image, where all are asked for")
      .set_hint(prefix_of(layout.transport) + layout.path);
}

}  // namespace

OciReference OciReference::parse(std::string_view rest, Transport transport) {
  const std::size_t colon = rest.find(':');
  OciReference reference;
  reference.transport = transport;
  reference.path = rest.substr(0, colon);
  const std::string prefix = prefix_of(transport);
  if (reference.path.empty()) {
    throw Error(ErrorKind::usage,
                prefix + " needs the path of a layout (" + prefix + "PATH[:REF])");
  }
  if (colon == std::string_view::npos) return reference;
  const std::string_view name = rest.substr(colon + 1);
  if (!name.starts_with('@')) {
    reference.name = name;
    return reference;
  }
  const std::optional<std::uint64_t> position = parse_uint(name.substr(1));
  if (!position) {
    throw Error(ErrorKind::usage,
                prefix + printable(rest, 300) +
                    ": after @ stands the image's position in index.json, a number");
  }
  reference.index = *position;
  return reference;
}

std::string OciReference::str() const {
  std::string text = prefix_of(transport) + path;
  if (index) return text + ":@" + std::to_string(*index);
  return name.empty() ? text : text + ":" + name;
}

const Descriptor& select_image(const Index& index, const OciReference& reference,
                               const IsAttached& is_attached) {
  const std::vector<Descriptor>& entries = index.manifests();
  if (entries.empty()) {
    throw Error(ErrorKind::not_found,
                reference.str() + ": the layout holds no image (index.json lists none)");
  }
  if (reference.index) {
    if (*reference.index >= entries.size()) throw no_such_image(index, reference);
    return entries[*reference.index];
  }
  if (!reference.name.empty()) {
    const Descriptor* found = find_by_name(index, reference.name);
    if (found == nullptr) throw no_such_image(index, reference);
    return *found;
  }
  if (entries.size() > 1) {
    if (const Descriptor* image = only_image(entries, is_attached)) return *image;
    throw Error(ErrorKind::usage, reference.str() + " holds " + std::to_string(entries.size()) +
                                      " images, name one of them: " + list_images(index))
        .set_hint(prefix_of(reference.transport) + "PATH:NAME or " +
                  prefix_of(reference.transport) + "PATH:@POSITION");
  }
  return entries.front();
}

std::unique_ptr<ImageSource> open_oci_layout(const OciReference& reference,
                                             const std::optional<std::string>& shared_blob_dir) {
  OpenedLayout layout = open_layout(reference.path);
  return open_image(reference, std::move(layout), shared_blob_dir);
}

std::unique_ptr<ImageSource> open_oci_archive(const OciReference& reference,
                                              const std::string& temporary_directory,
                                              const std::stop_token& stop) {
  OpenedLayout layout = open_archive(reference.path, temporary_directory, stop);
  return open_image(reference, std::move(layout), std::nullopt);
}

void check_destination(const OciReference& reference) {
  const std::string prefix = prefix_of(reference.transport);
  if (reference.index) {
    throw Error(ErrorKind::usage,
                reference.str() + ": a destination is named, a position is for reading")
        .set_hint(prefix + "PATH:NAME, or " + prefix + "PATH");
  }
  if (!reference.name.empty() && !is_ref_name(reference.name)) {
    throw Error(ErrorKind::usage, reference.str() + ": no image can have the name \"" +
                                      printable(reference.name, 200) +
                                      "\": letters and digits, and between them one of -._:@+/")
        .set_hint("the path of the layout ends at the first colon");
  }
}

ListedImages list_oci_layout(const OciReference& layout) {
  require_no_image(layout);
  return list_layout(layout, open_layout(layout.path).index);
}

ListedImages list_oci_archive(const OciReference& archive, const std::stop_token& stop) {
  require_no_image(archive);
  require_regular_file(archive.path);
  return list_layout(archive, open_archive(archive.path, temporary_directory(), stop).index);
}

}  // namespace tug
