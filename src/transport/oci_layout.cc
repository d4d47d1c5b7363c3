#include "transport/oci_layout.h"

#include "base/strings.h"
#include "registry/referrers.h"
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

class OciLayoutSource final : public ImageSource {
 public:
  OciLayoutSource(OciReference reference, Descriptor image, OciBlobs blobs, Index index)
      : reference_(std::move(reference)),
        image_(std::move(image)),
        blobs_(std::move(blobs)),
        index_(std::move(index)) {}

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] RawManifest manifest(std::stop_token stop) override {
    return manifest(image_, stop);
  }

  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    return {blobs_.directory.read_manifest(blobs_.path_of(descriptor.digest), descriptor),
            descriptor.media_type};
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> layers;
    layers.reserve(manifest.layers().size());
    for (const Descriptor& layer : manifest.layers()) layers.push_back(blob(layer));
    return layers;
  }

  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    return blobs_.directory.blob(blobs_.path_of(descriptor.digest), descriptor);
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
    return std::make_unique<OciLayoutSource>(OciReference{reference_.path, "", {}}, manifest,
                                             blobs_, index_);
  }
  [[nodiscard]] std::unique_ptr<ImageSource> beside(const std::string& tag,
                                                    std::stop_token) override {
    const Descriptor* found = find_by_name(index_, tag);
    if (found == nullptr) return nullptr;
    return std::make_unique<OciLayoutSource>(OciReference{reference_.path, tag, {}}, *found, blobs_,
                                             index_);
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
  const OciBlobs blobs_;
  const Index index_;  // as it was when the layout was opened
};

// A layout whose index was read.
struct OpenedLayout {
  ImageDirectory directory;
  Index index;
};

OpenedLayout open_layout(const std::string& path) {
  ImageDirectory directory = open_layout_directory(path);
  check_layout_version(directory);
  Index index = read_layout_index(directory);
  return {std::move(directory), std::move(index)};
}

OciBlobs open_blobs(ImageDirectory directory, const std::optional<std::string>& shared_blob_dir) {
  if (shared_blob_dir) return {ImageDirectory(*shared_blob_dir), ""};
  // Beneath the layout, not beneath its "blobs", which may be a link inside the layout but not one
  // out of it.
  return {std::move(directory), std::string(kLayoutBlobs)};
}

}  // namespace

OciReference OciReference::parse(std::string_view rest) {
  const std::size_t colon = rest.find(':');
  OciReference reference;
  reference.path = rest.substr(0, colon);
  if (reference.path.empty())
    throw Error(ErrorKind::usage, "oci: needs the path of a layout (oci:PATH[:REF])");
  if (colon == std::string_view::npos) return reference;
  const std::string_view name = rest.substr(colon + 1);
  if (!name.starts_with('@')) {
    reference.name = name;
    return reference;
  }
  const std::optional<std::uint64_t> position = parse_uint(name.substr(1));
  if (!position) {
    throw Error(ErrorKind::usage,
                "oci:" + printable(rest, 300) +
                    ": after @ stands the image's position in index.json, a number");
  }
  reference.index = *position;
  return reference;
}

std::string OciReference::str() const {
  std::string text = "oci:" + path;
  if (index) return text + ":@" + std::to_string(*index);
  return name.empty() ? text : text + ":" + name;
}

const Descriptor& select_image(const Index& index, const OciReference& reference) {
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
    throw Error(ErrorKind::usage, reference.str() + " holds " + std::to_string(entries.size()) +
                                      " images, name one of them: " + list_images(index))
        .set_hint("oci:PATH:NAME or oci:PATH:@POSITION");
  }
  return entries.front();
}

std::unique_ptr<ImageSource> open_oci_layout(const OciReference& reference,
                                             const std::optional<std::string>& shared_blob_dir) {
  OpenedLayout layout = open_layout(reference.path);
  const Descriptor image = select_image(layout.index, reference);
  return std::make_unique<OciLayoutSource>(
      reference, image, open_blobs(std::move(layout.directory), shared_blob_dir),
      std::move(layout.index));
}

ListedImages list_oci_layout(const OciReference& layout) {
  if (layout.index || (!layout.name.empty() && layout.name != "*")) {
    throw Error(ErrorKind::usage, layout.str() + " names an image, where all are asked for")
        .set_hint("oci:" + layout.path);
  }
  const Index index = open_layout(layout.path).index;
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
    listed.images.push_back({*name, {Transport::oci, layout.path + ":" + selected}});
  }
  return listed;
}

}  // namespace tug
